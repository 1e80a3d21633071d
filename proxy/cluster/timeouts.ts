/**
 * How long a request and each of its attempts may take: the route's limits and what the caller's headers make of them,
 * as Envoy's router merges them (`FilterUtility::finalTimeout`). All values are ms; 0 means no limit.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import type { ForwardAction, RetryPolicy } from "../../model/route.ts";
import {
  EXPECTED_TIMEOUT,
  mayHaveTimeoutHeaders,
  PER_TRY_TIMEOUT,
  parseUnsigned,
  UPSTREAM_TIMEOUT,
} from "./envoy-headers.ts";
import { formatGrpcTimeout, parseGrpcTimeout } from "./grpc-timeout.ts";

/** Envoy's default for `RouteAction.timeout`. */
const DEFAULT_ROUTE_TIMEOUT_MS = 15_000;

/** A route's own limits. */
export interface RouteTimeouts {
  readonly routeMs: number;
  readonly perTryMs: number;
  readonly perTryIdleMs: number;
  /** Cap on `grpc-timeout` of gRPC requests (`max_grpc_timeout`; 0: no cap); null: that header is not looked at. */
  readonly maxGrpcMs: number | null;
  /** Taken off what `grpc-timeout` says, unless nothing would be left. */
  readonly grpcOffsetMs: number;
}

/** What the router filter is configured to do with the headers. */
export interface TimeoutOptions {
  /** Tells the upstream how long it has (`x-envoy-expected-rq-timeout-ms`); false with `suppress_envoy_headers`. */
  readonly tellUpstream: boolean;
  /** `respect_expected_rq_timeout`: what an egress proxy told counts as the route's timeout. */
  readonly respectExpected: boolean;
}

/** `retryPolicy` is the one in force: the route's or its virtual host's. */
export function compileTimeouts(action: ForwardAction, retryPolicy: RetryPolicy | null): RouteTimeouts {
  // A route with `max_stream_duration` takes its limits from there alone: `timeout` and its default do not apply.
  const newTimeouts = action.maxStreamDurationMs !== null || action.grpcStreamTimeout !== undefined;
  return {
    routeMs: newTimeouts ? 0 : (action.timeoutMs ?? DEFAULT_ROUTE_TIMEOUT_MS),
    perTryMs: retryPolicy?.perTryTimeoutMs ?? 0,
    perTryIdleMs: retryPolicy?.perTryIdleTimeoutMs ?? 0,
    maxGrpcMs: newTimeouts ? null : action.maxGrpcTimeoutMs,
    grpcOffsetMs: action.grpcTimeoutOffsetMs ?? 0,
  };
}

/** The limits of one request; kept by its exchange and set anew for each. */
export class RequestTimeouts {
  routeMs = 0;
  perTryMs = 0;
  perTryIdleMs = 0;

  /** Merges the route's limits with the request's headers, and takes out and sets the headers that Envoy does. */
  set(route: RouteTimeouts, headers: HeaderMap, grpc: boolean, options: TimeoutOptions): void {
    const { maxGrpcMs, grpcOffsetMs } = route;
    this.routeMs = grpc && maxGrpcMs !== null ? grpcTimeout(headers, maxGrpcMs, grpcOffsetMs) : route.routeMs;
    this.perTryMs = route.perTryMs;
    this.perTryIdleMs = route.perTryIdleMs;
    if (mayHaveTimeoutHeaders(headers)) this.#merge(headers, options.respectExpected);
    if (this.perTryMs >= this.routeMs && this.routeMs !== 0) this.perTryMs = 0;
    this.tellUpstream(route, headers, grpc, options, 0);
  }

  /** Sets the headers that tell the upstream its time; again for each retry, `elapsedMs` after the request began. */
  tellUpstream(
    route: RouteTimeouts,
    headers: HeaderMap,
    grpc: boolean,
    options: TimeoutOptions,
    elapsedMs: number,
  ): void {
    let expected = this.perTryMs === 0 ? this.routeMs : this.perTryMs;
    if (expected === 0) return;
    if (this.routeMs > 0) {
      // Time is up already, but 0 would mean that there is no limit.
      expected = elapsedMs >= this.routeMs ? 1 : Math.min(expected, this.routeMs - elapsedMs);
    }
    expected = Math.floor(expected);
    if (options.tellUpstream) headers.set(EXPECTED_TIMEOUT, String(expected));
    if (grpc && route.maxGrpcMs !== null) headers.set("grpc-timeout", formatGrpcTimeout(expected));
  }

  #merge(headers: HeaderMap, respectExpected: boolean): void {
    const expected = respectExpected ? headers.get(EXPECTED_TIMEOUT) : null;
    if (expected !== null) {
      this.routeMs = parseUnsigned(expected) ?? this.routeMs;
    } else {
      this.routeMs = parseUnsigned(headers.get(UPSTREAM_TIMEOUT)) ?? this.routeMs;
      headers.remove(UPSTREAM_TIMEOUT);
    }
    this.perTryMs = parseUnsigned(headers.get(PER_TRY_TIMEOUT)) ?? this.perTryMs;
    headers.remove(PER_TRY_TIMEOUT);
  }
}

/** What the caller's `grpc-timeout` allows, at most `maxMs`; without the header, `maxMs`. */
function grpcTimeout(headers: HeaderMap, maxMs: number, offsetMs: number): number {
  let asked = parseGrpcTimeout(headers.get("grpc-timeout")) ?? 0;
  if (offsetMs < asked) asked -= offsetMs;
  if (maxMs !== 0 && (asked === 0 || asked > maxMs)) return maxMs;
  return asked;
}

/**
 * How long the whole stream may last by its route's `max_stream_duration`, where callers may ask for their own limit in
 * `grpc-timeout` up to `grpc_timeout_header_max`; null: the connection manager's limit holds, 0: none. As in Envoy,
 * upstreams of gRPC are told of a limit of the route's.
 */
export function streamDuration(action: ForwardAction, headers: HeaderMap, grpc: boolean): number | null {
  const { grpcStreamTimeout } = action;
  const asked = grpcStreamTimeout === undefined ? null : parseGrpcTimeout(headers.get("grpc-timeout"));
  if (grpcStreamTimeout === undefined || asked === null) {
    const limit = action.maxStreamDurationMs;
    if (grpc && limit !== null && limit > 0) headers.set("grpc-timeout", formatGrpcTimeout(limit));
    return limit;
  }
  const { maxMs, offsetMs } = grpcStreamTimeout;
  const capped = maxMs === 0 ? asked : Math.min(asked, maxMs);
  const left = Math.max(0, capped - offsetMs);
  if (grpc) headers.set("grpc-timeout", formatGrpcTimeout(left));
  // Nothing left is no time at all, while 0 would mean that there is no limit.
  return Math.max(1, left);
}

/** Tells the upstream how much of a gRPC call's deadline is left; never 0, which would be no time at all. */
export function tellDeadline(headers: HeaderMap, leftMs: number): void {
  headers.set("grpc-timeout", formatGrpcTimeout(Math.max(1, Math.floor(leftMs))));
}
