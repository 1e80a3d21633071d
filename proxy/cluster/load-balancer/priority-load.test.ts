import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { priorityLoads } from "./priority-load.ts";

const level = (healthy: number, degraded = 0, total = 100) => ({ total, healthy, degraded });

test("load spills over as in Envoy's table of two priorities", () => {
  const table: readonly (readonly [number, number, readonly number[]])[] = [
    [100, 100, [100, 0]],
    [72, 100, [100, 0]],
    [71, 100, [99, 1]],
    [50, 100, [70, 30]],
    [25, 100, [35, 65]],
    [0, 100, [0, 100]],
    [25, 25, [50, 50]],
  ];
  for (const [first, second, expected] of table) {
    const loads = priorityLoads([level(first), level(second)], 140, 0);
    assert.deepEqual(loads.healthy, expected, `${first}% ${second}%`);
  }
});

test("degraded hosts take what healthy ones of all levels leave", () => {
  const loads = priorityLoads([level(10, 20), level(20, 10), level(10, 0)], 100, 0);
  assert.deepEqual(loads.healthy, [16, 28, 14]);
  assert.deepEqual(loads.degraded, [28, 14, 0]);
});

test("panic: only while the levels together cannot take the load", () => {
  assert.deepEqual(priorityLoads([level(40), level(100)], 140, 50).panic, [false, false]);
  assert.deepEqual(priorityLoads([level(40), level(20)], 140, 50).panic, [true, true]);
  assert.deepEqual(priorityLoads([level(60), level(5)], 140, 50).panic, [false, true]);
  assert.deepEqual(priorityLoads([level(40)], 140, 0).panic, [false]);
});

test("in total panic load goes by the number of hosts; empty levels get none", () => {
  const loads = priorityLoads([level(0, 0, 0), level(1, 0, 10), level(0, 0, 30)], 140, 50);
  assert.deepEqual(loads.panic, [true, true, true]);
  assert.deepEqual(loads.healthy, [0, 25, 75]);
});

test("loads are whole, not negative, and add up to 100", () => {
  const levels = fc.array(
    fc
      .record({
        total: fc.integer({ min: 0, max: 40 }),
        a: fc.double({ min: 0, max: 1, noNaN: true }),
        b: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .map(({ total, a, b }) => {
        const healthy = Math.floor(total * a);
        return { total, healthy, degraded: Math.floor((total - healthy) * b) };
      }),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(
      levels,
      fc.integer({ min: 100, max: 300 }),
      fc.integer({ min: 0, max: 100 }),
      (given, factor, threshold) => {
        const { healthy, degraded } = priorityLoads(given, factor, threshold);
        const all = [...healthy, ...degraded];
        assert.ok(all.every((load) => load >= 0 && Number.isInteger(load)));
        assert.equal(
          all.reduce((a, b) => a + b, 0),
          100,
        );
      },
    ),
  );
});
