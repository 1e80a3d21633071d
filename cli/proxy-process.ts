/**
 * A running proxy: control client, data plane, telemetry and admin joined, from the first configuration to the drain.
 * `outrigger proxy` and `outrigger sidecar` are this with different beginnings.
 */
import type { WorkloadCertificate } from "../certs/workload-certificate.ts";
import { type ControlClient, type ControlClientOptions, startControlClient } from "../control-client/client.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { messageOf, type Problem } from "../core/errors.ts";
import { logger } from "../core/log.ts";
import { systemRandom } from "../core/random.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { DataPlane } from "../proxy/data-plane.ts";
import { MetricsRegistry } from "../telemetry/metrics.ts";
import { registerProcessMetrics } from "../telemetry/process-metrics.ts";
import { registerWorkerMetrics } from "../telemetry/worker-metrics.ts";
import { XdsMetrics } from "../telemetry/xds-metrics.ts";
import type { DataPlaneHost, DataPlaneSettings } from "./data-plane-host.ts";
import { LocalDataPlane } from "./local-data-plane.ts";
import type { JoinedTelemetry } from "./telemetry.ts";
import { VERSION } from "./version.ts";
import { Workers } from "./workers/workers.ts";

export interface ProxyOptions {
  readonly bootstrap: Bootstrap;
  readonly client: Pick<ControlClientOptions, "decode" | "adsTargets" | "lastGood" | "localSecrets">;
  readonly identity: Watch<WorkloadCertificate> | null;
  /** Name in metrics: `orders.default`, else the node's cluster. */
  readonly workload: string;
  readonly drainMs: number;
  readonly fileFlushIntervalMs: number;
}

const log = logger("main");

/** After readiness, before the garbage of the start is collected: first requests shall not meet that pause. */
const SETTLE_MS = 500;

export class ProxyProcess {
  readonly options: ProxyOptions;
  readonly clock: Clock = systemClock;
  readonly registry: MetricsRegistry;
  /** The data plane, wherever its threads are. */
  readonly host: DataPlaneHost;
  /** null: it is in this thread. */
  readonly workers: Workers | null;
  readonly client: ControlClient;
  readonly xds: XdsMetrics;
  /** What the last snapshot asked for and is not in force. */
  problems: readonly Problem[] = [];
  /** True once configuration and certificate are in force, false again while draining. */
  readonly ready = new WatchCell<boolean>(false);
  /** The data plane where it is in this thread. */
  readonly #local: LocalDataPlane | null;
  #applied = false;
  #draining = false;
  #left = false;
  readonly #absent = new WatchCell<ReadonlySet<string>>();
  readonly #stopProcessMetrics: () => void;

  /** `workers`: the data plane, where it is in threads of its own. */
  constructor(options: ProxyOptions, workers: Workers | null = null) {
    this.options = options;
    const { clock } = this;
    this.registry = new MetricsRegistry(clock);
    this.xds = new XdsMetrics(this.registry, clock);
    const { identity } = options;
    this.workers = workers;
    this.#local =
      workers === null
        ? new LocalDataPlane({
            ...settingsOf(options),
            clock,
            registry: this.registry,
            identity,
            names: { ask: (name) => this.client.ask(name), absent: this.#absent },
          })
        : null;
    this.host = workers ?? this.local;
    if (this.workers !== null) registerWorkerMetrics(this.registry, this.workers.views);
    this.#stopProcessMetrics = registerProcessMetrics(this.registry, {
      clock,
      version: VERSION,
      revision: () => this.snapshot.revision,
    }).stop;
    this.client = startControlClient({
      clock,
      random: systemRandom,
      log: logger("xds"),
      version: VERSION,
      bootstrap: options.bootstrap,
      observer: this.xds,
      ...options.client,
    });
    this.client.absent.subscribe((names) => this.#absent.set(names));
    workers?.askThrough({ ask: (name) => this.client.ask(name), absent: this.#absent });
    this.host.onReady(() => this.#look());
    options.identity?.subscribe(() => this.#look());
    this.client.snapshots.subscribe((snapshot) => {
      this.host.apply(snapshot).then(
        (problems) => this.#onApplied(problems),
        (error) => this.#onApplied([{ message: messageOf(error) }]),
      );
    });
  }

  /** The configuration in force. */
  get snapshot(): Snapshot {
    return this.host.snapshot;
  }

  /** Throws where the data plane is not in this thread. */
  get local(): LocalDataPlane {
    if (this.#local === null) throw new Error("the data plane is in worker threads");
    return this.#local;
  }

  /** Throws where it is not in this thread. */
  get dataPlane(): DataPlane {
    return this.local.dataPlane;
  }

  /** Throws where it is not in this thread. */
  get telemetry(): JoinedTelemetry {
    return this.local.telemetry;
  }

  #onApplied(problems: readonly Problem[]): void {
    // Those of a static configuration end the process that was started with it, which then names them.
    if (this.options.bootstrap.dynamic !== null) {
      for (const problem of problems) log.error({ ...problem }, "a part of the configuration is not in force");
    }
    this.problems = problems;
    this.#applied = true;
    this.#look();
  }

  /** Why it is not ready yet, as sentences. */
  waitingFor(): string[] {
    // Once a configuration is in force (the cached one too), what later ones wait for is no reason not to serve.
    const waiting = this.#applied ? [] : [...this.client.status().waitingFor, "no configuration is in force yet"];
    if (this.options.identity !== null && this.options.identity.get() === undefined) {
      waiting.push("the workload certificate has not been issued yet");
    }
    const unready = this.host.unready();
    if (unready.length > 0) waiting.push(`endpoints are not resolved yet: ${unready.join(", ")}`);
    return waiting;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Readiness off, and the control plane told: it sends nobody here any more. What is in force stays in force. */
  async leave(): Promise<void> {
    this.#left = true;
    this.ready.set(false);
    await this.client.close();
  }

  /** Readiness off, then the drain with its one deadline, then everything closed. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    this.ready.set(false);
    log.info({ deadlineMs }, "draining: no new connections, requests under way may end");
    await this.host.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.#draining = true;
    const closed = this.host.close();
    await this.client.close();
    this.#stopProcessMetrics();
    await closed;
  }

  #look(): void {
    if (this.#draining || this.#left || this.ready.get() === true) return;
    if (this.waitingFor().length > 0) return;
    this.ready.set(true);
    this.clock.after(SETTLE_MS, () => this.host.settle());
  }
}

function settingsOf({ bootstrap, workload, drainMs, fileFlushIntervalMs }: ProxyOptions): DataPlaneSettings {
  const resource = { "service.instance.id": bootstrap.node.id };
  return { workload, drainMs, fileFlushIntervalMs, tracing: bootstrap.tracing, resource };
}

/**
 * Starts a proxy with so many threads of the data plane; 1: it is in the main thread. The control plane hears nothing
 * before they run: it takes what was acknowledged for being in force.
 */
export async function startProxyProcess(options: ProxyOptions, concurrency: number): Promise<ProxyProcess> {
  if (concurrency === 1) return new ProxyProcess(options);
  const { identity } = options;
  const workers = new Workers({ clock: systemClock, count: concurrency, settings: settingsOf(options), identity });
  await workers.started();
  return new ProxyProcess(options, workers);
}
