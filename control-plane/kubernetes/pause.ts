/** A wait between two tries that can be cut short. */
import type { Clock } from "../../core/clock.ts";

export class Pause {
  readonly #clock: Clock;
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after so many ms, or when woken. There is one at a time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, () => this.wake());
      this.#wake = () => {
        this.#wake = null;
        timer.cancel();
        resolve();
      };
    });
  }

  /** Ends the wait that is under way, if there is one. */
  wake(): void {
    this.#wake?.();
  }
}
