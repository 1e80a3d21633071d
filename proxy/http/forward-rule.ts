/** What a route says about timeouts and retries, compiled once per route. */
import type { ForwardAction } from "../../model/route.ts";
import { type CompiledRetryPolicy, compileRetryPolicy } from "../cluster/retry-policy.ts";
import { compileTimeouts, type RouteTimeouts } from "../cluster/timeouts.ts";
import type { CompiledRoute } from "../router/compile-routes.ts";

export interface ForwardRule {
  readonly priority: ForwardAction["priority"];
  readonly timeouts: RouteTimeouts;
  readonly retry: CompiledRetryPolicy;
  /** For clusters under Outrigger's own policy: only what is safe is sent twice. */
  readonly safeRetry: CompiledRetryPolicy;
  /** Bytes of a request's body that are kept for retries, where the configuration says less than the connection's limit. */
  readonly bufferLimit: number;
}

export function compileForwardRule(route: CompiledRoute, action: ForwardAction): ForwardRule {
  return {
    priority: action.priority,
    timeouts: compileTimeouts(action, route.retryPolicy),
    retry: compileRetryPolicy(route.retryPolicy, false),
    safeRetry: compileRetryPolicy(route.retryPolicy, true),
    bufferLimit: route.route.requestBufferLimitBytes ?? route.virtualHost.requestBufferLimitBytes ?? Infinity,
  };
}
