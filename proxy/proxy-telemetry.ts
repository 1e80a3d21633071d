/** What the data plane asks of telemetry: metrics, access logs and traces, joined by whoever starts the proxy. */
import type { AccessLog } from "../model/access-log.ts";
import type { HttpConnectionManager } from "../model/http.ts";
import type { Listener } from "../model/listener.ts";
import type { AccessLogger } from "../telemetry/access-log.ts";
import type { GrpcFilterStats } from "../telemetry/grpc/filter-stats.ts";
import type { RequestMetrics } from "../telemetry/request-metrics.ts";
import type { TcpMetrics } from "../telemetry/tcp-metrics.ts";
import type { RequestTracer } from "../telemetry/tracing/tracer.ts";
import type { ConnectionObserver } from "./inbound.ts";
import type { OnDemandObserver } from "./on-demand.ts";

export interface Counter {
  inc(): void;
}

export interface ProxyTelemetry {
  readonly requests: RequestMetrics;
  readonly tcp: TcpMetrics;
  readonly grpcStats: GrpcFilterStats;
  connections(listener: Listener): ConnectionObserver;
  accessLogs(logs: readonly AccessLog[]): readonly AccessLogger[];
  /** null: the connection manager traces nothing. */
  tracer(config: HttpConnectionManager): RequestTracer | null;
  /** A counter of an HTTP filter's outcome: `rbac` `denied`, `fault` `aborted` … */
  filterCounter(filter: string, outcome: string): Counter;
  /** A call that access rules refused. `details` are the same for all that one clause refused; `explanation` is a sentence. */
  onCallDenied(listener: string, details: string, explanation: string): void;
  /** Of calls that waited until it was known what they are for. */
  readonly onDemand: OnDemandObserver;
  /** Counters of a network RBAC filter. */
  rbac(statPrefix: string): Readonly<Record<"allowed" | "denied" | "shadowAllowed" | "shadowDenied", Counter>>;
}
