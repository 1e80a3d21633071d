/** Exponential backoff with full jitter, shared by retries, reconnection and re-issuing of certificates. */
import type { Random } from "./random.ts";

export interface BackoffPolicy {
  /** Upper bound of the first wait, milliseconds. */
  readonly baseMs: number;
  /** No wait is longer than this, milliseconds. */
  readonly maxMs: number;
}

/**
 * The wait before attempt number `attempt` (0 is the first retry), milliseconds: uniform in [0, min(max, base·2^attempt)),
 * as Envoy's JitteredExponentialBackOffStrategy draws it.
 */
export function backoffDelay(policy: BackoffPolicy, attempt: number, random: Random): number {
  const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt, 30));
  return random() * bound;
}
