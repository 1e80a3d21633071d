/**
 * What the hot path writes to: a number, or a row of numbers. Cells are looked up when configuration arrives, so a
 * request pays for an addition and nothing else; everything about names and labels waits until someone scrapes.
 */

export class CounterCell {
  value = 0;

  inc(n = 1): void {
    this.value += n;
  }
}

export class GaugeCell {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(n = 1): void {
    this.value += n;
  }

  dec(n = 1): void {
    this.value -= n;
  }
}

export class HistogramCell {
  /** Upper bounds, inclusive, ascending; shared by all cells of a family. */
  readonly bounds: Float64Array;
  /** Observations per bucket, not cumulative; the last one is for what lies above all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: Float64Array) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Counts `value`; what is not finite is left out, since it would spoil the sum for good. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    const bounds = this.bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (bounds[middle] as number)) high = middle;
      else low = middle + 1;
    }
    this.counts[low] = (this.counts[low] as number) + 1;
    this.sum += value;
  }

  /** How many values were observed. */
  get count(): number {
    let count = 0;
    for (const n of this.counts) count += n;
    return count;
  }
}

export type Cell = CounterCell | GaugeCell | HistogramCell;

/**
 * The value below which a share `q` (0 to 1) of the observations lies, interpolated inside its bucket as Prometheus
 * does; NaN without observations. What lies above all bounds counts as the last bound.
 */
export function quantile(bounds: ArrayLike<number>, counts: ArrayLike<number>, q: number): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] ?? 0;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    const inside = counts[i] ?? 0;
    if (below + inside >= rank && inside > 0) {
      const lower = i === 0 ? 0 : (bounds[i - 1] ?? 0);
      return lower + ((bounds[i] ?? 0) - lower) * ((rank - below) / inside);
    }
    below += inside;
  }
  return bounds[bounds.length - 1] ?? Number.NaN;
}
