/** Randomness as a parameter, so that choices (balancing, jitter, sampling, faults) can be replayed in tests. */

/** Returns a number in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** A repeatable generator (mulberry32) for tests and simulations; not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
