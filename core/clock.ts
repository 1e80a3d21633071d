/**
 * Time as a parameter: everything that waits or measures takes a `Clock`, so that tests run on simulated time.
 * With `random.ts` and `timer-wheel.ts` this is the only place that names `Date`, `performance` or `setTimeout`.
 */

/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds (fractional) since an arbitrary origin. */
  now(): number;
  /** Wall-clock milliseconds since the Unix epoch. */
  wallTime(): number;
  /** Runs `callback` once after `delayMs`. The timer does not keep the process alive by itself. */
  after(delayMs: number, callback: () => void): Timer;
}

/** The longest delay that the platform's timers take; longer ones fire at this age and are armed again. */
const MAX_DELAY_MS = 0x7fff_ffff;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(delayMs, callback) {
    const due = performance.now() + delayMs;
    const fire = (): void => {
      const left = due - performance.now();
      if (left > 1) handle = arm(left);
      else callback();
    };
    const arm = (ms: number): NodeJS.Timeout =>
      setTimeout(ms > MAX_DELAY_MS ? fire : callback, Math.min(ms, MAX_DELAY_MS)).unref();
    let handle = arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Keeps the process alive until it exits by itself or a signal ends it: timers of a `Clock` don't, and a service that
 * waits for its control plane to come back has nothing else.
 */
export function stayAlive(): void {
  setInterval(() => undefined, MAX_DELAY_MS);
}

/**
 * A clock that is read once per event: everything that one event causes happens at the same time. On the data path a
 * request asks for the time a dozen times, and reading the machine's clock that often would cost a twentieth of it.
 * Whoever handles an event from outside (bytes, a connection, a timer) calls `refresh` first.
 */
export class EventClock implements Clock {
  readonly #clock: Clock;
  #now: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#now = clock.now();
  }

  /** The time of the current event. */
  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#clock.wallTime();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => {
      this.refresh();
      callback();
    });
  }

  /** A new event begins. */
  refresh(): void {
    this.#now = this.#clock.now();
  }
}

/** Resolves after `ms` on `clock`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

interface SimulatedTimer {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** A clock that moves only when told to: timers due by the new time run in order of due time, then of creation. */
export class SimulatedClock implements Clock {
  #now = 0;
  #order = 0;
  #timers: SimulatedTimer[] = [];
  readonly #epoch: number;

  constructor(epochMs = 1_700_000_000_000) {
    this.#epoch = epochMs;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#epoch + this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: SimulatedTimer = {
      due: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      cancelled: false,
    };
    this.#timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
        this.#timers = this.#timers.filter((t) => t !== timer);
      },
    };
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time forward by `ms`, running what falls due on the way. Synchronous: promises settle after it returns. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      let next: SimulatedTimer | undefined;
      for (const timer of this.#timers) {
        if (timer.due > target) continue;
        if (!next || timer.due < next.due || (timer.due === next.due && timer.order < next.order)) next = timer;
      }
      if (!next) break;
      this.#now = Math.max(this.#now, next.due);
      this.#timers = this.#timers.filter((t) => t !== next);
      if (!next.cancelled) next.callback();
    }
    this.#now = target;
  }

  /** Like `advance`, but in steps of `stepMs`, letting promise callbacks run between the steps. */
  async run(ms: number, stepMs = 1): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.advance(Math.min(stepMs, left));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}
