import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../core/clock.ts";
import { WriteRate } from "./write-rate.ts";

test("a burst, then so many a second", () => {
  const clock = new SimulatedClock();
  const rate = new WriteRate(clock);
  let written = 0;
  for (; rate.nextAt <= clock.now(); written++) rate.take();
  assert.equal(written, 100);
  for (let ms = 0; ms < 10_000; ms += 10) {
    clock.advance(10);
    for (; rate.nextAt <= clock.now(); written++) rate.take();
  }
  assert.ok(Math.abs(written - 600) <= 1, String(written));
});

test("what may begin now may begin at a time that was read a moment before", () => {
  // A real clock goes on between two readings.
  let reading = 0;
  const clock = new SimulatedClock();
  const rate = new WriteRate({ now: () => (reading += 0.001), wallTime: () => 0, after: clock.after.bind(clock) });
  const before = reading;
  assert.ok(rate.nextAt <= before);
});
