/** Waiting in tests that use real sockets or files. */
import { systemClock } from "../../core/clock.ts";

/** Waits until `condition` holds; rejects after two seconds with what it was about. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = systemClock.now() + 2000;
  while (!condition()) {
    if (systemClock.now() > limit) throw new Error(`still not so after 2 s: ${what}`);
    // Held by a reference: the clock's own timers do not keep a process alive.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
