/** What the admin pages show and do. The process behind them gives this; every page asks for it anew. */
import type { LogLevel } from "../../core/log.ts";
import type { JsonValue } from "../../model/bootstrap.ts";
import type { CertificateView } from "../../telemetry/certificate-metrics.ts";
import type { ClusterSource } from "../../telemetry/cluster-view.ts";

/** Envoy's `ServerInfo.State`. */
export type ServerState = "PRE_INITIALIZING" | "INITIALIZING" | "LIVE" | "DRAINING";

export interface ListenerView {
  readonly name: string;
  /** As bound: with the port that the system chose, where 0 was asked for. */
  readonly address: string;
}

export interface ServerInfo {
  readonly version: string;
  readonly uptimeMs: number;
  readonly node: { readonly id: string; readonly cluster: string };
  /** Revision of the configuration in force, "" while there is none. */
  readonly revision: string;
  /** What the process was started with, under Envoy's names (`concurrency`, `config_path` …). */
  readonly options: Readonly<Record<string, JsonValue>>;
}

export interface ConfigDumpQuery {
  /** One kind of resource (`dynamic_active_clusters`), "" for all. */
  readonly resource: string;
  /** RE2 on names, "" for all. */
  readonly nameRegex: string;
  readonly includeEndpoints: boolean;
}

export interface AdminSource {
  /** Brings clusters, listeners, numbers and metrics up to date. */
  refresh(): Promise<void>;
  state(): ServerState;
  /** What keeps the process from being ready, for people; "" when nothing does. */
  waitingFor(): string;
  serverInfo(): ServerInfo;
  readonly clusters: ClusterSource;
  listeners(): readonly ListenerView[];
  certificates(): readonly CertificateView[];
  /** Further numbers under Envoy's names (`server.live`, `listener.…`); those of clusters are taken from `clusters`. */
  stats(): Iterable<readonly [name: string, value: number]>;
  /** The Prometheus text, in pieces. */
  metrics(): Iterable<string> | Promise<Iterable<string>>;
  /** Envoy's `ConfigDump`, fields in their proto names; the page takes private keys out. */
  configDump(query: ConfigDumpQuery): JsonValue | Promise<JsonValue>;
  /** Of all loggers, or of one component. */
  setLogLevel(level: LogLevel, component?: string): void;
  /** Fails readiness from now on, or lifts that (`/healthcheck/fail`, `/healthcheck/ok`). */
  failHealthcheck(failed: boolean): void;
  /** Begins to drain the listeners; the process stays. */
  drain(): void;
  /** Drains and ends the process. */
  quit(): void;
}
