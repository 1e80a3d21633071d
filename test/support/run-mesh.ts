/** A control plane, and programs in its mesh that are started with `outrigger run` and `outrigger sidecar`. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { ControlPlaneStatus } from "../../control-plane/status.ts";
import { reservePorts } from "../envoy/harness/ports.ts";

const MAIN = path.join(import.meta.dirname, "..", "..", "cli", "main.ts");
const WAIT_MS = 30_000;

export class RunMesh {
  readonly #root = mkdtempSync(path.join(tmpdir(), "outrigger-run-mesh-"));
  readonly #programs: Program[] = [];
  readonly #ports: readonly number[];

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    mkdirSync(path.join(this.#root, "state"), { mode: 0o700 });
    mkdirSync(path.join(this.#root, "manifests"));
  }

  /** With manifests by the names of their files. Gone with the test. */
  static async start(t: TestContext, manifests: Readonly<Record<string, string>>): Promise<RunMesh> {
    const mesh = new RunMesh(await reservePorts(3));
    t.after(() => mesh.#stop());
    for (const [name, text] of Object.entries(manifests)) mesh.#write(name, text);
    const [xds = 0, xdsTls = 0, status = 0] = mesh.#ports;
    const controlPlane = mesh.#start("control-plane", [
      ...["control-plane", "--config", path.join(mesh.#root, "manifests"), "--state", path.join(mesh.#root, "state")],
      ...["--xds-port", `${xds}`, "--xds-tls-port", `${xdsTls}`, "--status-port", `${status}`, "-l", "warning"],
    ]);
    await controlPlane.until(async () => (await mesh.status()).revision >= 0);
    return mesh;
  }

  /** A program in a network of its own; `before` is a command that starts `outrigger`. */
  run(
    service: string,
    port: number,
    flags: readonly string[],
    command: readonly string[],
    before: readonly string[] = [],
  ): Program {
    return this.#start(service, ["run", ...this.#flags(service, port), ...flags, "--", ...command], before);
  }

  /** A program beside a sidecar on loopback addresses. */
  sidecar(service: string, port: number, command: readonly string[]): Program {
    return this.#start(service, ["sidecar", ...this.#flags(service, port), "--", ...command]);
  }

  /** Writes a manifest (null: removes it); resolves once every sidecar has taken what follows from it. */
  async apply(name: string, text: string | null): Promise<void> {
    const before = (await this.status()).revision;
    this.#write(name, text);
    await this.until(async () => {
      const { revision, workloads, manifests } = await this.status();
      assert.deepEqual(manifests.rejected, []);
      return revision > before && workloads.every(({ stream }) => stream?.upToDate === true);
    });
  }

  async status(): Promise<ControlPlaneStatus> {
    return (await (await fetch(`http://127.0.0.1:${this.#ports[2]}/status`)).json()) as ControlPlaneStatus;
  }

  /** Rejects with what everybody said when it takes too long, or makes no sense any more. */
  async until(holds: () => boolean | Promise<boolean>, sensible: () => boolean = () => true): Promise<void> {
    const end = performance.now() + WAIT_MS;
    let last: unknown = null;
    while (performance.now() < end && sensible()) {
      try {
        if (await holds()) return;
      } catch (error) {
        last = error;
      }
      await wait(30);
    }
    throw new Error(`took too long: ${String(last)}\n${this.#programs.map((program) => program.said()).join("\n")}`);
  }

  /** Whose last good configuration is on disk. */
  kept(): readonly string[] {
    const dir = path.join(this.#root, "state", "sidecars");
    return existsSync(dir) ? readdirSync(dir) : [];
  }

  /** Addresses, links, routes and rules of the machine. */
  machineNetwork(): string {
    const look = "ip -o address; ip -o link; ip route show table all; iptables-save; ip6tables-save";
    const { stdout } = spawnSync("sh", ["-c", look], { encoding: "utf8" });
    return stdout.replaceAll(/^#.*\n/gm, "").replaceAll(/\[\d+:\d+\]|(valid|preferred)_lft \S+|expires \S+/g, "");
  }

  #flags(service: string, port: number): readonly string[] {
    return [
      ...["--control-plane", `127.0.0.1:${this.#ports[0]}`, "--state", path.join(this.#root, "state")],
      ...["--service", service, "--port", `${port}`, "--drain-time-s", "1"],
    ];
  }

  #start(name: string, args: readonly string[], before: readonly string[] = []): Program {
    const [program = "", ...rest] = [...before, process.execPath, MAIN, ...args];
    // With a group of its own: what a sidecar that is killed leaves behind is to be ended, too.
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    const started = new Program(name, child, this);
    this.#programs.push(started);
    return started;
  }

  #write(name: string, text: string | null): void {
    const file = path.join(this.#root, "manifests", `${name}.yaml`);
    if (text === null) rmSync(file);
    else writeFileSync(file, text);
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.end()));
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Program {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #mesh: RunMesh;
  readonly #ended: Promise<number | null>;
  #output = "";
  #errors = "";

  constructor(name: string, child: ChildProcess, mesh: RunMesh) {
    this.#name = name;
    this.#child = child;
    this.#mesh = mesh;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
    // Who has ended hears nothing more.
    child.stdin?.on("error", () => undefined);
    this.#ended = new Promise((resolve) => child.once("close", (code) => resolve(code)));
  }

  /** What it wrote to its standard output. */
  output(): string {
    return this.#output;
  }

  /** All that it wrote. */
  said(): string {
    return `${this.#name}: ${this.#output}\n${this.#errors}`;
  }

  tell(text: string): void {
    this.#child.stdin?.write(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code; null: a signal has ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Ends it and all that it has started. */
  async end(): Promise<void> {
    try {
      process.kill(-(this.#child.pid ?? 0), "SIGKILL");
    } catch {
      // Ended already.
    }
    await this.#ended;
  }

  /** Waits for something that takes the program. */
  until(holds: () => boolean | Promise<boolean>): Promise<void> {
    return this.#mesh.until(holds, () => this.#child.exitCode === null && this.#child.signalCode === null);
  }

  /** Its sidecar is in the mesh, and has taken all there is to know. */
  serving(): Promise<void> {
    return this.until(async () => {
      const { workloads } = await this.#mesh.status();
      return workloads.some(
        ({ service, stage, stream }) => service === this.#name && stage === "serving" && stream?.upToDate === true,
      );
    });
  }

  /** The network namespace that its program is in. */
  namespace(): { processes(): readonly string[] } {
    const own = readlinkSync("/proc/self/ns/net");
    const children = processes().filter((pid) => parentOf(pid) === this.#child.pid);
    const [inside] = children.flatMap((pid) => networkOf(pid) ?? []).filter((network) => network !== own);
    assert.ok(inside, this.said());
    return { processes: () => processes().filter((pid) => networkOf(pid) === inside) };
  }
}

function processes(): readonly string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

function parentOf(pid: string): number | null {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return null;
  }
}

function networkOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    // Nobody, or one that has just ended.
    return null;
  }
}
