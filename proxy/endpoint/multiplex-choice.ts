/**
 * Whether calls to an endpoint travel as streams of few connections or with a connection to each. Streams leave together
 * in few writes, which pays from a few calls in flight on; a single one only has the cost of the framing. The choice
 * follows the load at once upwards and slowly downwards, so that it does not flap.
 */

/** More calls in flight than this travel as streams. */
const ENTER = 4;
/** Calls in flight at which streams are not worth while any more. */
const LEAVE = 2;
/** How long it must have been so, ms. */
const CALM_MS = 1000;

export class MultiplexChoice {
  #on = false;
  #busyAt = 0;

  /** `inFlight`: calls to the endpoint, this one included. `now`: monotonic ms. */
  choose(inFlight: number, now: number): boolean {
    if (inFlight > (this.#on ? LEAVE : ENTER)) {
      this.#on = true;
      this.#busyAt = now;
    } else if (this.#on && now - this.#busyAt >= CALM_MS) this.#on = false;
    return this.#on;
  }
}
