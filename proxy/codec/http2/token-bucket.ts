/** An allowance that is used up by what happens and comes back with time. */

export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  /** Full at `now` (monotonic ms). */
  constructor(burst: number, perSecond: number, now: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#at = now;
  }

  /** Gives some back for a reason other than time. */
  add(tokens: number): void {
    this.#left = Math.min(this.#left + tokens, this.#burst);
  }

  /** Takes one; false: there was none left. */
  take(now: number): boolean {
    const back = ((now - this.#at) * this.#perSecond) / 1000;
    this.#at = now;
    this.#left = Math.min(this.#left + back, this.#burst) - 1;
    return this.#left >= 0;
  }
}
