/** The machine's clock, but faster: what waits for seconds is tried with real parts in a fraction of them. */
import { type Clock, systemClock } from "../../core/clock.ts";

export function fastClock(factor: number): Clock {
  const began = systemClock.now();
  const wall = systemClock.wallTime();
  const passed = (): number => (systemClock.now() - began) * factor;
  return {
    now: () => began + passed(),
    wallTime: () => wall + passed(),
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
  };
}
