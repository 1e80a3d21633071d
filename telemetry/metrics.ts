/**
 * The registry of metrics: families of cells that the hot path writes, and figures that are read from elsewhere when
 * someone scrapes. Written out as Prometheus' text format.
 */
import type { Clock } from "../core/clock.ts";
import type { CounterCell, GaugeCell, HistogramCell } from "./metrics/cells.ts";
import { exposition, type FamilySamples, formatLabels, type MetricType, type Sample } from "./metrics/exposition.ts";
import {
  DEFAULT_MAX_SERIES,
  Family,
  type FamilyOptions,
  makeCounter,
  makeGauge,
  makeHistogram,
  OTHER,
} from "./metrics/family.ts";

export { CounterCell, GaugeCell, HistogramCell, quantile } from "./metrics/cells.ts";
export { CONTENT_TYPE, exposition, type FamilySamples, mergeFamilies } from "./metrics/exposition.ts";
export { DEFAULT_EXPIRY_MS, Family, type FamilyOptions } from "./metrics/family.ts";

/** Request durations, seconds: from half a millisecond to half a minute. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Reports one series of a figure that is read at scrape. */
export type Emit = (value: number, ...labelValues: string[]) => void;

/** A family whose figures live elsewhere. */
export interface SampledOptions extends Omit<FamilyOptions, "expireAfterMs"> {
  readonly type: "counter" | "gauge";
}

export class MetricsRegistry {
  readonly #clock: Clock;
  readonly #collectors = new Map<string, () => FamilySamples>();
  readonly #overflow: Family<CounterCell>;
  readonly #before: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#overflow = this.counter({
      name: "outrigger_metrics_overflow_total",
      help: "Look-ups answered with the series `other`, since a metric had reached its limit of series",
      labels: ["metric"],
    });
  }

  counter(options: FamilyOptions): Family<CounterCell> {
    return this.#register(options, "counter", [], makeCounter);
  }

  gauge(options: FamilyOptions): Family<GaugeCell> {
    return this.#register(options, "gauge", [], makeGauge);
  }

  /** `buckets` are upper bounds, inclusive, ascending; the one for everything is added. */
  histogram(options: FamilyOptions, buckets: readonly number[] = DURATION_BUCKETS): Family<HistogramCell> {
    return this.#register(options, "histogram", buckets, makeHistogram);
  }

  /** Registers figures that `read` reports at each scrape: numbers that something else keeps anyway. */
  sampled(options: SampledOptions, read: (emit: Emit) => void): void {
    this.#claim(options.name, () => {
      const samples: Sample[] = [];
      const labelNames = options.labels ?? [];
      const maxSeries = options.maxSeries ?? DEFAULT_MAX_SERIES;
      let other: Sample | null = null;
      read((value, ...labelValues) => {
        if (samples.length < maxSeries) {
          samples.push({ labels: formatLabels(labelNames, labelValues), value, counts: null });
          return;
        }
        this.#overflow.cell(options.name).inc();
        const others = labelNames.map(() => OTHER);
        other ??= { labels: formatLabels(labelNames, others), value: 0, counts: null };
        other.value += value;
      });
      if (other) samples.push(other);
      return { name: options.name, help: options.help, type: options.type, bounds: [], samples };
    });
  }

  /** Calls `prepare` at the start of each scrape: for figures that several families read. */
  beforeCollect(prepare: () => void): void {
    this.#before.push(prepare);
  }

  /** Everything as plain data: what a worker sends to the thread that is scraped. */
  collect(): FamilySamples[] {
    for (const prepare of this.#before) prepare();
    return [...this.#collectors.values()].map((collect) => collect());
  }

  /** The text format in pieces; see `exposition`. */
  pieces(): Iterable<string> {
    return exposition(this.collect());
  }

  /** The whole text format at once. */
  text(): string {
    return [...this.pieces()].join("");
  }

  #register<C extends CounterCell | GaugeCell | HistogramCell>(
    options: FamilyOptions,
    type: MetricType,
    buckets: readonly number[],
    make: (bounds: Float64Array) => C,
  ): Family<C> {
    const family = new Family(options, type, Float64Array.from(buckets), make, {
      clock: this.#clock,
      onOverflow: (name) => this.#overflow.cell(name).inc(),
    });
    this.#claim(options.name, () => family.collect());
    return family;
  }

  #claim(name: string, collect: () => FamilySamples): void {
    if (this.#collectors.has(name)) throw new Error(`metric ${name} is registered twice`);
    this.#collectors.set(name, collect);
  }
}
