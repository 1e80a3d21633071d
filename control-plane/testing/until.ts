/** Waiting in tests that use real sockets or files. */
import { systemClock } from "../../core/clock.ts";

const LIMIT_MS = 20_000;

/** Waits until `condition` holds; rejects after a time that only a test which hangs needs, with what it was about. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = systemClock.now() + LIMIT_MS;
  while (!condition()) {
    if (systemClock.now() > limit) throw new Error(`still not so after ${LIMIT_MS} ms: ${what}`);
    // Held by a reference: the clock's own timers do not keep a process alive.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
