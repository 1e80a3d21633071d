/**
 * The state of one circuit in memory that all threads see: closed, open since when, or half-open with one probe. It
 * decides nothing: a thread asks its `opossum` and puts down here what that said, and of two threads that do so at once
 * one succeeds.
 */
import type { SharedState } from "../../core/shared-state.ts";
import type { SharedTable } from "../../core/shared-table.ts";
import type { CircuitState } from "./opossum-circuit.ts";

/** Where in a record's shared words; the second is the table's `claim`. */
const STATE = 0;
const PROBE = 2;

const CODES: readonly CircuitState[] = ["closed", "open", "half_open"];

/** Times are kept in 30 bits of ms: differences mean something for six days, and no state that has an end lasts as long. */
const TIME_BITS = 30;
const TIME_MASK = 2 ** TIME_BITS - 1;

/** A state and when it began, in one word: equal words are the same period of the same state. */
export type CircuitWord = number;

export class SharedCircuit {
  readonly #shared: SharedState;
  readonly #cells: Int32Array;
  readonly #state: number;
  readonly #probe: number;
  /** This thread's copy of the probe's word, if it is this thread's. */
  readonly #own: number;

  /** `at`: a record of `table` whose shared words begin with those of a circuit. */
  constructor(shared: SharedState, table: SharedTable, at: number) {
    this.#shared = shared;
    this.#cells = table.cells;
    this.#state = at + STATE;
    this.#probe = at + PROBE;
    this.#own = table.lane(at) + 1;
  }

  get word(): CircuitWord {
    return Atomics.load(this.#cells, this.#state);
  }

  /** Asked for each request: a plain read, which may be late by as long as memory takes. */
  get isClosed(): boolean {
    return ((this.#cells[this.#state] as number) & 3) === 0;
  }

  /**
   * Goes from the state that `from` stands for to `to`, at time `now`. null: another thread has changed it since; else the
   * new word.
   */
  move(from: CircuitWord, to: CircuitState, now: number): CircuitWord | null {
    const next = (this.#stamp(now) << 2) | CODES.indexOf(to);
    return Atomics.compareExchange(this.#cells, this.#state, from, next) === from ? next : null;
  }

  /**
   * How long it has been in that state, ms. Never below 0: a thread reads the time once per event, and another may have
   * changed the state since.
   */
  since(word: CircuitWord, now: number): number {
    return Math.max(0, difference(this.#stamp(now), word >>> 2));
  }

  /**
   * Takes the one probe of a half-open period. A probe that is `lostAfterMs` old counts as lost, and so does one of an
   * earlier period.
   */
  takeProbe(word: CircuitWord, now: number, lostAfterMs: number): boolean {
    const taken = Atomics.load(this.#cells, this.#probe);
    if (taken !== 0 && this.#isOf(taken, word) && this.since(taken, now) < Math.max(1, lostAfterMs)) return false;
    const mine = (this.#stamp(now) << 2) | 1;
    // First its own copy: a thread that dies in between has claimed nothing.
    Atomics.store(this.#cells, this.#own, mine);
    if (Atomics.compareExchange(this.#cells, this.#probe, taken, mine) === taken) return true;
    Atomics.store(this.#cells, this.#own, 0);
    return false;
  }

  /** Frees the probe's place if it is this thread's. */
  freeProbe(): void {
    const mine = Atomics.load(this.#cells, this.#own);
    if (mine === 0) return;
    Atomics.compareExchange(this.#cells, this.#probe, mine, 0);
    Atomics.store(this.#cells, this.#own, 0);
  }

  /** Whether a probe set out in the period of `word` or later. */
  #isOf(probe: number, word: CircuitWord): boolean {
    return difference(probe >>> 2, word >>> 2) >= 0;
  }

  #stamp(now: number): number {
    return Math.floor(this.#shared.time(now)) & TIME_MASK;
  }
}

/** Of two times of 30 bits, positive if `a` is the later. */
function difference(a: number, b: number): number {
  return ((a - b) << 2) >> 2;
}

/** The state that a word stands for. */
export function stateOf(word: CircuitWord): CircuitState {
  return CODES[word & 3] ?? "closed";
}
