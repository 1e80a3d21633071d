/** A control plane and sidecars as processes of their own, started with the commands that users start them with. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { addressesOf, type SidecarAddresses } from "../../cli/sidecar/addresses.ts";
import type { ControlPlaneStatus } from "../../control-plane/status.ts";
import { reservePorts } from "../envoy/harness/ports.ts";

const MAIN = path.join(import.meta.dirname, "..", "..", "cli", "main.ts");
const START_MS = 30_000;
const APPLY_MS = 10_000;

/** A workload whose program listens on a port of 127.0.0.1. */
export interface LiveWorkload {
  readonly name: string;
  readonly service: string;
  /** Default: `default`. */
  readonly namespace?: string;
  readonly port: number;
  readonly labels?: readonly string[];
}

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<unknown>;
}

export class LiveMesh {
  readonly #root = mkdtempSync(path.join(tmpdir(), "outrigger-live-mesh-"));
  readonly #running = new Map<string, Running>();
  readonly #addresses = new Map<string, SidecarAddresses>();
  #xds = 0;
  #statusPort = 0;

  private constructor() {}

  /** Resolves once every sidecar has taken what follows from the manifests. */
  static async start(
    manifests: Readonly<Record<string, string>>,
    workloads: readonly LiveWorkload[],
  ): Promise<LiveMesh> {
    const mesh = new LiveMesh();
    try {
      await mesh.#start(manifests, workloads);
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  /** Where a workload's sidecar listens. */
  sidecar(name: string): SidecarAddresses {
    const addresses = this.#addresses.get(name);
    if (addresses === undefined) throw new Error(`${name} is not in the mesh`);
    return addresses;
  }

  /**
   * `host:port` at which a workload's sidecar takes its program's calls to a service: of the namespace `default` where
   * none is named (`stock.shop`), at the port where one is.
   */
  async addressFor(name: string, service: string, port: number | null = null): Promise<string> {
    const { address, adminPort } = this.sidecar(name);
    const full = service.includes(".") ? service : `${service}.default`;
    let found: string | undefined;
    // What a sidecar has acknowledged is in force a moment later.
    await this.#until(`a listener of ${name} for ${full}`, APPLY_MS, async () => {
      const lines = (await (await fetch(`http://${address}:${adminPort}/listeners`)).text()).split("\n");
      found = lines.find((each) => each.includes(port === null ? full : `|${port}||${full}`));
      return found !== undefined;
    });
    return (found ?? "").slice((found ?? "").lastIndexOf("::") + 2).trim();
  }

  /** A page of a workload's sidecar: its metrics. */
  async metrics(name: string): Promise<string> {
    const { address, metricsPort } = this.sidecar(name);
    return (await fetch(`http://${address}:${metricsPort}/metrics`)).text();
  }

  /** Writes a manifest (null: removes it); resolves once every sidecar has taken what follows from it. */
  async apply(name: string, text: string | null): Promise<void> {
    const before = (await this.#status()).revision;
    this.#write(name, text);
    await this.#until(`${name} to be in force`, APPLY_MS, async () => {
      const { revision, workloads, manifests } = await this.#status();
      if (manifests.rejected.length > 0) throw new Error(JSON.stringify(manifests.rejected));
      return revision > before && workloads.every(({ stream }) => stream?.upToDate === true);
    });
  }

  /** Ends a workload's sidecar at once, or (SIGTERM) as a rollout does; resolves when it has ended. */
  async end(name: string, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const running = this.#running.get(name);
    running?.child.kill(signal);
    await running?.ended;
  }

  async stop(): Promise<void> {
    const all = [...this.#running.values()];
    for (const { child } of all) child.kill("SIGKILL");
    await Promise.all(all.map(({ ended }) => ended));
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #start(manifests: Readonly<Record<string, string>>, workloads: readonly LiveWorkload[]): Promise<void> {
    const state = path.join(this.#root, "state");
    const config = path.join(this.#root, "manifests");
    mkdirSync(state, { mode: 0o700 });
    mkdirSync(config);
    const [xds = 0, xdsTls = 0, status = 0] = await reservePorts(3);
    this.#xds = xds;
    this.#statusPort = status;
    for (const [name, text] of Object.entries(manifests)) this.#write(name, text);
    this.#run("control-plane", [
      ...["control-plane", "--config", config, "--state", state, "--log-level", "warning"],
      ...["--xds-port", String(xds), "--xds-tls-port", String(xdsTls), "--status-port", String(status)],
    ]);
    await this.#until("the control plane to start", START_MS, async () => (await this.#status()).revision >= 0);
    for (const { name, service, namespace = "default", port, labels = [] } of workloads) {
      this.#run(name, [
        ...["sidecar", "--control-plane", `127.0.0.1:${this.#xds}`, "--state", state, "--service", service],
        ...["--namespace", namespace, "--port", String(port), "--drain-time-s", "1"],
        ...[`test=${name}`, ...labels].flatMap((label) => ["--label", label]),
      ]);
    }
    await this.#until("every sidecar to be in the mesh", START_MS, async () => {
      const { workloads: there } = await this.#status();
      if (there.length < workloads.length) return false;
      for (const { labels, address } of there) {
        const [host = "", port = ""] = address.split(":");
        this.#addresses.set(labels["test"] ?? "", addressesOf(host, Number(port)));
      }
      return there.every(({ stage, stream }) => stage === "serving" && stream?.upToDate === true);
    });
  }

  #run(name: string, args: readonly string[]): void {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const keep = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-4000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    this.#running.set(name, { child, output: () => text, ended });
  }

  #write(name: string, text: string | null): void {
    const file = path.join(this.#root, "manifests", `${name}.yaml`);
    if (text === null) rmSync(file);
    else writeFileSync(file, text);
  }

  async #status(): Promise<ControlPlaneStatus> {
    return (await (await fetch(`http://127.0.0.1:${this.#statusPort}/status`)).json()) as ControlPlaneStatus;
  }

  /** Rejects with what the processes wrote when it takes too long. */
  async #until(what: string, withinMs: number, holds: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + withinMs;
    let last: unknown = null;
    while (performance.now() < end) {
      try {
        if (await holds()) return;
      } catch (error) {
        last = error;
      }
      await wait(50);
    }
    const words = [...this.#running].map(([name, { output }]) => `${name}: ${output()}`).join("\n");
    throw new Error(`waiting for ${what} took too long: ${String(last)}\n${words}`);
  }
}
