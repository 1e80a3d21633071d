/** What an exchange needs of the connection manager that it runs under: compiled when configuration arrives. */

import type { EventClock } from "../../core/clock.ts";
import type { HeaderMap } from "../../core/header-map.ts";
import type { Random } from "../../core/random.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import type { HttpConnectionManager } from "../../model/http.ts";
import type { ForwardAction } from "../../model/route.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestTrace, RequestTracer } from "../../telemetry/tracing/tracer.ts";
import type { TimeoutOptions } from "../cluster/timeouts.ts";
import type { FilterStage } from "../filters/filter.ts";
import type { UpstreamCluster } from "../outbound.ts";
import type { CompiledRoute, CompiledRouteTable } from "../router/compile-routes.ts";
import type { ConnectionManagerStages } from "../router/connection-manager.ts";
import type { ForwardRule } from "./forward-rule.ts";
import type { HttpStats } from "./http-stats.ts";
import type { LocalReplies } from "./local-reply.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** What outlives configurations: clocks, timers, clusters. */
export interface HttpContext {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  /** This machine's address, as `x-forwarded-for` names it. */
  readonly localAddress: string;
  /** The cluster of that name in the configuration in force. */
  cluster(name: string): UpstreamCluster | null;
}

/** Told of each exchange when it is over. The objects are reused: what is kept must be copied. */
export type Observe = (
  info: StreamInfo,
  request: RequestHead,
  response: ResponseHead,
  route: CompiledRoute | null,
  trailers: HeaderMap | null,
) => void;

export interface HttpRuntime {
  readonly config: HttpConnectionManager;
  readonly context: HttpContext;
  readonly stages: ConnectionManagerStages;
  readonly localReplies: LocalReplies;
  /** null without tracing. */
  readonly tracer: RequestTracer | null;
  /** True where the caller is the local application, who is told plainly what went wrong. */
  readonly callerIsLocal: boolean;
  /** Bytes of a request that are kept for retries or while no connection stands. */
  readonly bufferLimit: number;
  /** The router filter's settings about timeout headers. */
  readonly timeoutOptions: TimeoutOptions;
  /** False with `suppress_envoy_headers`. */
  readonly keepOriginals: boolean;
  /** Timeouts and retries of a route, compiled when first used. */
  forwardRule(route: CompiledRoute, action: ForwardAction): ForwardRule;
  /** The table in force; null while none has arrived (RDS). */
  routes(): CompiledRouteTable | null;
  /** HTTP filters of a route, the router excluded. Without a route: those that run before one is needed. */
  filters(route: CompiledRoute | null): readonly FilterStage[];
  /** Numbers of its connections. */
  readonly stats: HttpStats;
  /** Metrics and access logs, at the end of an exchange. */
  readonly observe: Observe;
}

export type { RequestTrace };
