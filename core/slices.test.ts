import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "./clock.ts";
import { complete, Pace, Slices } from "./slices.ts";

/** Each look at it, the clock has moved on by `stepMs`. */
function steppingClock(stepMs: number): Clock {
  let now = 0;
  return { now: () => (now += stepMs), wallTime: () => now, after: () => ({ cancel() {} }) };
}

function* work(name: string, steps: number, log: string[]): Generator<void, void> {
  for (let i = 0; i < steps; i++) {
    log.push(`${name}${i}`);
    yield;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("short work is done at once", () => {
  const log: string[] = [];
  new Slices(steppingClock(0)).run(work("a", 3, log));
  assert.deepEqual(log, ["a0", "a1", "a2"]);
});

test("long work gives way to the event loop, in order", async () => {
  const log: string[] = [];
  const slices = new Slices(steppingClock(1), 2);
  slices.run(work("a", 4, log));
  slices.run(work("b", 2, log));
  assert.ok(log.length < 4, log.join());
  while (log.length < 6) {
    const before = log.length;
    await turn();
    assert.ok(log.length > before && log.length <= before + 2, log.join());
  }
  assert.deepEqual(log, ["a0", "a1", "a2", "a3", "b0", "b1"]);
});

test("what was cleared does not run", async () => {
  const log: string[] = [];
  const slices = new Slices(steppingClock(1), 1);
  slices.run(work("a", 10, log));
  const done = log.length;
  slices.clear();
  await turn();
  await turn();
  assert.equal(log.length, done);
  slices.run(work("b", 1, log));
  assert.equal(log.at(-1), "b0");
});

test("a task that clears the others ends the slice in peace", () => {
  const log: string[] = [];
  const slices = new Slices(steppingClock(0));
  const clearing = (function* (): Generator<void, void> {
    log.push("clear");
    slices.clear();
    yield;
    log.push("never");
  })();
  slices.run(clearing);
  assert.deepEqual(log, ["clear"]);
});

test("an async function goes on until its time is over, then lets others have a turn", async () => {
  const pace = new Pace(steppingClock(1), 4);
  const log: string[] = [];
  for (let i = 0; i < 9; i++) {
    log.push(`step ${i}`);
    if (!pace.due) continue;
    setImmediate(() => log.push("others"));
    await pace.rest();
  }
  const turns = log.flatMap((entry, at) => (entry === "others" ? [at] : []));
  assert.deepEqual(turns, [4, 9], log.join());
});

test("a task can also be run to its end", () => {
  const log: string[] = [];
  const task = function* (): Generator<void, number> {
    yield* work("a", 3, log);
    return 7;
  };
  assert.equal(complete(task()), 7);
  assert.equal(log.length, 3);
});

test("of several tasks there is one slice in each turn of the event loop, in turn", async () => {
  const log: string[] = [];
  const clock = steppingClock(1);
  for (const name of ["a", "b", "c"]) new Slices(clock, 1).run(work(name, 4, log));
  assert.equal(log.splice(0).length, 3, "each begins at once");
  while (log.length < 9) {
    const before = log.length;
    await turn();
    assert.ok(log.length <= before + 1, log.join());
  }
  assert.deepEqual(log, ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]);
});
