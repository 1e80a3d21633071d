/** What a cluster's settings say of one ejection: whether it is enforced, how long it lasts, and why, in words. */
import type { Random } from "../../../core/random.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import { formatPercent } from "../events.ts";
import type { HostRecord } from "./host-record.ts";
import type { EjectionKind } from "./outlier-stats.ts";

/** In how many of a hundred cases a detection ejects. */
export function enforcingPercent(kind: EjectionKind, config: OutlierDetection): number {
  switch (kind) {
    case "consecutive_5xx":
      return config.enforcingConsecutive5xx;
    case "consecutive_gateway_failure":
      return config.enforcingConsecutiveGatewayFailure;
    case "consecutive_local_origin_failure":
      return config.enforcingConsecutiveLocalOriginFailure;
    case "success_rate":
      return config.enforcingSuccessRate;
    case "local_origin_success_rate":
      return config.enforcingLocalOriginSuccessRate ?? 100;
    case "failure_percentage":
      return config.enforcingFailurePercentage;
    case "local_origin_failure_percentage":
      return config.enforcingFailurePercentageLocalOrigin ?? 0;
  }
}

/** How long the next ejection lasts, ms, jitter included: longer each time until it has behaved for a while. */
export function nextEjection(
  { backoff: before }: HostRecord,
  { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs }: OutlierDetection,
  random: Random,
): { forMs: number; backoff: number } {
  const backoff = before * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs ? before + 1 : before;
  const jitterMs = Math.floor(random() * (maxEjectionTimeJitterMs + 1));
  return { backoff, forMs: Math.min(baseEjectionTimeMs * backoff, maxEjectionTimeMs) + jitterMs };
}

export function runReason(kind: EjectionKind, config: OutlierDetection): string {
  if (kind === "consecutive_5xx") return `${config.consecutive5xx} consecutive 5xx`;
  if (kind === "consecutive_gateway_failure") {
    return `${config.consecutiveGatewayFailure} consecutive gateway failures (502, 503 or 504)`;
  }
  return `${config.consecutiveLocalOriginFailure} consecutive local origin failures (connect, timeout or reset)`;
}

/** Why an endpoint is out; of rates only the thread that judged them knows the arithmetic. */
export function reasonOf({ kind, reason }: HostRecord, config: OutlierDetection): string {
  if (reason !== "") return reason;
  if (kind.startsWith("consecutive")) return runReason(kind, config);
  return kind.endsWith("success_rate")
    ? "it succeeded less often than the other endpoints"
    : `at least ${formatPercent(config.failurePercentageThreshold)} of its calls failed`;
}
