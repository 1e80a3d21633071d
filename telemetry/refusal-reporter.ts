/**
 * Says in the proxy's own log that connections are turned away, at a level that is shown by default, and without letting
 * callers fill the disk: one line for each kind of refusal in a while, which tells how many there were besides.
 */
import type { Clock } from "../core/clock.ts";

/** Between two lines of one kind, ms. */
const QUIET_MS = 10_000;

/** Kinds that are kept; whoever makes up more than these (addresses, ports) shares the last one's silence. */
const MOST_KINDS = 256;

interface Silence {
  until: number;
  unsaid: number;
}

export class RefusalReporter {
  readonly #clock: Clock;
  readonly #silences = new Map<string, Silence>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many of this kind were not told since the last line, null where this one is not to be told either. */
  tell(kind: string): number | null {
    const now = this.#clock.now();
    let silence = this.#silences.get(kind);
    if (silence === undefined) {
      if (this.#silences.size >= MOST_KINDS) this.#forget(now);
      const key = this.#silences.size >= MOST_KINDS ? "" : kind;
      silence = this.#silences.get(key) ?? { until: Number.NEGATIVE_INFINITY, unsaid: 0 };
      this.#silences.set(key, silence);
    }
    if (now < silence.until) {
      silence.unsaid++;
      return null;
    }
    const { unsaid } = silence;
    silence.until = now + QUIET_MS;
    silence.unsaid = 0;
    return unsaid;
  }

  #forget(now: number): void {
    for (const [kind, { until, unsaid }] of this.#silences) {
      if (now >= until && unsaid === 0) this.#silences.delete(kind);
    }
  }
}
