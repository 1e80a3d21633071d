/** A `Clock` over node:test's mock timers, for tests of parts that hold `opossum`, which has timers of its own. */
import { mock } from "node:test";
import type { Clock } from "../../core/clock.ts";

export interface MockClock extends Clock {
  /** Moves time forward by `ms`, running what falls due. */
  tick(ms: number): void;
  [Symbol.dispose](): void;
}

/** Takes over `Date`, `setTimeout` and `setInterval` until disposed. */
export function mockClock(): MockClock {
  mock.timers.enable({ apis: ["Date", "setTimeout", "setInterval"], now: 1_700_000_000_000 });
  return {
    now: () => Date.now(),
    wallTime: () => Date.now(),
    after(delayMs, callback) {
      const handle = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
    tick: (ms) => mock.timers.tick(ms),
    [Symbol.dispose]: () => mock.timers.reset(),
  };
}
