/** Few connections have one to themselves; many, at once or one after another, are streams. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamChoice } from "./stream-choice.ts";

test("the ninth that is open is a stream", () => {
  const choice = new StreamChoice();
  const chosen = Array.from({ length: 10 }, (_, i) => choice.choose(i + 1, i * 10_000));
  assert.deepEqual(chosen, [...Array(8).fill(false), true, true]);
  assert.equal(choice.choose(8, 200_000), false);
});

test("the ninth within a second is one, however short they are", () => {
  const choice = new StreamChoice();
  const at = (ms: number): boolean => choice.choose(1, ms);
  assert.deepEqual([0, 100, 200, 300, 400, 500, 600, 700, 999].map(at), [...Array(8).fill(false), true]);
  // Eight in the second before it are not many.
  assert.equal(at(1200), false);
  assert.equal(at(5000), false);
});
