/** Whether the control plane serves yet, and what it waits for where it does not: what `/ready` answers, and the log says. */
import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";

/** How often the log repeats what is waited for, ms. */
const REMIND_MS = 30_000;
/** What takes no longer than this is not worth a line, ms. */
const PATIENCE_MS = 3000;

export class Readiness {
  readonly #waiting = new Set<string>();
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | null = null;
  #stopping = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** What is still missing, in words; empty: ready. */
  get waitingFor(): readonly string[] {
    return this.#stopping ? ["nothing more: it is stopping"] : [...this.#waiting];
  }

  /** Not ready until the function that is returned was called. `what`: "the CA's Secret". */
  expect(what: string): () => void {
    this.#waiting.add(what);
    this.#timer ??= this.#clock.after(PATIENCE_MS, () => this.#remind());
    return () => {
      this.#waiting.delete(what);
      if (this.#waiting.size > 0) return;
      this.#timer?.cancel();
      this.#timer = null;
    };
  }

  /** Not ready any more, for good: others are to be called from now on. */
  stop(): void {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #remind(): void {
    this.#log.warn({ waitingFor: [...this.#waiting] }, `waiting for ${[...this.#waiting].join(", ")}`);
    this.#timer = this.#clock.after(REMIND_MS, () => this.#remind());
  }
}
