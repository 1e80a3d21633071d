/**
 * Retries of a route. A failure that the application may have seen is tried again only for methods that may be repeated
 * (RFC 9110, section 9.2.2), unless the policy says otherwise: a POST that was sent twice is worse than one that failed.
 */
import type { HeaderMatch } from "../../model/matcher.ts";
import type { RetryCondition, RetryPolicy } from "../../model/route.ts";
import { GRPC_CONDITIONS, UNSEEN_FAILURES } from "../manifest/resilience-policy.ts";
import type { CallPolicy } from "../mesh/state.ts";
import { RETRY } from "./envoy-defaults.ts";

const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
const UNSEEN: readonly RetryCondition[] = UNSEEN_FAILURES;
const OF_GRPC: readonly RetryCondition[] = GRPC_CONDITIONS;

/** A retry policy, and the requests that it is for (null: all that the route matches). */
export interface RetryVariant {
  readonly only: HeaderMatch | null;
  readonly retry: RetryPolicy;
}

/** The variants of a route for calls that are not gRPC and have `method` (null: any), to be tried in this order. */
export function retryVariants(call: CallPolicy, method: string | null): readonly RetryVariant[] {
  const { nonIdempotent } = call.retry;
  const on = call.retry.on.filter((condition) => !OF_GRPC.includes(condition));
  const careful = on.filter((condition) => UNSEEN.includes(condition));
  if (nonIdempotent || careful.length === on.length) return [{ only: null, retry: policy(call, on) }];
  if (method !== null) return [{ only: null, retry: policy(call, IDEMPOTENT.includes(method) ? on : careful) }];
  return [
    {
      only: {
        name: ":method",
        match: { kind: "string", match: { kind: "regex", value: IDEMPOTENT.join("|") } },
        invert: false,
        treatMissingAsEmpty: false,
      },
      retry: policy(call, on),
    },
    { only: null, retry: policy(call, careful) },
  ];
}

/**
 * Retries of gRPC calls. All of them are POST, which tells nothing about whether they may be repeated: who names a
 * `grpc-status` says that they may be after that one. Conditions that speak of HTTP are held to POST's rule.
 */
export function grpcRetry(call: CallPolicy): RetryPolicy {
  const { on, nonIdempotent } = call.retry;
  return policy(
    call,
    on.filter((condition) => nonIdempotent || UNSEEN.includes(condition) || OF_GRPC.includes(condition)),
  );
}

function policy(call: CallPolicy, on: readonly RetryCondition[]): RetryPolicy {
  return {
    ...RETRY,
    on,
    numRetries: on.length === 0 ? 0 : call.retry.attempts - 1,
    perTryTimeoutMs: call.perTryMs,
    retriableStatusCodes: on.includes("retriable-status-codes") ? call.retry.statusCodes : [],
    backoff: call.retry.backoff,
    // Another instance first: the one that just failed is the likeliest to fail again.
    avoidPreviousHosts: true,
    hostSelectionMaxAttempts: 5,
  };
}
