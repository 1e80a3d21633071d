/** Keeps something in the cluster as it is to be: looks again and again, at once when told to, and with backoff after failures. */
import { type BackoffPolicy, backoffDelay } from "../../../core/backoff.ts";
import type { Clock, Timer } from "../../../core/clock.ts";
import { messageOf } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Random } from "../../../core/random.ts";

export interface KeeperOptions {
  /** For the log: `the webhook's CA bundle`. */
  readonly what: string;
  /** Makes it so; rejects where that failed. Runs one at a time. */
  readonly make: () => Promise<void>;
  /** How long to leave it alone once it is so, ms. */
  readonly everyMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const BACKOFF: BackoffPolicy = { baseMs: 500, maxMs: 30_000 };

export class Keeper {
  readonly #options: KeeperOptions;
  #running = false;
  #busy = false;
  /** Told to look again while it was looking. */
  #again = false;
  #failures = 0;
  #timer: Timer | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** False once it was stopped: what `make` has still to do is another's. */
  get running(): boolean {
    return this.#running;
  }

  start(): void {
    this.#running = true;
    this.poke();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Something has changed: looks at once. */
  poke(): void {
    if (!this.#running) return;
    if (this.#busy) this.#again = true;
    else void this.#look();
  }

  async #look(): Promise<void> {
    const { what, make, everyMs, clock, random, log } = this.#options;
    this.#busy = true;
    this.#again = false;
    this.#timer?.cancel();
    let delay = everyMs;
    try {
      await make();
      this.#failures = 0;
    } catch (error) {
      delay = backoffDelay(BACKOFF, this.#failures++, random);
      log.warn(
        { error: messageOf(error), failures: this.#failures },
        `${what} could not be written; it is tried again`,
      );
    }
    this.#busy = false;
    if (!this.#running) return;
    this.#timer = clock.after(this.#again ? 0 : delay, () => void this.#look());
  }
}
