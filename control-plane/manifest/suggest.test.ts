import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { didYouMean, editDistance } from "./suggest.ts";

test("one slip of the finger is one step", () => {
  for (const typed of ["prts", "portss", "potrs", "pirts"]) assert.equal(editDistance(typed, "ports"), 1, typed);
});

test("the distance is symmetric, zero only for the same word, and no longer than the longer word", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.equal(distance === 0, a === b);
      assert.ok(distance <= Math.max(a.length, b.length));
    }),
  );
});

test("only what is near is suggested", () => {
  const known = ["ports", "selector", "type"];
  assert.equal(didYouMean("selectr", known), ' (did you mean "selector"?)');
  assert.equal(didYouMean("Ports", known), ' (did you mean "ports"?)');
  assert.equal(didYouMean("banana", known), "");
});
