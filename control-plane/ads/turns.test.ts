/** Who sends much at a time, and for how long, in simulated time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { Turns } from "./turns.ts";

function rig(atOnce: number) {
  const clock = new SimulatedClock();
  const turns = new Turns(clock, atOnce);
  const granted: string[] = [];
  const ask = (name: string) => turns.ask(() => granted.push(name));
  return { clock, granted, ask };
}

test("as many as may have a turn at once, the others in their order", () => {
  const { granted, ask } = rig(2);
  const [a, b, c, d] = ["a", "b", "c", "d"].map(ask);
  assert.deepEqual([a?.granted, b?.granted, c?.granted, d?.granted], [true, true, false, false]);
  b?.end();
  b?.end();
  assert.deepEqual(granted, ["c"], "one that ends twice is one");
  a?.end();
  assert.deepEqual(granted, ["c", "d"]);
});

test("who gives up the place in the queue is not granted one", () => {
  const { granted, ask } = rig(1);
  const [a, b] = ["a", "b", "c"].map(ask);
  b?.end();
  a?.end();
  assert.deepEqual(granted, ["c"]);
});

test("a turn ends by itself after five seconds", () => {
  const { clock, granted, ask } = rig(1);
  const a = ask("a");
  ask("b");
  clock.advance(4999);
  assert.deepEqual(granted, []);
  clock.advance(1);
  assert.deepEqual([granted, a.over, a.granted], [["b"], true, false]);
  a.end();
  ask("c");
  assert.deepEqual(granted, ["b"]);
});
