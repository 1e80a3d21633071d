/** Runs long work in short slices on the event loop, so that a big update does not hold up what else runs there. */
import type { Clock } from "../../core/clock.ts";

export class Slices {
  readonly #clock: Clock;
  readonly #budgetMs: number;
  readonly #tasks: Iterator<void, void>[] = [];
  #scheduled = false;
  #running = false;

  /** A slice ends with the first step that ends `budgetMs` or more after its beginning. */
  constructor(clock: Clock, budgetMs = 5) {
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
    setImmediate(() => {
      this.#scheduled = false;
      this.#slice();
    });
  }
}
