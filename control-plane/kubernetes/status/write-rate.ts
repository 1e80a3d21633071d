/** How many writes an API server is asked for: some at once, then so many a second, however much there is to say. */
import type { Clock } from "../../../core/clock.ts";

const PER_SECOND = 50;
const BURST = 100;

export class WriteRate {
  readonly #clock: Clock;
  #allowance = BURST;
  #at: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** To be called for each write, not before `nextAt`. */
  take(): void {
    this.#refill();
    this.#allowance--;
  }

  /** When the next one may begin, monotonic ms: never later than whatever time was read before, where it may now. */
  get nextAt(): number {
    this.#refill();
    if (this.#allowance >= 1) return Number.NEGATIVE_INFINITY;
    return this.#at + ((1 - this.#allowance) * 1000) / PER_SECOND;
  }

  #refill(): void {
    const now = this.#clock.now();
    this.#allowance = Math.min(BURST, this.#allowance + ((now - this.#at) * PER_SECOND) / 1000);
    this.#at = now;
  }
}
