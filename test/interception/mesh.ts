/** A control plane and sidecars in a network of namespaces, made with the commands that a user would type. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import type { ControlPlaneStatus } from "../../control-plane/status.ts";
import type { Daemon } from "./daemon.ts";
import { type Host, NETWORK, type Network } from "./network.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");
const MAIN = path.join(ROOT, "cli", "main.ts");
const COMPILED = path.join(ROOT, ".cache", "compiled");
/** Whom sidecars run as: `outrigger init` leaves this user's connections alone. */
export const SIDECAR = 1337;
const WAIT_MS = 60_000;

export interface Workload {
  /** The host that it runs on. */
  readonly host: Host;
  readonly service: string;
  /** Where its program listens. */
  readonly port: number;
  readonly labels?: readonly string[];
  /** The application sees its callers' own addresses. Absent: the sidecar's. */
  readonly tproxy?: true;
  /** More flags for `outrigger sidecar` and `outrigger init`. */
  readonly sidecar?: readonly string[];
  readonly init?: readonly string[];
}

export class Mesh {
  readonly network: Network;
  readonly controlPlane: Daemon;
  readonly #dir: string;
  readonly #state: string;

  private constructor(network: Network, controlPlane: Daemon, dir: string, state: string) {
    this.network = network;
    this.controlPlane = controlPlane;
    this.#dir = dir;
    this.#state = state;
  }

  /** Starts a control plane at the network's address. `manifests`: by file name without its ending. */
  static async start(network: Network, manifests: Readonly<Record<string, string>>): Promise<Mesh> {
    const dir = path.join(network.dir, "manifests");
    const state = path.join(network.dir, "control-plane");
    mkdirSync(dir);
    mkdirSync(state, { mode: 0o700 });
    for (const [name, text] of Object.entries(manifests)) writeFileSync(path.join(dir, `${name}.yaml`), text);
    const command = ["control-plane", "--config", dir, "--state", state, "--host", NETWORK.mesh[4]];
    const daemon = network.daemon(network.space, "control-plane", outrigger(...command, "--log-level", "warning"));
    const mesh = new Mesh(network, await daemon.untilListening(15_014), dir, state);
    const { rejected } = (await mesh.status()).manifests;
    assert.deepEqual(rejected, []);
    return mesh;
  }

  /** Gives workloads their sidecars and their rules, and waits until all of it is in force. */
  async join(...workloads: readonly Workload[]): Promise<Daemon[]> {
    const sidecars = await Promise.all(
      workloads.map(async (workload) => {
        const [sidecar] = await Promise.all([
          this.sidecar(workload),
          intercept(workload.host, ...(workload.tproxy ? ["--inbound-mode", "tproxy"] : []), ...(workload.init ?? [])),
        ]);
        return sidecar;
      }),
    );
    await this.untilServing(workloads);
    return sidecars;
  }

  /** Starts a sidecar; it needs some time. */
  async sidecar({ host, service, port, labels = [], tproxy, sidecar = [] }: Workload): Promise<Daemon> {
    const state = path.join(this.network.dir, `sidecar-${host.space.name}`);
    mkdirSync(state, { recursive: true, mode: 0o700 });
    chownSync(state, SIDECAR, SIDECAR);
    const [env = "", ...token] = outrigger("token", "--service", service, "--state", this.#state);
    const { stdout } = await promisify(execFile)(env, token);
    const command = [
      ...["sidecar", "--control-plane", `${NETWORK.mesh[4]}:15012`, "--join-token", stdout.trim(), "--state", state],
      ...[
        "--service",
        service,
        "--port",
        `${port}`,
        "--interception",
        tproxy ? "tproxy" : "redirect",
        "--drain-time-s",
        "3",
      ],
      ...labels.flatMap((label) => ["--label", label]),
    ];
    const launch = { user: SIDECAR, env: { HOME: state }, ...(tproxy && { capabilities: ["net_admin"] }) };
    return this.network.daemon(host.space, `${service}'s sidecar`, outrigger(...command, ...sidecar), launch);
  }

  async untilServing(workloads: readonly Workload[]): Promise<void> {
    await this.#until("every sidecar to serve", ({ workloads: there }) =>
      workloads.every(({ host, service }) =>
        there.some(
          (each) =>
            each.service === service &&
            each.address.startsWith(`${host.addresses.mesh[4]}:`) &&
            each.stage === "serving" &&
            each.stream?.upToDate === true,
        ),
      ),
    );
  }

  /** Writes a manifest (null: removes it) and waits until every sidecar has taken what follows from it. */
  async apply(name: string, text: string | null): Promise<void> {
    const { revision: before } = await this.status();
    const file = path.join(this.#dir, `${name}.yaml`);
    if (text === null) rmSync(file);
    else writeFileSync(file, text);
    await this.#until(`${name} to be in force`, ({ revision, workloads, manifests }) => {
      assert.deepEqual(manifests.rejected, []);
      return revision > before && workloads.every(({ stream }) => stream?.upToDate === true);
    });
  }

  async status(): Promise<ControlPlaneStatus> {
    const { stdout, stderr } = await this.network.space.exec(["curl", "-sS", "http://127.0.0.1:15014/status"]);
    assert.notEqual(stdout, "", `${stderr}\n${this.controlPlane.output}`);
    return JSON.parse(stdout) as ControlPlaneStatus;
  }

  async #until(what: string, holds: (status: ControlPlaneStatus) => boolean): Promise<void> {
    const end = performance.now() + WAIT_MS;
    for (;;) {
      const status = await this.status();
      if (holds(status)) return;
      if (performance.now() > end)
        throw new Error(
          `waiting for ${what} took too long: ${JSON.stringify(status, null, 1)}\n${this.network.said()}`,
        );
      await wait(80);
    }
  }
}

/** `outrigger init` on a host, or with `--cleanup`. */
export async function intercept(host: Host, ...flags: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.space.exec(outrigger("init", ...flags));
  assert.equal(code, 0, stderr);
  return stdout;
}

/** The command. Dozens of them are started, by several users, and compiling is most of what a start costs. */
export function outrigger(...args: readonly string[]): string[] {
  mkdirSync(COMPILED, { recursive: true });
  chmodSync(COMPILED, 0o1777);
  return ["env", `NODE_COMPILE_CACHE=${COMPILED}`, process.execPath, MAIN, ...args];
}

/** A page of a host's sidecar: `15000/stats`. */
export function sidecarPage(host: Host, page: string): Promise<string> {
  return host.ask(["curl", "-sS", `http://127.0.0.1:${page}`]);
}
