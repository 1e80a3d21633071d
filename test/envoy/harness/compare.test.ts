import assert from "node:assert/strict";
import { test } from "node:test";
import type { Case } from "./case.ts";
import { judge, missing } from "./compare.ts";

const plain: Case = { name: "a case" };
const differs: Case = { ...plain, differs: { why: "reasons", envoy: ["x {case}"], outrigger: ["y"] } };

test("lines that only one side has, repetitions counted", () => {
  assert.deepEqual(missing(["a", "b", "b"], ["b", "a"]), ["b"]);
  assert.deepEqual(missing(["a"], ["a", "a"]), []);
});

test("equal lines in the same order agree", () => {
  assert.equal(judge(plain, "id", ["a", "b"], ["a", "b"]), null);
  assert.match(judge(plain, "id", ["a", "b"], ["b", "a"])?.join() ?? "", /another order/);
  assert.deepEqual(judge(plain, "id", ["a"], ["b"]), ["- envoy     a", "+ outrigger b"]);
});

test("a difference is as the case says, or wrong", () => {
  assert.equal(judge(differs, "id", ["a", "x id"], ["a", "y"]), null);
  assert.notEqual(judge(differs, "id", ["a", "x id"], ["a", "z"]), null);
  // A case that says that there is a difference where there is none any more is out of date.
  assert.notEqual(judge(differs, "id", ["a"], ["a"]), null);
});

test("a view is what is compared", () => {
  const view: Case = { ...plain, view: (lines) => lines.filter((line) => line !== "chance") };
  assert.equal(judge(view, "id", ["a", "chance"], ["a"]), null);
});
