/** Warnings that would come again and again: what fails for one reason fails for many objects, and at each try. */
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";

/** The same one is told again after this long, ms. */
const AGAIN_MS = 600_000;
/** Different ones that are remembered. */
const MAX = 1000;

export class RareWarnings {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #told = new Map<string, number>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  tell(message: string): void {
    const now = this.#clock.now();
    const last = this.#told.get(message);
    if (last !== undefined && now - last < AGAIN_MS) return;
    if (this.#told.size >= MAX) this.#told.clear();
    this.#told.set(message, now);
    this.#log.warn({}, message);
  }
}
