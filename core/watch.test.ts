import assert from "node:assert/strict";
import { test } from "node:test";
import { nextValue, WatchCell } from "./watch.ts";

test("a subscriber gets the current value and each later one until it stops", () => {
  const cell = new WatchCell(1);
  const seen: number[] = [];
  const stop = cell.subscribe((value) => seen.push(value));
  cell.set(2);
  stop();
  cell.set(3);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(cell.get(), 3);
});

test("a cell without a value calls nobody", () => {
  const cell = new WatchCell<string>();
  let called = false;
  cell.subscribe(() => {
    called = true;
  });
  assert.equal(cell.get(), undefined);
  assert.ok(!called);
});

test("a listener that sets a newer value spares the others the old one, and nobody gets them in the wrong order", () => {
  const cell = new WatchCell<number>();
  const seen: string[] = [];
  cell.subscribe((value) => {
    seen.push(`a${value}`);
    if (value === 1) cell.set(2);
  });
  cell.subscribe((value) => seen.push(`b${value}`));
  cell.set(1);
  assert.deepEqual(seen, ["a1", "a2", "b2"]);
});

test("who stops or comes while a value is told does not disturb the telling", () => {
  const cell = new WatchCell<number>();
  const seen: string[] = [];
  const stop = cell.subscribe((value) => {
    seen.push(`first ${value}`);
    stop();
    cell.subscribe((late) => seen.push(`late ${late}`));
  });
  cell.subscribe((value) => seen.push(`second ${value}`));
  cell.set(1);
  cell.set(2);
  assert.deepEqual(seen, ["first 1", "late 1", "second 1", "second 2", "late 2"]);
});

test("nextValue takes the value that is there, or waits for one that fits", async () => {
  const cell = new WatchCell(1);
  assert.equal(await nextValue(cell), 1);
  const big = nextValue(cell, (value) => value > 2);
  cell.set(2);
  cell.set(3);
  cell.set(4);
  assert.equal(await big, 3);
});

test("nextValue stops listening once it has its value", async () => {
  const cell = new WatchCell(1);
  let asked = 0;
  const found = nextValue(cell, () => ++asked > 0);
  cell.set(2);
  await found;
  assert.equal(asked, 1);
});
