import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JsonValue } from "../json.ts";
import { jsonPatch } from "./json-patch.ts";
import { applyPatch } from "./testing/apply-patch.ts";

/** Few names and values, so that two documents have much in common; with what needs escaping. */
const value = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<JsonValue>(null, true, 0, 1, "", "a"),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.constantFrom("a", "b", "x/y", "~", "~1", "", "__proto__"), tie("value"), { maxKeys: 4 }),
  ),
})).value;

test("a patch makes the new document of the old one", () => {
  fc.assert(
    fc.property(value, value, (before, after) => {
      assert.deepEqual(normal(applyPatch(before, jsonPatch(before, after))), normal(after));
    }),
    { numRuns: 2000 },
  );
});

test("what is equal needs no patch", () => {
  fc.assert(fc.property(value, (one) => assert.deepEqual(jsonPatch(one, structuredClone(one)), [])));
});

test("a change inside leaves its surroundings alone", () => {
  const before = { spec: { containers: [{ name: "app", image: "a" }], "x/y": { kept: true } } };
  const after = { spec: { containers: [{ name: "first" }, { name: "app", image: "a" }], "x/y": { kept: false } } };
  assert.deepEqual(jsonPatch(before, after), [
    { op: "add", path: "/spec/containers/0", value: { name: "first" } },
    { op: "replace", path: "/spec/x~1y/kept", value: false },
  ]);
});

test("elements go from the last on, so that the others' indices hold", () => {
  assert.deepEqual(jsonPatch([1, 2, 3, 4], [1]), [
    { op: "remove", path: "/3" },
    { op: "remove", path: "/2" },
    { op: "remove", path: "/1" },
  ]);
});

/** JSON's members have no order, and objects no prototypes. */
function normal(document: JsonValue): unknown {
  if (Array.isArray(document)) return (document as readonly JsonValue[]).map(normal);
  if (typeof document !== "object" || document === null) return document;
  return new Map(
    Object.entries(document)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, normal(v)]),
  );
}
