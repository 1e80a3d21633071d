/**
 * What `RollingWindow` counts, of all threads together: each has its own ten buckets in its lane of a record, which it
 * alone writes, marked with the time that they are of. A bucket whose time is over counts no more, so nothing turns them
 * and no thread waits for another.
 */
import type { Clock } from "../../core/clock.ts";
import type { SharedState } from "../../core/shared-state.ts";
import type { SharedTable } from "../../core/shared-table.ts";
import { BUCKETS, type WindowTotals } from "./rolling-window.ts";

/** Where in the shared words: when the first bucket began, ms, as two words. */
const ORIGIN = 4;

/** Where in a lane the buckets begin, and what stands in each. */
const FIRST = 4;
const MARK = 0;
const CALLS = 1;
const FAILURES = 2;
const REJECTS = 3;
const DURATION = 4;
const WIDTH = 5;

export class SharedWindow {
  readonly #cells: Int32Array;
  /** The same memory, for sums of durations. */
  readonly #floats: Float32Array;
  readonly #shared: SharedState;
  readonly #clock: Clock;
  readonly #own: number;
  readonly #first: number;
  readonly #step: number;
  readonly #bucketMs: number;
  readonly #origin: number;

  constructor(windowMs: number, clock: Clock, shared: SharedState, table: SharedTable, at: number) {
    this.#cells = table.cells;
    this.#floats = new Float32Array(table.cells.buffer);
    this.#shared = shared;
    this.#clock = clock;
    this.#own = table.lane(at) + FIRST;
    this.#first = table.lane(at, 0) + FIRST;
    this.#step = table.lane(at, 1) - table.lane(at, 0);
    this.#bucketMs = Math.max(1, Math.floor(windowMs / BUCKETS));
    this.#origin = (table.cells[at + ORIGIN] as number) * 2 ** 31 + (table.cells[at + ORIGIN + 1] as number);
  }

  /** Fills in a new record: its first bucket begins now. */
  static begin(table: SharedTable, at: number, time: number): void {
    const origin = Math.floor(time);
    table.cells[at + ORIGIN] = Math.floor(origin / 2 ** 31);
    table.cells[at + ORIGIN + 1] = origin % 2 ** 31;
  }

  /** Counts a call that ran. */
  count(failed: boolean, durationMs: number): void {
    const at = this.#bucket();
    const cells = this.#cells;
    cells[at + CALLS] = (cells[at + CALLS] as number) + 1;
    this.#floats[at + DURATION] = (this.#floats[at + DURATION] as number) + durationMs;
    // Others decide by it: it has to be seen before its own thread looks at theirs.
    if (failed) Atomics.add(cells, at + FAILURES, 1);
  }

  /** Counts a call that was refused. */
  countReject(): void {
    const at = this.#bucket();
    const cells = this.#cells;
    cells[at + CALLS] = (cells[at + CALLS] as number) + 1;
    cells[at + REJECTS] = (cells[at + REJECTS] as number) + 1;
  }

  totals(): WindowTotals {
    const totals = { calls: 0, failures: 0, rejects: 0, durationMs: 0 };
    const now = this.#now();
    for (let age = 0; age < BUCKETS; age++) this.#sum(now, age, totals);
    return totals;
  }

  /** The whole window, bucket by bucket, 0 being the newest. */
  buckets(): WindowTotals[] {
    const now = this.#now();
    return Array.from({ length: BUCKETS }, (_, age) => {
      const totals = { calls: 0, failures: 0, rejects: 0, durationMs: 0 };
      this.#sum(now, age, totals);
      return totals;
    });
  }

  #sum(now: number, age: number, into: { -readonly [K in keyof WindowTotals]: WindowTotals[K] }): void {
    const number = now - age;
    if (number < 0) return;
    const mark = markOf(number);
    const end = this.#first + this.#shared.threads * this.#step;
    const offset = (number % BUCKETS) * WIDTH;
    for (let lane = this.#first; lane < end; lane += this.#step) {
      const at = lane + offset;
      if (Atomics.load(this.#cells, at + MARK) !== mark) continue;
      into.calls += this.#cells[at + CALLS] as number;
      into.failures += Atomics.load(this.#cells, at + FAILURES);
      into.rejects += this.#cells[at + REJECTS] as number;
      into.durationMs += this.#floats[at + DURATION] as number;
    }
  }

  /** This thread's bucket of now, emptied if it is still that of an earlier time. */
  #bucket(): number {
    const number = this.#now();
    const at = this.#own + (number % BUCKETS) * WIDTH;
    const mark = markOf(number);
    if (this.#cells[at + MARK] === mark) return at;
    Atomics.store(this.#cells, at + MARK, 0);
    this.#cells.fill(0, at + CALLS, at + WIDTH);
    Atomics.store(this.#cells, at + MARK, mark);
    return at;
  }

  /** The number of the bucket of now; a thread that is still at an earlier event counts in the first. */
  #now(): number {
    return Math.max(0, Math.floor((this.#shared.time(this.#clock.now()) - this.#origin) / this.#bucketMs));
  }
}

/** A bucket's number as one word; 0 is a bucket that was never used. */
function markOf(number: number): number {
  return (number + 1) | 0;
}
