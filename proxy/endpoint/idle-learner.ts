/**
 * Learns how long an upstream keeps idle connections, so that they are closed from this side first: a request sent just
 * as the upstream closes would fail, and whether it was processed could not be known (Node's servers close after 5 s).
 */

/** Share of the known limit after which a connection is not used again. */
const MARGIN = 0.8;

/** Closes after longer than this are not taken for an idle limit. */
const LONGEST_MS = 600_000;

/** Closes sooner than this are restarts and errors, not limits. */
const SHORTEST_MS = 500;

export class IdleLearner {
  #limitMs = 0;

  /** Connections idle for longer must not be reused; 0: nothing is known. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** The upstream closed a connection that had been idle for `idleMs`. */
  sawClose(idleMs: number): void {
    if (idleMs < SHORTEST_MS || idleMs > LONGEST_MS) return;
    this.#lower(idleMs * MARGIN);
  }

  /** The upstream announced its limit in `Keep-Alive: timeout`. */
  sawAnnouncement(ms: number): void {
    if (ms > 0 && ms <= LONGEST_MS) this.#lower(ms * MARGIN);
  }

  #lower(ms: number): void {
    if (this.#limitMs === 0 || ms < this.#limitMs) this.#limitMs = ms;
  }
}
