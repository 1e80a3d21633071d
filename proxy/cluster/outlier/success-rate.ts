/**
 * Success rate and failure percentage over the interval that has just ended: which endpoints stand out from the others
 * (Envoy's `processSuccessRateEjections`). Pure arithmetic on counts.
 */
import { formatPercent } from "../events.ts";

/** Requests and successes of one endpoint in the interval that is judged. */
export interface IntervalCounts {
  readonly lastTotal: number;
  readonly lastSuccess: number;
}

/** Percent; meaningful only if there were requests. */
function rateOf({ lastSuccess, lastTotal }: IntervalCounts): number {
  return (lastSuccess / lastTotal) * 100;
}

export interface RateThresholds {
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** Thousandths, as in Envoy: 1900 is 1.9 standard deviations. */
  readonly successRateStdevFactor: number;
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
}

export interface Outlier {
  /** Index into the counts given. */
  readonly index: number;
  readonly kind: "success_rate" | "failure_percentage";
  /** The arithmetic, for people. */
  readonly reason: string;
}

/** Those of `counts` (endpoints in service) that are outliers, in the order in which Envoy ejects them. */
export function findOutliers(counts: readonly IntervalCounts[], limits: RateThresholds): Outlier[] {
  return [...successRateOutliers(counts, limits), ...failurePercentageOutliers(counts, limits)];
}

function successRateOutliers(counts: readonly IntervalCounts[], limits: RateThresholds): Outlier[] {
  const judged = indicesWithVolume(counts, limits.successRateRequestVolume);
  if (judged.length === 0 || judged.length < limits.successRateMinimumHosts) return [];
  const rates = judged.map((index) => rateOf(counts[index] as IntervalCounts));
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length);
  const factor = limits.successRateStdevFactor / 1000;
  const threshold = mean - factor * deviation;
  const found: Outlier[] = [];
  judged.forEach((index, i) => {
    const rate = rates[i] as number;
    if (rate >= threshold) return;
    const { lastSuccess, lastTotal } = counts[index] as IntervalCounts;
    const reason =
      `${lastSuccess} of ${lastTotal} calls succeeded (${formatPercent(rate)} < ${formatPercent(threshold)} = mean ` +
      `${formatPercent(mean)} − ${factor} × standard deviation ${formatPercent(deviation)} of ${rates.length} endpoints)`;
    found.push({ index, kind: "success_rate", reason });
  });
  return found;
}

function failurePercentageOutliers(counts: readonly IntervalCounts[], limits: RateThresholds): Outlier[] {
  const judged = indicesWithVolume(counts, limits.failurePercentageRequestVolume);
  if (judged.length === 0 || judged.length < limits.failurePercentageMinimumHosts) return [];
  const found: Outlier[] = [];
  for (const index of judged) {
    const { lastSuccess, lastTotal } = counts[index] as IntervalCounts;
    const failed = 100 - rateOf({ lastSuccess, lastTotal });
    if (failed < limits.failurePercentageThreshold) continue;
    const reason =
      `${lastTotal - lastSuccess} of ${lastTotal} calls failed ` +
      `(${formatPercent(failed)} ≥ ${formatPercent(limits.failurePercentageThreshold)})`;
    found.push({ index, kind: "failure_percentage", reason });
  }
  return found;
}

function indicesWithVolume(counts: readonly IntervalCounts[], volume: number): number[] {
  const indices: number[] = [];
  counts.forEach((count, index) => {
    if (count.lastTotal > 0 && count.lastTotal >= volume) indices.push(index);
  });
  return indices;
}
