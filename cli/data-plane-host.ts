/**
 * The data plane as the rest of the process sees it: in this thread, or in several others. What it tells of itself is as
 * old as the last `refresh`.
 */
import type { WorkloadCertificate } from "../certs/workload-certificate.ts";
import type { Problem } from "../core/errors.ts";
import type { LogLevel } from "../core/log.ts";
import type { Watch } from "../core/watch.ts";
import type { TracingProvider } from "../model/http.ts";
import type { Listener } from "../model/listener.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { ClusterSource } from "../telemetry/cluster-view.ts";
import type { FamilySamples } from "../telemetry/metrics.ts";

/** What every data plane of a process is told at its start: plain data. */
export interface DataPlaneSettings {
  /** Name in metrics: `orders.default`, else the node's cluster. */
  readonly workload: string;
  /** How long connections of a listener that is gone may last, ms. */
  readonly drainMs: number;
  readonly fileFlushIntervalMs: number;
  /** The bootstrap's tracer, for connection managers that name none. */
  readonly tracing: TracingProvider | null;
  /** Resource attributes of spans. */
  readonly resource: Readonly<Record<string, string>>;
}

export type IdentityWatch = Watch<WorkloadCertificate>;

export interface HostedListener {
  readonly config: Listener;
  /** With the port that the system chose, where 0 was asked for; null: it has no socket of its own. */
  readonly boundAddress: { readonly host: string; readonly port: number } | null;
  /** Open ones. */
  readonly connections: number;
}

export interface DataPlaneHost {
  /** The snapshot last given. */
  readonly snapshot: Snapshot;
  /** Resolves when it is in force everywhere, with what could not be done. */
  apply(snapshot: Snapshot): Promise<readonly Problem[]>;
  /** Names of clusters whose first endpoints are not known yet. */
  unready(): readonly string[];
  /** Calls back when a cluster has become ready. */
  onReady(callback: () => void): void;
  /** Brings up to date what the following ones give. */
  refresh(): Promise<void>;
  readonly clusters: ClusterSource;
  readonly listeners: Iterable<HostedListener>;
  /** Numbers under Envoy's names, besides those of `clusters`. */
  stats(): Iterable<readonly [name: string, value: number]>;
  /** Metrics that are not in the process's own registry. */
  families(): readonly FamilySamples[];
  setLogLevel(level: LogLevel, component?: string): void;
  /** Opens log files again after a rotation. */
  reopenLogs(): void;
  /** Gives back the memory that the start took, when the start is over. */
  settle(): void;
  /** Stops accepting, and resolves when all connections have ended or the deadline has passed. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
}
