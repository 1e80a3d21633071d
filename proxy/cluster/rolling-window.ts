/**
 * Counts of calls over a sliding window of ten buckets, kept so that counting one costs two additions: the batch that
 * `opossum` is given when it has something to decide. Buckets turn on the same grid on which `opossum` turns its own.
 */
import type { Clock } from "../../core/clock.ts";
import { type TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";

export const BUCKETS = 10;

/** What a bucket counts; `calls` holds refused ones too, as `opossum` counts its `fires`. */
const CALLS = 0;
const FAILURES = 1;
const REJECTS = 2;
const DURATION = 3;
const WIDTH = 4;

export interface WindowTotals {
  readonly calls: number;
  readonly failures: number;
  readonly rejects: number;
  /** Sum of the durations of calls that ran, ms. */
  readonly durationMs: number;
}

export class RollingWindow {
  /** Sums over the window, kept up to date with each call. */
  calls = 0;
  failures = 0;
  rejects = 0;
  durationMs = 0;
  readonly #buckets = new Float64Array(BUCKETS * WIDTH);
  #current = 0;
  readonly #bucketMs: number;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer;
  readonly #origin: number;
  /** Buckets begun since `#origin`. */
  #turned = 0;

  constructor(windowMs: number, clock: Clock, wheel: TimerWheel) {
    this.#bucketMs = Math.max(1, Math.floor(windowMs / BUCKETS));
    this.#clock = clock;
    this.#wheel = wheel;
    this.#origin = clock.now();
    this.#timer = new WheelTimer(() => this.#onTick());
  }

  /** Counts a call that ran. */
  count(failed: boolean, durationMs: number): void {
    if (!this.#timer.armed) this.#begin();
    const at = this.#current * WIDTH;
    const buckets = this.#buckets;
    buckets[at] = (buckets[at] as number) + 1;
    this.calls++;
    buckets[at + DURATION] = (buckets[at + DURATION] as number) + durationMs;
    this.durationMs += durationMs;
    if (failed) {
      buckets[at + FAILURES] = (buckets[at + FAILURES] as number) + 1;
      this.failures++;
    }
  }

  /** Counts a call that was refused. */
  countReject(): void {
    if (!this.#timer.armed) this.#begin();
    const at = this.#current * WIDTH;
    const buckets = this.#buckets;
    buckets[at] = (buckets[at] as number) + 1;
    buckets[at + REJECTS] = (buckets[at + REJECTS] as number) + 1;
    this.calls++;
    this.rejects++;
  }

  /**
   * Turns the buckets that are due by now. The timer does so anyway, up to two ticks of the wheel late; where a decision
   * hangs on it, this makes it exact.
   */
  turn(): void {
    const due = Math.floor((this.#clock.now() - this.#origin) / this.#bucketMs);
    const steps = Math.min(due - this.#turned, BUCKETS);
    this.#turned = due;
    for (let i = 0; i < steps; i++) {
      this.#current = (this.#current + 1) % BUCKETS;
      const at = this.#current * WIDTH;
      const buckets = this.#buckets;
      this.calls -= buckets[at] as number;
      this.failures -= buckets[at + FAILURES] as number;
      this.rejects -= buckets[at + REJECTS] as number;
      this.durationMs -= buckets[at + DURATION] as number;
      buckets.fill(0, at, at + WIDTH);
    }
  }

  totals(): WindowTotals {
    this.turn();
    return { calls: this.calls, failures: this.failures, rejects: this.rejects, durationMs: this.durationMs };
  }

  /** One bucket, 0 being the newest. */
  bucket(age: number): { readonly calls: number; readonly failures: number } {
    const at = ((this.#current - age + BUCKETS) % BUCKETS) * WIDTH;
    return {
      calls: this.#buckets[at + CALLS] as number,
      failures: this.#buckets[at + FAILURES] as number,
    };
  }

  close(): void {
    this.#wheel.cancel(this.#timer);
  }

  #begin(): void {
    this.turn();
    this.#arm();
  }

  #arm(): void {
    const next = this.#origin + (this.#turned + 1) * this.#bucketMs;
    this.#wheel.arm(this.#timer, Math.max(0, next - this.#clock.now()));
  }

  /** Goes on until the window is empty: a cluster without traffic has no timer. */
  #onTick(): void {
    this.turn();
    if (this.calls > 0) this.#arm();
    else this.durationMs = 0;
  }
}
