/** When and how a call is tried again: `route.v3.RetryPolicy`. */
import { create } from "@bufbuild/protobuf";
import {
  RetryPolicy_ResetHeaderFormat as ResetFormat,
  type RetryPolicy_RateLimitedRetryBackOff,
  RetryPolicy_RateLimitedRetryBackOffSchema,
  RetryPolicy_ResetHeaderFormatSchema,
  RetryPolicy_RetryBackOffSchema,
  RetryPolicy_RetryHostPredicateSchema,
  type RetryPolicy as RetryPolicyMessage,
  RetryPolicySchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../../generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import type { RetryCondition, RetryPolicy } from "../../model/route.ts";
import { packAny, unpackAny } from "../any.ts";
import { decodeHeaderName } from "../header-name.ts";
import { decodeHeaderMatcher, encodeHeaderMatcher } from "../matcher.ts";
import type { Place } from "../place.ts";
import { duration, durationMs, numberOf, positiveDurationMs, wordOf } from "../values.ts";

/** Every condition there is; a record, so that the compiler misses none. */
const CONDITIONS: Readonly<Record<RetryCondition, true>> = {
  "5xx": true,
  "gateway-error": true,
  reset: true,
  "reset-before-request": true,
  "connect-failure": true,
  "envoy-ratelimited": true,
  "retriable-4xx": true,
  "refused-stream": true,
  "retriable-status-codes": true,
  "retriable-headers": true,
  "http3-post-connect-failure": true,
  cancelled: true,
  "deadline-exceeded": true,
  internal: true,
  "resource-exhausted": true,
  unavailable: true,
};

/** Envoy's defaults, ms. */
const BASE_INTERVAL_MS = 25;
const MAX_INTERVAL_FACTOR = 10;
const RATE_LIMITED_MAX_INTERVAL_MS = 300_000;

export function decodeRetryPolicy(message: RetryPolicyMessage, at: Place): RetryPolicy {
  return {
    on: decodeConditions(message.retryOn, at.field("retry_on")),
    numRetries: message.numRetries ?? 1,
    perTryTimeoutMs: durationMs(message.perTryTimeout, 0, at.field("per_try_timeout")),
    perTryIdleTimeoutMs: durationMs(message.perTryIdleTimeout, 0, at.field("per_try_idle_timeout")),
    retriableStatusCodes: [...message.retriableStatusCodes],
    retriableHeaders: message.retriableHeaders.map((header, i) =>
      decodeHeaderMatcher(header, at.item("retriable_headers", i)),
    ),
    retriableRequestHeaders: message.retriableRequestHeaders.map((header, i) =>
      decodeHeaderMatcher(header, at.item("retriable_request_headers", i)),
    ),
    backoff: decodeBackoff(message, at.field("retry_back_off")),
    avoidPreviousHosts: decodeHostPredicates(message, at),
    hostSelectionMaxAttempts: decodeAttempts(message.hostSelectionRetryMaxAttempts, at),
    rateLimitedBackoff: message.rateLimitedRetryBackOff
      ? decodeRateLimited(message.rateLimitedRetryBackOff, at.field("rate_limited_retry_back_off"))
      : null,
  };
}

/** A word that is no condition never holds, in Envoy too: said aloud here, since it is nearly always a slip. */
function decodeConditions(retryOn: string, at: Place): RetryCondition[] {
  const found: RetryCondition[] = [];
  for (const word of retryOn.split(",").map((part) => part.trim())) {
    if (word === "") continue;
    if (!isCondition(word)) at.note(`${JSON.stringify(word)} is no retry condition and never holds`);
    else if (!found.includes(word)) found.push(word);
  }
  return found;
}

function isCondition(word: string): word is RetryCondition {
  return Object.hasOwn(CONDITIONS, word);
}

/** Intervals under a millisecond count as one, as in Envoy. */
function decodeBackoff(message: RetryPolicyMessage, at: Place): RetryPolicy["backoff"] {
  const backoff = message.retryBackOff;
  if (!backoff) return { baseMs: BASE_INTERVAL_MS, maxMs: BASE_INTERVAL_MS * MAX_INTERVAL_FACTOR };
  if (!backoff.baseInterval) at.field("base_interval").error("is required");
  const base = positiveDurationMs(backoff.baseInterval, BASE_INTERVAL_MS, at.field("base_interval"));
  const baseMs = Math.max(base, 1);
  const max = positiveDurationMs(backoff.maxInterval, baseMs * MAX_INTERVAL_FACTOR, at.field("max_interval"));
  const maxMs = Math.max(max, 1);
  if (maxMs < baseMs) at.field("max_interval").error("must not be less than base_interval");
  return { baseMs, maxMs };
}

function decodeHostPredicates(message: RetryPolicyMessage, at: Place): boolean {
  let avoid = false;
  message.retryHostPredicate.forEach((predicate, i) => {
    const place = at.item("retry_host_predicate", i);
    if (predicate.name === "") place.field("name").error("is required");
    const config = predicate.configType.value;
    if (unpackAny(config, [PreviousHostsPredicateSchema], place.field("typed_config"))) avoid = true;
  });
  return avoid;
}

function decodeAttempts(attempts: bigint, at: Place): number {
  if (attempts < 0n || attempts > 0x7fff_ffffn) {
    at.field("host_selection_retry_max_attempts").error(`must be from 0 to ${0x7fff_ffff}`);
    return 1;
  }
  return attempts === 0n ? 1 : Number(attempts);
}

const FORMATS = {
  [ResetFormat.SECONDS]: "seconds",
  [ResetFormat.UNIX_TIMESTAMP]: "unix_timestamp",
} as const;

function decodeRateLimited(
  message: RetryPolicy_RateLimitedRetryBackOff,
  at: Place,
): NonNullable<RetryPolicy["rateLimitedBackoff"]> {
  if (message.resetHeaders.length === 0) at.field("reset_headers").error("must not be empty");
  return {
    headers: message.resetHeaders.map((header, i) => {
      const place = at.item("reset_headers", i);
      return {
        name: decodeHeaderName(header.name, place.field("name")),
        format: wordOf(RetryPolicy_ResetHeaderFormatSchema, header.format, FORMATS, place.field("format")) ?? "seconds",
      };
    }),
    maxMs: positiveDurationMs(message.maxInterval, RATE_LIMITED_MAX_INTERVAL_MS, at.field("max_interval")),
  };
}

export function encodeRetryPolicy(policy: RetryPolicy): RetryPolicyMessage {
  const message = create(RetryPolicySchema, {
    retryOn: policy.on.join(","),
    numRetries: policy.numRetries,
    retriableStatusCodes: [...policy.retriableStatusCodes],
    retriableHeaders: policy.retriableHeaders.map(encodeHeaderMatcher),
    retriableRequestHeaders: policy.retriableRequestHeaders.map(encodeHeaderMatcher),
    retryBackOff: create(RetryPolicy_RetryBackOffSchema, {
      baseInterval: duration(policy.backoff.baseMs),
      maxInterval: duration(policy.backoff.maxMs),
    }),
    hostSelectionRetryMaxAttempts: BigInt(policy.hostSelectionMaxAttempts),
  });
  if (policy.perTryTimeoutMs > 0) message.perTryTimeout = duration(policy.perTryTimeoutMs);
  if (policy.perTryIdleTimeoutMs > 0) message.perTryIdleTimeout = duration(policy.perTryIdleTimeoutMs);
  if (policy.avoidPreviousHosts) message.retryHostPredicate = [previousHosts()];
  if (policy.rateLimitedBackoff) {
    message.rateLimitedRetryBackOff = create(RetryPolicy_RateLimitedRetryBackOffSchema, {
      resetHeaders: policy.rateLimitedBackoff.headers.map(({ name, format }) => ({
        name,
        format: numberOf(FORMATS, format),
      })),
      maxInterval: duration(policy.rateLimitedBackoff.maxMs),
    });
  }
  return message;
}

function previousHosts(): RetryPolicyMessage["retryHostPredicate"][number] {
  return create(RetryPolicy_RetryHostPredicateSchema, {
    name: "envoy.retry_host_predicates.previous_hosts",
    configType: {
      case: "typedConfig",
      value: packAny(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema)),
    },
  });
}
