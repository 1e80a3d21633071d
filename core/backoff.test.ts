import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffDelay } from "./backoff.ts";
import { seededRandom } from "./random.ts";

const policy = { baseMs: 25, maxMs: 250 };

test("the bound doubles from the base to the maximum", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 100].map((attempt) => backoffDelay(policy, attempt, () => 1));
  assert.deepEqual(bounds, [25, 50, 100, 200, 250, 250, 250]);
});

test("a wait is drawn from all of its range, however many attempts there were", () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(10_000), fc.nat(40), fc.integer(), (baseMs, maxMs, attempt, seed) => {
      const wait = backoffDelay({ baseMs, maxMs }, attempt, seededRandom(seed));
      assert.ok(wait >= 0 && wait <= maxMs && wait <= baseMs * 2 ** attempt, `${wait}`);
    }),
  );
  const random = seededRandom(7);
  const waits = Array.from({ length: 2000 }, () => backoffDelay(policy, 2, random));
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  assert.ok(mean > 47 && mean < 53, `mean ${mean} of [0, 100)`);
  assert.ok(Math.min(...waits) < 1 && Math.max(...waits) > 99);
});
