/**
 * A count that several owners change and that a limit is held against: of this thread alone, or of all threads of the
 * process. A process has one kind or the other, so that who counts sees one class.
 */
import type { SharedState } from "../../core/shared-state.ts";
import type { SharedTable } from "../../core/shared-table.ts";

export interface Count {
  /** Of all who share it. */
  readonly value: number;
  /** Adds one if the count is then not above `limit`; false: it would be, and nothing has changed. */
  tryAdd(limit: number): boolean;
  /** Adds one whatever the limit is. */
  add(): void;
  /** Takes away one that was added here. One too many changes nothing: it must not become room above a limit. */
  remove(): void;
}

/** A count of this thread alone. */
export class LocalCount implements Count {
  value = 0;

  tryAdd(limit: number): boolean {
    if (this.value >= limit) return false;
    this.value++;
    return true;
  }

  add(): void {
    this.value++;
  }

  remove(): void {
    if (this.value > 0) this.value--;
  }
}

/** How often a place is tried for again that two threads took from each other at the same moment. */
const ATTEMPTS = 8;

/**
 * A count of the process: one cell for each thread, which that thread alone writes, and the sum of them is the count. A
 * thread first adds and then looks at the sum, so of two that take the last place at once at least one sees the other:
 * the sum over what threads hold is never above the limit.
 */
export class SharedCount implements Count {
  readonly #group: SharedCounts;
  #cells: Int32Array;
  /** This thread's cell. */
  #own: number;
  /** The first thread's cell, how far the next one's is, and where they end. */
  #first: number;
  readonly #step: number;
  #end: number;
  /** What was added here: a cluster that leaves and one of its name that has come again count in the same cell. */
  #held = 0;

  /** `index` is the count's number in its group. */
  constructor(group: SharedCounts, table: SharedTable, at: number, index: number, threads: number) {
    this.#group = group;
    this.#cells = table.cells;
    // The lane's first word is the table's.
    const word = 1 + index;
    this.#own = table.lane(at) + word;
    this.#first = table.lane(at, 0) + word;
    this.#step = table.lane(at, 1) - table.lane(at, 0);
    this.#end = this.#first + threads * this.#step;
  }

  get value(): number {
    let sum = 0;
    for (let cell = this.#first; cell < this.#end; cell += this.#step) sum += Atomics.load(this.#cells, cell);
    return sum;
  }

  tryAdd(limit: number): boolean {
    const cells = this.#cells;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      Atomics.add(cells, this.#own, 1);
      if (this.value <= limit) {
        this.#held++;
        return true;
      }
      Atomics.sub(cells, this.#own, 1);
      if (this.value >= limit) return false;
    }
    return false;
  }

  add(): void {
    Atomics.add(this.#cells, this.#own, 1);
    this.#held++;
  }

  remove(): void {
    if (this.#held === 0) return;
    this.#held--;
    Atomics.sub(this.#cells, this.#own, 1);
    if (this.#group.closing) this.#group.onRemoved();
  }

  get held(): number {
    return this.#held;
  }

  /** Its cells are someone else's from now on; who is late counts alone. */
  detach(): void {
    this.#cells = new Int32Array(1);
    this.#own = 0;
    this.#first = 0;
    this.#end = 1;
  }
}

/** Counts under one name, which end together. */
export class SharedCounts {
  readonly counts: readonly SharedCount[];
  /** Nothing new is to be counted: with the last that is held the name is given back. */
  closing = false;
  readonly #table: SharedTable;
  #at: number;

  private constructor(table: SharedTable, at: number, size: number, threads: number) {
    this.#table = table;
    this.#at = at;
    this.counts = Array.from({ length: size }, (_, index) => new SharedCount(this, table, at, index, threads));
  }

  /** `size` counts, 15 at most; null where there is no room: then they are to be counted by this thread alone. */
  static acquire(shared: SharedState, name: string, size: number): SharedCounts | null {
    const table = shared.table("counts");
    const at = table.acquire(name);
    if (at !== -1) return new SharedCounts(table, at, size, shared.threads);
    shared.tellFull("counts", name);
    return null;
  }

  /** What is held keeps its place until it is removed. */
  close(): void {
    this.closing = true;
    this.onRemoved();
  }

  onRemoved(): void {
    if (this.#at === -1 || this.counts.some(({ held }) => held > 0)) return;
    for (const count of this.counts) count.detach();
    this.#table.release(this.#at);
    this.#at = -1;
  }
}
