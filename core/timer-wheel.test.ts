import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventClock, SimulatedClock } from "./clock.ts";
import { TimerWheel, WheelTimer } from "./timer-wheel.ts";

const TICK = 5;
const TIMERS = 6;

const index = fc.nat(TIMERS - 1);
const delay = fc.oneof(fc.nat(20), fc.nat(3000), fc.nat(20_000), fc.double({ min: 0, max: 50, noNaN: true }));
const action = fc.oneof(
  fc.record({ kind: fc.constant("arm" as const), timer: index, delay }),
  fc.record({ kind: fc.constant("cancel" as const), timer: index }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  { weight: 3, arbitrary: action },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: delay }) },
);

/** A wheel beside a plain list of deadlines. */
class Pair {
  readonly clock = new SimulatedClock();
  readonly wheel = new TimerWheel(this.clock, TICK);
  readonly deadlines = new Map<number, number>();
  readonly timers: WheelTimer[];
  /** What each timer does when it fires. */
  readonly onFire: Map<number, Action>;

  constructor(onFire: Map<number, Action>) {
    this.onFire = onFire;
    this.timers = Array.from({ length: TIMERS }, (_, i) => new WheelTimer(() => this.#fired(i)));
  }

  do(what: Action): void {
    const timer = this.timers[what.timer] as WheelTimer;
    if (what.kind === "arm") {
      this.wheel.arm(timer, what.delay);
      this.deadlines.set(what.timer, this.clock.now() + what.delay);
    } else {
      this.wheel.cancel(timer);
      this.deadlines.delete(what.timer);
    }
  }

  #fired(i: number): void {
    const deadline = this.deadlines.get(i);
    if (deadline === undefined) throw new Error(`timer ${i} fired though it was not armed`);
    const now = this.clock.now();
    assert.ok(now >= deadline, `timer ${i} fired ${deadline - now} ms early`);
    assert.ok(now <= deadline + 2 * TICK, `timer ${i} fired ${now - deadline} ms late`);
    this.deadlines.delete(i);
    assert.equal(this.timers[i]?.armed, false);
    const then = this.onFire.get(i);
    this.onFire.delete(i);
    if (then) this.do(then);
  }

  check(): void {
    assert.equal(this.wheel.size, this.deadlines.size);
    const now = this.clock.now();
    for (const [i, deadline] of this.deadlines) {
      assert.ok(deadline + 2 * TICK >= now, `timer ${i} has not fired ${now - deadline} ms after its deadline`);
      assert.ok(this.timers[i]?.armed);
    }
  }
}

test("timers fire as a list of deadlines says, two ticks late at most, whatever their callbacks do", () => {
  const onFire = fc.array(fc.tuple(index, action), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), onFire, (steps, callbacks) => {
      const pair = new Pair(new Map(callbacks));
      for (const one of steps) {
        if (one.kind === "advance") pair.clock.advance(one.ms);
        else pair.do(one);
        pair.check();
      }
      pair.clock.advance(100_000);
      pair.check();
      assert.equal(pair.wheel.size, 0);
      assert.equal(pair.clock.pending <= 1, true, "one platform timer, and none that matters when all are done");
    }),
    { numRuns: 300 },
  );
});

test("after a stall of the process everything due fires at once, the rest in its time", () => {
  let now = 0;
  let wake: (() => void) | null = null;
  const wheel = new TimerWheel(
    {
      now: () => now,
      wallTime: () => now,
      after: (_ms, callback) => {
        wake = callback;
        return { cancel: () => undefined };
      },
    },
    TICK,
  );
  const fired: number[] = [];
  for (const ms of [10, 1000, 5000, 9990, 10_500, 30_000]) wheel.after(ms, () => fired.push(ms));
  now = 10_000;
  (wake as unknown as () => void)();
  assert.deepEqual(
    fired.toSorted((a, b) => a - b),
    [10, 1000, 5000, 9990],
  );
  now = 10_510;
  (wake as unknown as () => void)();
  assert.equal(fired.at(-1), 10_500);
  assert.equal(wheel.size, 1);
});

test("a thousand timers need one platform timer, and a distant one does not wake the process all the time", () => {
  const clock = new SimulatedClock();
  let wakes = 0;
  const counting = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    after: (ms: number, callback: () => void) =>
      clock.after(ms, () => {
        wakes++;
        callback();
      }),
  };
  const wheel = new TimerWheel(counting, TICK);
  let fired = 0;
  for (let i = 0; i < 1000; i++) wheel.after(60_000 + i / 100, () => fired++);
  assert.equal(clock.pending, 1);
  clock.advance(60_020);
  assert.equal(fired, 1000);
  // Each slot that is in use is passed every 2.56 s; ticking on would wake 12,000 times.
  assert.ok(wakes < 100, `${wakes} wakes`);
});

test("a wheel that was empty for long arms its next timer from now, once the event has read the clock", () => {
  const machine = new SimulatedClock();
  const clock = new EventClock(machine);
  const wheel = new TimerWheel(clock, TICK);
  machine.advance(600_000);
  clock.refresh();
  let at = -1;
  wheel.after(15_000, () => {
    at = machine.now();
  });
  machine.advance(14_999);
  assert.equal(at, -1);
  machine.advance(20);
  assert.ok(at >= 615_000 && at <= 615_010);
});
