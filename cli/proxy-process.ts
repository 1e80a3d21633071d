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
import { collectStartupGarbage } from "../core/startup-garbage.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import { formatAddress } from "../model/address.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import { DataPlane } from "../proxy/data-plane.ts";
import { MetricsRegistry } from "../telemetry/metrics.ts";
import { registerProcessMetrics } from "../telemetry/process-metrics.ts";
import { XdsMetrics } from "../telemetry/xds-metrics.ts";
import { type JoinedTelemetry, joinTelemetry } from "./telemetry.ts";
import { VERSION } from "./version.ts";

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
  readonly telemetry: JoinedTelemetry;
  readonly dataPlane: DataPlane;
  readonly client: ControlClient;
  readonly xds: XdsMetrics;
  /** What the last snapshot asked for and is not in force. */
  problems: readonly Problem[] = [];
  /** True once configuration and certificate are in force, false again while draining. */
  readonly ready = new WatchCell<boolean>(false);
  #applied = false;
  #draining = false;
  #left = false;
  readonly #stopProcessMetrics: () => void;

  constructor(options: ProxyOptions) {
    this.options = options;
    const { clock } = this;
    this.registry = new MetricsRegistry(clock);
    this.xds = new XdsMetrics(this.registry, clock);
    this.telemetry = joinTelemetry({
      clock,
      random: systemRandom,
      registry: this.registry,
      fileFlushIntervalMs: options.fileFlushIntervalMs,
      tracing: options.bootstrap.tracing,
      clusterAddress: (name) => this.#addressOf(name),
      resource: { "service.instance.id": options.bootstrap.node.id },
    });
    this.dataPlane = new DataPlane({
      clock,
      random: systemRandom,
      telemetry: this.telemetry,
      clusterObserver: this.telemetry.outbound,
      identity: options.identity,
      workload: options.workload,
      drainMs: options.drainMs,
    });
    this.#stopProcessMetrics = registerProcessMetrics(this.registry, {
      clock,
      version: VERSION,
      revision: () => this.dataPlane.snapshot.revision,
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
    this.dataPlane.clusters.onReady(() => this.#look());
    options.identity?.subscribe(() => this.#look());
    this.client.snapshots.subscribe((snapshot) => {
      this.dataPlane.apply(snapshot).then(
        (problems) => this.#onApplied(problems),
        (error) => this.#onApplied([{ message: messageOf(error) }]),
      );
    });
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
    const unready = this.dataPlane.clusters.unready();
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
    await this.dataPlane.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.#draining = true;
    this.dataPlane.close();
    await this.client.close();
    this.#stopProcessMetrics();
    await this.telemetry.close();
  }

  #look(): void {
    if (this.#draining || this.#left || this.ready.get() === true) return;
    if (this.waitingFor().length > 0) return;
    this.ready.set(true);
    this.clock.after(SETTLE_MS, collectStartupGarbage);
  }

  #addressOf(name: string): string | null {
    for (const endpoint of this.dataPlane.clusters.get(name)?.endpoints ?? []) return formatAddress(endpoint.address);
    return null;
  }
}
