/** Waits that end: for what a cluster becomes, by asking again. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Patience {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/** What `look` gives once it gives something and does not throw. Rejects with the last that was seen when time is up. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  { timeoutMs = 60_000, everyMs = 500 }: Patience = {},
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    await sleep(everyMs);
  } while (performance.now() < end);
  throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
}
