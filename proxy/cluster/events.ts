/** What happens to a cluster's endpoints and breaker, told once with the arithmetic behind it: to logs, metrics, traces. */

export type ClusterEventKind =
  | "ejected"
  /** What would have been ejected, was it not for an enforcing percentage or a dry run. */
  | "ejection_not_enforced"
  /** What would have been ejected, was it not for the highest share that may be. */
  | "ejection_overflow"
  | "probe"
  | "readmitted"
  | "breaker_opened"
  | "breaker_half_open"
  | "breaker_closed";

export interface ClusterEvent {
  readonly kind: ClusterEventKind;
  readonly cluster: string;
  /** `10.0.0.3:80`; "" where it concerns the cluster as a whole. */
  readonly endpoint: string;
  /** A sentence with the numbers, without a full stop: `ejected for 30 s: 5 consecutive 5xx`. */
  readonly message: string;
}

export interface ClusterObserver {
  onClusterEvent(event: ClusterEvent): void;
}

/** `250 ms`, `1.5 s`, `2 min`: durations in sentences. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Number((ms / 1000).toFixed(1))} s`;
  return `${Number((ms / 60_000).toFixed(1))} min`;
}

/** `56%`, `56.3%`. */
export function formatPercent(percent: number): string {
  return `${Number(percent.toFixed(1))}%`;
}
