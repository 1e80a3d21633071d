import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { RefusalReporter } from "./refusal-reporter.ts";

test("one line of a kind in ten seconds, which tells how many were left out", async () => {
  const clock = new SimulatedClock();
  const reporter = new RefusalReporter(clock);
  assert.equal(reporter.tell("a"), 0);
  assert.equal(reporter.tell("b"), 0);
  for (let i = 0; i < 3; i++) assert.equal(reporter.tell("a"), null);
  await clock.run(10_000, 1000);
  assert.equal(reporter.tell("a"), 3);
  assert.equal(reporter.tell("b"), 0);
  assert.equal(reporter.tell("a"), null);
});

test("kinds without end share one silence, and are forgotten in time", async () => {
  const clock = new SimulatedClock();
  const reporter = new RefusalReporter(clock);
  let told = 0;
  for (let i = 0; i < 10_000; i++) if (reporter.tell(`kind ${i}`) !== null) told++;
  assert.equal(told, 257);
  await clock.run(10_000, 1000);
  assert.equal(reporter.tell("another"), 0);
});
