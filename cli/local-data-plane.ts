/** A data plane with its telemetry, in the thread that makes it: the only one of the process, or one of several. */
import type { Clock } from "../core/clock.ts";
import type { Problem } from "../core/errors.ts";
import { type LogLevel, setLogLevel } from "../core/log.ts";
import { systemRandom } from "../core/random.ts";
import { collectStartupGarbage } from "../core/startup-garbage.ts";
import { releaseStartupPages } from "../core/startup-pages.ts";
import { formatAddress } from "../model/address.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { DataPlane, type DataPlaneOptions } from "../proxy/data-plane.ts";
import type { NameService } from "../proxy/on-demand.ts";
import type { ClusterView } from "../telemetry/cluster-view.ts";
import type { FamilySamples, MetricsRegistry } from "../telemetry/metrics.ts";
import { downstreamView, type ProtocolView, upstreamView } from "../telemetry/protocol-view.ts";
import { downstreamStats } from "./admin/protocol-stats.ts";
import type { DataPlaneHost, DataPlaneSettings, IdentityWatch } from "./data-plane-host.ts";
import { type JoinedTelemetry, joinTelemetry } from "./telemetry.ts";

export interface LocalDataPlaneOptions extends DataPlaneSettings {
  readonly clock: Clock;
  readonly registry: MetricsRegistry;
  readonly identity: Pick<IdentityWatch, "get"> | null;
  /** Whom it asks for what is called and not known. */
  readonly names: NameService;
  /** What it shares with data planes of other threads; absent: it is the only one. */
  readonly among?: Pick<DataPlaneOptions, "shared" | "places" | "ticketSecret">;
}

export class LocalDataPlane implements DataPlaneHost {
  readonly dataPlane: DataPlane;
  readonly telemetry: JoinedTelemetry;

  constructor(options: LocalDataPlaneOptions) {
    const { clock, registry } = options;
    this.telemetry = joinTelemetry({
      clock,
      random: systemRandom,
      registry,
      fileFlushIntervalMs: options.fileFlushIntervalMs,
      tracing: options.tracing,
      clusterAddress: (name) => this.#addressOf(name),
      resource: options.resource,
    });
    this.dataPlane = new DataPlane({
      clock,
      random: systemRandom,
      telemetry: this.telemetry,
      clusterObserver: this.telemetry.outbound,
      identity: options.identity,
      workload: options.workload,
      drainMs: options.drainMs,
      names: options.names,
      ...options.among,
    });
  }

  get snapshot(): Snapshot {
    return this.dataPlane.snapshot;
  }

  apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    return this.dataPlane.apply(snapshot);
  }

  unready(): readonly string[] {
    return this.dataPlane.clusters.unready();
  }

  onReady(callback: () => void): void {
    this.dataPlane.clusters.onReady(callback);
  }

  /** It is always up to date. */
  async refresh(): Promise<void> {}

  readonly clusters = function* (this: LocalDataPlane): Generator<ClusterView> {
    for (const cluster of this.dataPlane.clusters.all()) yield cluster.report();
  }.bind(this);

  get listeners(): DataPlane["listeners"] {
    return this.dataPlane.listeners;
  }

  /** What the connections speak, as metrics read it. */
  *protocols(): Generator<ProtocolView> {
    for (const [prefix, stats] of this.dataPlane.httpStats) yield downstreamView(prefix, stats);
    for (const { name, stats } of this.dataPlane.clusters.all()) yield upstreamView(name, stats);
  }

  *stats(): Generator<readonly [name: string, value: number]> {
    const { dataPlane, telemetry } = this;
    for (const { config, connections } of dataPlane.listeners)
      yield [`listener.${config.name}.downstream_cx_active`, connections];
    yield* downstreamStats(dataPlane.httpStats);
    yield* telemetry.tcp.allStats();
    yield* telemetry.grpcStats.stats();
  }

  families(): readonly FamilySamples[] {
    return [];
  }

  setLogLevel(level: LogLevel, component?: string): void {
    setLogLevel(level, component);
  }

  reopenLogs(): void {
    this.telemetry.reopenLogs();
  }

  settle(): void {
    collectStartupGarbage();
    void releaseStartupPages();
  }

  drain(deadlineMs: number): Promise<void> {
    return this.dataPlane.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.dataPlane.close();
    await this.telemetry.close();
  }

  #addressOf(name: string): string | null {
    for (const endpoint of this.dataPlane.clusters.get(name)?.endpoints ?? []) return formatAddress(endpoint.address);
    return null;
  }
}
