/**
 * Runs long work in short slices on the event loop, so that a big update does not hold up what else runs there: as a
 * generator that may be stopped after each of its steps (`Slices`), or within an async function (`Pace`).
 */
import type { Clock } from "./clock.ts";

/** A request takes several turns of the event loop, each of which may come after a slice. */
const BUDGET_MS = 1;

/** What waits for a slice; there is one in each turn of this thread's event loop, however many tasks there are. */
const waiting: (() => void)[] = [];

function nextTurn(callback: () => void): void {
  if (waiting.push(callback) === 1) setImmediate(turn);
}

function turn(): void {
  try {
    waiting[0]?.();
  } finally {
    waiting.shift();
    if (waiting.length > 0) setImmediate(turn);
  }
}

export class Slices {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  readonly #tasks: Iterator<void, void>[] = [];
  #scheduled = false;
  #running = false;

  /** A slice ends with the first step that ends `budgetMs` or more after its beginning. */
  constructor(clock: Clock, budgetMs = BUDGET_MS) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  /** Runs `task` after those before it; at once, up to the first slice's end, if there are none. */
  run(task: Iterator<void, void>): void {
    this.#tasks.push(task);
    if (!this.#scheduled && !this.#running) this.#slice();
  }

  /** Forgets what has not run yet. */
  clear(): void {
    this.#tasks.length = 0;
  }

  #slice(): void {
    const end = this.#clock.now() + this.#budgetMs;
    this.#running = true;
    try {
      for (let task = this.#tasks[0]; task; task = this.#tasks[0]) {
        if (task.next().done && this.#tasks[0] === task) this.#tasks.shift();
        if (this.#clock.now() >= end) break;
      }
    } finally {
      this.#running = false;
    }
    if (this.#tasks.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    nextTurn(() => {
      this.#scheduled = false;
      this.#slice();
    });
  }
}

/**
 * How long an async function may go on before others have their turn: `if (pace.due) await pace.rest()` after each step,
 * so that work which is short stays in one piece.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  #end: number;

  constructor(clock: Clock, budgetMs = BUDGET_MS) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
    this.#end = clock.now() + budgetMs;
  }

  /** Whether it is time for the others. */
  get due(): boolean {
    return this.#clock.now() >= this.#end;
  }

  /** Resolves when the others have had a turn of the event loop. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => nextTurn(resolve));
    this.#end = this.#clock.now() + this.#budgetMs;
  }
}

/** Runs a task to its end at once. */
export function complete<T>(task: Generator<void, T>): T {
  for (;;) {
    const step = task.next();
    if (step.done) return step.value;
  }
}
