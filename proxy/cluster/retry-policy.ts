/** A route's retry policy, compiled when configuration arrives: conditions as bits, matchers as functions. */
import { HeaderMap } from "../../core/header-map.ts";
import type { HeaderMatch } from "../../model/matcher.ts";
import type { RetryCondition, RetryPolicy } from "../../model/route.ts";
import { noRequest } from "../../telemetry/stream-info.ts";
import { compileHeaderMatch, type RequestTest } from "../router/compile-matcher.ts";
import { splitList } from "./envoy-headers.ts";

/** Envoy's retry conditions, one bit each. */
export const RetryOn = {
  serverError: 1 << 0,
  gatewayError: 1 << 1,
  reset: 1 << 2,
  resetBeforeRequest: 1 << 3,
  connectFailure: 1 << 4,
  rateLimited: 1 << 5,
  retriable4xx: 1 << 6,
  refusedStream: 1 << 7,
  retriableStatusCodes: 1 << 8,
  retriableHeaders: 1 << 9,
  grpcCancelled: 1 << 10,
  grpcDeadlineExceeded: 1 << 11,
  grpcInternal: 1 << 12,
  grpcResourceExhausted: 1 << 13,
  grpcUnavailable: 1 << 14,
} as const;

/** Names in `retry_on` and `x-envoy-retry-on`. */
const CONDITIONS: Readonly<Record<string, number>> = {
  "5xx": RetryOn.serverError,
  "gateway-error": RetryOn.gatewayError,
  reset: RetryOn.reset,
  "reset-before-request": RetryOn.resetBeforeRequest,
  "connect-failure": RetryOn.connectFailure,
  "envoy-ratelimited": RetryOn.rateLimited,
  "retriable-4xx": RetryOn.retriable4xx,
  "refused-stream": RetryOn.refusedStream,
  "retriable-status-codes": RetryOn.retriableStatusCodes,
  "retriable-headers": RetryOn.retriableHeaders,
  // Only HTTP/3 upstreams, which there are none of.
  "http3-post-connect-failure": 0,
} satisfies Partial<Record<RetryCondition, number>>;

/** Names in `retry_on` and `x-envoy-retry-grpc-on`. */
const GRPC_CONDITIONS: Readonly<Record<string, number>> = {
  cancelled: RetryOn.grpcCancelled,
  "deadline-exceeded": RetryOn.grpcDeadlineExceeded,
  internal: RetryOn.grpcInternal,
  "resource-exhausted": RetryOn.grpcResourceExhausted,
  unavailable: RetryOn.grpcUnavailable,
} satisfies Partial<Record<RetryCondition, number>>;

/** The bit of a `grpc-status` value, 0 for one that is never retried. */
export function grpcStatusBit(status: number): number {
  switch (status) {
    case 1:
      return RetryOn.grpcCancelled;
    case 4:
      return RetryOn.grpcDeadlineExceeded;
    case 8:
      return RetryOn.grpcResourceExhausted;
    case 13:
      return RetryOn.grpcInternal;
    case 14:
      return RetryOn.grpcUnavailable;
    default:
      return 0;
  }
}

const ANY_GRPC =
  RetryOn.grpcCancelled |
  RetryOn.grpcDeadlineExceeded |
  RetryOn.grpcInternal |
  RetryOn.grpcResourceExhausted |
  RetryOn.grpcUnavailable;

/** Whether some gRPC condition is among `conditions`. */
export function hasGrpcCondition(conditions: number): boolean {
  return (conditions & ANY_GRPC) !== 0;
}

/** Conditions of an `x-envoy-retry-on` header; names that are not known are passed over, as in Envoy. */
export function parseRetryOn(header: string): number {
  return splitList(header).reduce((bits, name) => bits | (CONDITIONS[name] ?? 0), 0);
}

/** Conditions of an `x-envoy-retry-grpc-on` header. */
export function parseRetryGrpcOn(header: string): number {
  return splitList(header).reduce((bits, name) => bits | (GRPC_CONDITIONS[name] ?? 0), 0);
}

export type ResponseTest = (status: number, headers: HeaderMap) => boolean;

export interface CompiledRetryPolicy {
  /** Bits of `RetryOn`. */
  readonly conditions: number;
  readonly numRetries: number;
  readonly statusCodes: readonly number[];
  readonly responseTests: readonly ResponseTest[];
  /** One of these has to hold for a request to be retried; null: no such rule. */
  readonly requestTests: readonly RequestTest[] | null;
  readonly backoff: RetryPolicy["backoff"];
  readonly rateLimitedBackoff: RetryPolicy["rateLimitedBackoff"];
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionMaxAttempts: number;
  /**
   * Outrigger's own rule: only what is idempotent, or never reached the application, is sent again. Under plain Envoy
   * configuration Envoy's meaning holds: a POST that matches is repeated.
   */
  readonly onlySafe: boolean;
}

/** What Envoy uses where a route has no retry policy but the caller's headers ask for retries. */
const NO_POLICY: RetryPolicy = {
  on: [],
  numRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backoff: { baseMs: 25, maxMs: 250 },
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
  rateLimitedBackoff: null,
};

/** Compiles the policy in force for a route; null stands for "none configured". Throws on a bad regular expression. */
export function compileRetryPolicy(configured: RetryPolicy | null, onlySafe: boolean): CompiledRetryPolicy {
  const policy = configured ?? NO_POLICY;
  return {
    conditions: policy.on.reduce((bits, name) => bits | (CONDITIONS[name] ?? GRPC_CONDITIONS[name] ?? 0), 0),
    numRetries: policy.numRetries,
    statusCodes: policy.retriableStatusCodes,
    responseTests: policy.retriableHeaders.map(compileResponseMatch),
    requestTests:
      policy.retriableRequestHeaders.length === 0 ? null : policy.retriableRequestHeaders.map(compileHeaderMatch),
    backoff: policy.backoff,
    rateLimitedBackoff: policy.rateLimitedBackoff,
    avoidPreviousHosts: policy.avoidPreviousHosts,
    hostSelectionMaxAttempts: policy.hostSelectionMaxAttempts,
    onlySafe,
  };
}

/** A response seen through the matchers, which read requests: only its headers are there. */
const view = noRequest();

function compileResponseMatch(match: HeaderMatch): ResponseTest {
  const test = compileHeaderMatch(match);
  if (match.name === ":status") {
    return (status) => {
      view.headers = HeaderMap.of({ ":status": String(status) });
      return test(view);
    };
  }
  return (_status, headers) => {
    view.headers = headers;
    return test(view);
  };
}

/** The matcher of one name in `x-envoy-retriable-header-names`: that the response has it. */
export function presenceTest(name: string): ResponseTest {
  const lower = name.toLowerCase();
  return (_status, headers) => headers.has(lower);
}
