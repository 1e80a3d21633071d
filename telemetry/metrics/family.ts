/**
 * The series of one metric. Their number is bounded: past the cap everything goes to one series whose labels say
 * `other`. Series with labels that peers or traffic choose are hidden once they have not changed for a while, and
 * forgotten when nobody holds them any more.
 */
import type { Clock } from "../../core/clock.ts";
import { type Cell, CounterCell, GaugeCell, HistogramCell } from "./cells.ts";
import { type FamilySamples, formatLabels, type MetricType, type Sample } from "./exposition.ts";

export const DEFAULT_MAX_SERIES = 10_000;

/** How long an unchanged series stays visible: several scrapes at any usual interval. */
export const DEFAULT_EXPIRY_MS = 15 * 60_000;

/** Label value of the series that takes what the cap leaves out. */
export const OTHER = "other";

export interface FamilyOptions {
  readonly name: string;
  /** A sentence without a full stop. */
  readonly help: string;
  readonly labels?: readonly string[];
  /** Past this, look-ups give the series `other`; the default is 10,000. */
  readonly maxSeries?: number;
  /** Unchanged series are hidden after this; 0 (the default): never. */
  readonly expireAfterMs?: number;
}

interface Series<C extends Cell> {
  readonly labels: string;
  readonly cell: C;
  /** What the cell held when it last changed, and when that was. */
  seen: number;
  changedAt: number;
}

/** What a family needs of its registry. */
export interface FamilyHost {
  readonly clock: Clock;
  /** Told whenever a look-up had to be answered with the `other` series. */
  onOverflow(family: string): void;
}

export class Family<C extends Cell> {
  readonly name: string;
  readonly #help: string;
  readonly #type: MetricType;
  readonly #labelNames: readonly string[];
  readonly #maxSeries: number;
  readonly #expireAfterMs: number;
  readonly #bounds: Float64Array;
  readonly #make: (bounds: Float64Array) => C;
  readonly #host: FamilyHost;
  readonly #series = new Map<string, Series<C>>();
  /** Series that have expired, as long as someone may still write to their cells. */
  readonly #hidden = new Map<string, WeakRef<C>>();
  /** What a cell held when its series expired. */
  readonly #hiddenAt = new WeakMap<C, number>();
  #other: Series<C> | null = null;

  constructor(
    options: FamilyOptions,
    type: MetricType,
    bounds: Float64Array,
    make: (bounds: Float64Array) => C,
    host: FamilyHost,
  ) {
    this.name = options.name;
    this.#help = options.help;
    this.#type = type;
    this.#labelNames = options.labels ?? [];
    this.#maxSeries = options.maxSeries ?? DEFAULT_MAX_SERIES;
    this.#expireAfterMs = options.expireAfterMs ?? 0;
    this.#bounds = bounds;
    this.#make = make;
    this.#host = host;
  }

  /** How many series there are, hidden ones included. */
  get size(): number {
    return this.#series.size + this.#hidden.size + (this.#other === null ? 0 : 1);
  }

  /** The cell of these label values, in the order of the family's labels. Keep it: a look-up builds strings. */
  cell(...values: string[]): C {
    const labels = formatLabels(this.#labelNames, values);
    const known = this.#series.get(labels);
    if (known) return known.cell;
    const hidden = this.#hidden.get(labels)?.deref();
    if (hidden) return this.#add(labels, hidden).cell;
    this.#hidden.delete(labels);
    if (this.#series.size + this.#hidden.size >= this.#maxSeries) {
      this.#host.onOverflow(this.name);
      this.#other ??= this.#newSeries(
        formatLabels(
          this.#labelNames,
          this.#labelNames.map(() => OTHER),
        ),
        this.#make(this.#bounds),
      );
      return this.#other.cell;
    }
    return this.#add(labels, this.#make(this.#bounds)).cell;
  }

  /** Drops the series of these label values; whoever holds its cell writes into the void from now on. */
  remove(...values: string[]): void {
    const labels = formatLabels(this.#labelNames, values);
    this.#series.delete(labels);
    this.#hidden.delete(labels);
  }

  /** All visible series, after hiding those that have expired. */
  collect(): FamilySamples {
    if (this.#expireAfterMs > 0) this.#expire();
    const samples: Sample[] = [];
    for (const series of this.#series.values()) samples.push(sampleOf(series));
    if (this.#other) samples.push(sampleOf(this.#other));
    return { name: this.name, help: this.#help, type: this.#type, bounds: [...this.#bounds], samples };
  }

  #add(labels: string, cell: C): Series<C> {
    const series = this.#newSeries(labels, cell);
    this.#hidden.delete(labels);
    this.#series.set(labels, series);
    return series;
  }

  #newSeries(labels: string, cell: C): Series<C> {
    return { labels, cell, seen: activity(cell), changedAt: this.#host.clock.now() };
  }

  #expire(): void {
    const now = this.#host.clock.now();
    for (const [labels, ref] of this.#hidden) {
      const cell = ref.deref();
      if (cell === undefined) this.#hidden.delete(labels);
      else if (activity(cell) !== this.#hiddenAt.get(cell)) this.#add(labels, cell);
    }
    for (const series of this.#series.values()) {
      const seen = activity(series.cell);
      if (seen !== series.seen) {
        series.seen = seen;
        series.changedAt = now;
      } else if (now - series.changedAt >= this.#expireAfterMs && !holdsValue(series.cell)) {
        this.#series.delete(series.labels);
        this.#hiddenAt.set(series.cell, seen);
        this.#hidden.set(series.labels, new WeakRef(series.cell));
      }
    }
  }
}

/** A number that changes whenever the cell is written to (a gauge that returns to its old value need not show). */
function activity(cell: Cell): number {
  return cell instanceof HistogramCell ? cell.count : cell.value;
}

/** A gauge above zero says something even while it does not move. */
function holdsValue(cell: Cell): boolean {
  return cell instanceof GaugeCell && cell.value !== 0;
}

function sampleOf(series: Series<Cell>): Sample {
  const { cell, labels } = series;
  if (cell instanceof HistogramCell) return { labels, value: cell.sum, counts: cell.counts };
  return { labels, value: cell.value, counts: null };
}

export const makeCounter = (): CounterCell => new CounterCell();
export const makeGauge = (): GaugeCell => new GaugeCell();
export const makeHistogram = (bounds: Float64Array): HistogramCell => new HistogramCell(bounds);
