import assert from "node:assert/strict";
import { test } from "node:test";
import { DetectionMemory } from "./detection-memory.ts";

test("what was learned last counts, and says how long a client may be silent", () => {
  const memory = new DetectionMemory();
  assert.equal(memory.silenceMs("a", 20), 20);
  memory.learn("a", "server");
  assert.equal(memory.silenceMs("a", 20), 0);
  memory.learn("a", "client");
  assert.equal(memory.silenceMs("a", 20), 200);
  assert.equal(memory.silenceMs("b", 20), 20);
});

test("the destination that was not asked for longest is forgotten", () => {
  const memory = new DetectionMemory(2);
  memory.learn("a", "server");
  memory.learn("b", "server");
  memory.get("a");
  memory.learn("c", "client");
  assert.deepEqual(
    ["a", "b", "c"].map((name) => memory.get(name)),
    ["server", null, "client"],
  );
  assert.equal(memory.size, 2);
});
