import assert from "node:assert/strict";
import { test } from "node:test";
import { MultiplexChoice } from "./multiplex-choice.ts";

test("one caller keeps a connection of its own, many share", () => {
  const choice = new MultiplexChoice();
  for (let i = 0; i < 100; i++) assert.equal(choice.choose(1 + (i % 4), i), false);
  assert.equal(choice.choose(5, 100), true);
});

test("between the thresholds nothing changes, whichever side it came from", () => {
  const choice = new MultiplexChoice();
  assert.equal(choice.choose(3, 0), false);
  assert.equal(choice.choose(5, 0), true);
  for (let now = 0; now < 10_000; now += 100) assert.equal(choice.choose(3, now), true);
});

test("a lull shorter than a second is none", () => {
  const choice = new MultiplexChoice();
  choice.choose(32, 0);
  for (let now = 1; now < 1000; now++) assert.equal(choice.choose(1, now), true);
  choice.choose(32, 999);
  assert.equal(choice.choose(1, 1998), true);
  assert.equal(choice.choose(1, 1999), false);
  assert.equal(choice.choose(4, 2000), false);
});
