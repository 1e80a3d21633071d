/**
 * Big responses take turns. Sidecars that all come at once (a control plane that has started again) would otherwise all
 * have megabytes on their way, which the slowest of them keep in memory; small changes need no turn and pass by.
 */
import type { Clock, Timer } from "../../core/clock.ts";

/** How many have a turn at the same time. A sidecar takes its time to put a thousand clusters in force. */
const AT_ONCE = 64;

/** Who takes longer is not waited for: it is the rest of the mesh that waits, ms. */
const LONGEST_MS = 5000;

export interface Turn {
  readonly granted: boolean;
  /** It was ended, or has lasted too long. */
  readonly over: boolean;
  /** Gives the turn, or the place in the queue, to the next one; any number of times. */
  end(): void;
}

export class Turns {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #queue = new Set<Place>();
  #taken = 0;

  constructor(clock: Clock, atOnce = AT_ONCE) {
    this.#clock = clock;
    this.#atOnce = atOnce;
  }

  /** A turn, at once or later: then `onGranted` is called. */
  ask(onGranted: () => void): Turn {
    const place = new Place(onGranted, () => this.#end(place));
    this.#queue.add(place);
    this.#next(place);
    return place;
  }

  #next(asking: Place | null): void {
    for (const place of this.#queue) {
      if (this.#taken >= this.#atOnce) return;
      this.#queue.delete(place);
      this.#taken++;
      place.grant(this.#clock.after(LONGEST_MS, () => place.end()));
      if (place !== asking) place.onGranted();
    }
  }

  #end(place: Place): void {
    if (this.#queue.delete(place)) return;
    this.#taken--;
    this.#next(null);
  }
}

class Place implements Turn {
  readonly onGranted: () => void;
  readonly #onEnd: () => void;
  #timer: Timer | null = null;
  over = false;

  constructor(onGranted: () => void, onEnd: () => void) {
    this.onGranted = onGranted;
    this.#onEnd = onEnd;
  }

  get granted(): boolean {
    return this.#timer !== null && !this.over;
  }

  grant(timer: Timer): void {
    this.#timer = timer;
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.#timer?.cancel();
    this.#onEnd();
  }
}
