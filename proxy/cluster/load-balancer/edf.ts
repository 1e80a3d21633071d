/**
 * Earliest deadline first: the scheduler behind weighted picks (as in Envoy). An item of weight w is due again 1/w after
 * it was picked, so that items come up in proportion to their weights and evenly spread.
 */
export class EdfScheduler {
  readonly #deadlines: Float64Array;
  /** A binary heap of item numbers, earliest deadline on top; ties go to the lower number. */
  readonly #heap: Int32Array;
  #size = 0;

  /** For items 0 … `capacity` − 1. */
  constructor(capacity: number) {
    this.#deadlines = new Float64Array(capacity);
    this.#heap = new Int32Array(capacity);
  }

  clear(): void {
    this.#size = 0;
  }

  deadlineOf(item: number): number {
    return this.#deadlines[item] as number;
  }

  push(item: number, deadline: number): void {
    this.#deadlines[item] = deadline;
    let at = this.#size++;
    const heap = this.#heap;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent] as number;
      if (!this.#before(item, other)) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = item;
  }

  /** Takes out the item with the earliest deadline; −1 when empty. */
  pop(): number {
    if (this.#size === 0) return -1;
    const heap = this.#heap;
    const top = heap[0] as number;
    const last = heap[--this.#size] as number;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(heap[child + 1] as number, heap[child] as number)) child++;
      const other = heap[child] as number;
      if (!this.#before(other, last)) break;
      heap[at] = other;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#deadlines[a] as number) - (this.#deadlines[b] as number);
    return difference < 0 || (difference === 0 && a < b);
  }
}

/**
 * Picks items 0 … n−1 in proportion to fixed weights. With whole weights the distribution is exact: any run of as many
 * picks as the weights add up to has each item as often as its weight. Items of the same weight are staggered, so that
 * they come between the picks of a heavier one (`abacad`) and not all at once.
 */
export class WeightedCycle {
  readonly #weights: readonly number[];
  readonly #edf: EdfScheduler;
  readonly #picked: Float64Array;
  /** In (0, 1): where in its first interval an item is due. */
  readonly #phases: Float64Array;
  readonly #total: number;
  #left = 0;

  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#edf = new EdfScheduler(weights.length);
    this.#picked = new Float64Array(weights.length);
    this.#phases = phases(weights);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // Counts start again after each full cycle so that they stay exact; fractional weights have no full cycle.
    this.#total = weights.every(Number.isInteger) ? total : Number.MAX_SAFE_INTEGER;
  }

  next(): number {
    if (this.#left === 0) this.#restart();
    this.#left--;
    const item = this.#edf.pop();
    const picked = (this.#picked[item] as number) + 1;
    this.#picked[item] = picked;
    this.#push(item, picked);
    return item;
  }

  #restart(): void {
    this.#left = this.#total;
    this.#picked.fill(0);
    this.#edf.clear();
    for (let item = 0; item < this.#weights.length; item++) this.#push(item, 0);
  }

  /** The deadline comes from the count, not from the last deadline: equal fractions then compare equal, without drift. */
  #push(item: number, picked: number): void {
    this.#edf.push(item, (picked + (this.#phases[item] as number)) / (this.#weights[item] as number));
  }
}

function phases(weights: readonly number[]): Float64Array {
  const alike = new Map<number, number>();
  for (const weight of weights) alike.set(weight, (alike.get(weight) ?? 0) + 1);
  const seen = new Map<number, number>();
  return Float64Array.from(weights, (weight) => {
    const place = seen.get(weight) ?? 0;
    seen.set(weight, place + 1);
    return (place + 0.5) / (alike.get(weight) as number);
  });
}
