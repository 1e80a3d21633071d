/** Few connections have one to themselves; many, at once or one after another, are streams. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamChoice } from "./stream-choice.ts";

test("the fifth that is open is a stream", () => {
  const choice = new StreamChoice();
  const chosen = Array.from({ length: 6 }, (_, i) => choice.choose(i + 1, i * 10_000));
  assert.deepEqual(chosen, [false, false, false, false, true, true]);
  assert.equal(choice.choose(4, 100_000), false);
});

test("the fifth within a second is one, however short they are", () => {
  const choice = new StreamChoice();
  const at = (ms: number): boolean => choice.choose(1, ms);
  assert.deepEqual([0, 300, 600, 900, 999].map(at), [false, false, false, false, true]);
  // Four in the second before it are not many.
  assert.equal(at(1700), false);
  assert.equal(at(5000), false);
});
