/** Waiting, for a script that must not wait longer than it said. */
import { sleep as sleepBy, systemClock } from "../../core/clock.ts";

export function sleep(ms: number): Promise<void> {
  return sleepBy(systemClock, ms);
}

/**
 * Looks until `look` gives something (neither undefined nor false), and returns it. Rejects with `what` after
 * `timeoutMs`. Errors of `look` count as nothing yet.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 25,
): Promise<T> {
  const deadline = systemClock.now() + timeoutMs;
  let last = "";
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (systemClock.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}${last}`);
    await sleep(everyMs);
  }
}
