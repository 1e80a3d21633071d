/** The demo's control plane: a process that can be killed and started again, with a directory of manifests. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { ControlPlaneStatus, WorkloadStatus } from "../../control-plane/status.ts";
import { systemClock } from "../../core/clock.ts";
import { httpGet } from "./http-get.ts";
import type { DemoProcess, Processes } from "./processes.ts";
import { until } from "./wait.ts";

const START_MS = 15_000;
const APPLY_MS = 10_000;

export interface ControlPlanePorts {
  readonly xds: number;
  readonly xdsTls: number;
  readonly status: number;
}

export class DemoControlPlane {
  readonly stateDir: string;
  readonly #configDir: string;
  readonly #ports: ControlPlanePorts;
  readonly #processes: Processes;
  readonly #written = new Map<string, string | null>();
  #process: DemoProcess | null = null;

  constructor(directory: string, ports: ControlPlanePorts, processes: Processes) {
    this.stateDir = path.join(directory, "state");
    this.#configDir = path.join(directory, "manifests");
    this.#ports = ports;
    this.#processes = processes;
    mkdirSync(this.stateDir, { mode: 0o700 });
    mkdirSync(this.#configDir);
  }

  /** What sidecars are given as `--control-plane`. */
  get address(): string {
    return `127.0.0.1:${this.#ports.xds}`;
  }

  /** Where certificates are asked for. */
  get caPort(): number {
    return this.#ports.xdsTls;
  }

  get process(): DemoProcess | null {
    return this.#process;
  }

  /** Starts it and resolves when it serves. */
  async start(): Promise<void> {
    const { xds, xdsTls, status } = this.#ports;
    const process = this.#processes.start("control-plane", [
      ...["control-plane", "--config", this.#configDir, "--state", this.stateDir, "--log-level", "warning"],
      ...["--xds-port", String(xds), "--xds-tls-port", String(xdsTls), "--status-port", String(status)],
    ]);
    this.#process = process;
    await until("the control plane to start", START_MS, async () => {
      if (!process.alive()) throw new Error(`it ended: ${process.logTail()}`);
      return (await this.status()) !== undefined;
    });
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async status(): Promise<ControlPlaneStatus> {
    const { status, body, error } = await httpGet(`http://127.0.0.1:${this.#ports.status}/status`, 1000);
    if (status !== 200) throw new Error(`the control plane does not answer: ${error ?? status}`);
    return JSON.parse(body) as ControlPlaneStatus;
  }

  /** Writes a manifest (null: removes it), as an editor does that replaces the file. */
  write(name: string, text: string | null): void {
    this.#written.set(name, text);
    const file = path.join(this.#configDir, `${name}.yaml`);
    if (text === null) {
      rmSync(file, { force: true });
      return;
    }
    const draft = path.join(this.#configDir, `.${name}.yaml`);
    writeFileSync(draft, text);
    renameSync(draft, file);
  }

  /** Writes a manifest and waits until every sidecar has taken what follows from it; resolves with the time in ms. */
  async apply(name: string, text: string | null): Promise<number> {
    if ((this.#written.get(name) ?? null) === text) return 0;
    const before = (await this.status()).revision;
    const start = systemClock.now();
    this.write(name, text);
    await until(`${name}.yaml to reach every sidecar`, APPLY_MS, async () => {
      const { revision, workloads, manifests } = await this.status();
      const [refused] = manifests.rejected;
      if (refused) throw new Error(`refused: ${JSON.stringify(refused.problems)}`);
      return revision > before && workloads.every(isUpToDate);
    });
    return systemClock.now() - start;
  }
}

/** There, with a stream, and with the newest configuration taken. */
export function isUpToDate({ stage, stream }: WorkloadStatus): boolean {
  return stage === "serving" && stream?.upToDate === true;
}
