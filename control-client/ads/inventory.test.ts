import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonDecoder, jsonResource } from "../testing/json-decoder.ts";
import { type Examined, Inventory, type Item } from "./inventory.ts";

function item(name: string, version: string, rest: Readonly<Record<string, unknown>> = {}): Item {
  return { name, version, resource: jsonResource("cluster", name, rest).any };
}

function examine(inventory: Inventory<"cluster">, items: readonly Item[], decoder = new JsonDecoder()) {
  const steps = inventory.examine(items, decoder);
  let count = 0;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return { ...(step.value as Examined<"cluster">), count, decoded: decoder.decoded };
    count++;
  }
}

test("examining holds nothing, and gives way after each resource", () => {
  const inventory = new Inventory("cluster");
  const found = examine(inventory, [item("a", "1"), item("b", "1")]);
  assert.deepEqual([...found.upserts.keys()], ["a", "b"]);
  assert.equal(found.count, 2);
  assert.equal(inventory.size, 0);
});

test("what is held is recognised by its bytes, and its version kept up", () => {
  const inventory = new Inventory("cluster");
  inventory.hold(examine(inventory, [item("a", "1"), item("b", "1")]).entries);
  const found = examine(inventory, [item("a", "2"), item("b", "2", { v: 2 })]);
  assert.deepEqual([...found.upserts.keys()], ["b"]);
  assert.equal(found.decoded, 1);
  inventory.hold(found.entries);
  assert.deepEqual(inventory.versions(), { a: "2", b: "2" });
});

test("an old value that comes back is decoded again: only the newest one is held", () => {
  const inventory = new Inventory("cluster");
  for (const rest of [{}, { v: 2 }]) inventory.hold(examine(inventory, [item("a", "1", rest)]).entries);
  assert.deepEqual([...examine(inventory, [item("a", "3")]).upserts.keys()], ["a"]);
});

test("what was dropped is news again", () => {
  const inventory = new Inventory("cluster");
  inventory.hold(examine(inventory, [item("a", "1")]).entries);
  assert.equal(inventory.drop("a"), true);
  assert.equal(inventory.drop("a"), false);
  assert.deepEqual([...examine(inventory, [item("a", "1")]).upserts.keys()], ["a"]);
});

test("a wrapper with something wrong in it is refused by name", () => {
  const found = examine(new Inventory("cluster"), [{ ...item("a", "1"), problem: "is wrong" }, item("b", "1")]);
  assert.deepEqual([...found.upserts.keys()], ["b"]);
  assert.deepEqual([...found.refused], ["a"]);
  assert.deepEqual(found.problems, [{ resource: 'CDS "a"', message: "is wrong" }]);
});

test("a wrapper that names another resource than it holds is refused", () => {
  const inventory = new Inventory("cluster");
  const found = examine(inventory, [{ ...item("b", "1"), name: "a" }]);
  assert.equal(found.upserts.size, 0);
  assert.deepEqual([...found.refused], ["a"]);
  assert.equal(found.problems[0]?.message, 'the resource inside is named "b"');
});
