import assert from "node:assert/strict";
import { test } from "node:test";
import { locateProblems, parseText } from "./document.ts";

const read = (text: string) => parseText({ text, file: "f" });

test("JSON, quick YAML and whole YAML give the same", () => {
  const value = { json: { a: [1, "b", true, null] } };
  assert.deepEqual(read('{"a": [1, "b", true, null]}'), value);
  assert.deepEqual(read("a: [1, b, yes, ~]\n"), value);
  assert.deepEqual(read("a: &x\n- 1\n- b\n- on\n-\n"), value);
});

test("aliases are followed, and one that contains itself is an error", () => {
  assert.deepEqual(read("a: &x {b: 1}\nc: *x\n"), { json: { a: { b: 1 }, c: { b: 1 } } });
  assert.ok("problem" in read("a: &x [*x]\n"));
});

test("a file without a value is an error", () => {
  const empty = { problem: { message: "is empty", file: "f" } };
  for (const text of ["", "\n", "# nothing\n", "---\n", "~"]) assert.deepEqual(read(text), empty);
});

test("whatever nests too deep is an error", () => {
  const deep = [
    `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
    `a: ${"[".repeat(50_000)}`,
    `${'{"a":'.repeat(500)}1${"}".repeat(500)}`,
    `${"- ".repeat(500)}a`,
  ];
  for (const text of deep) assert.ok("problem" in read(text), text.slice(0, 9));
});

test("an integer that a number cannot hold keeps its digits", () => {
  assert.deepEqual(read('{"a": 18446744073709551615}'), { json: { a: "18446744073709551615" } });
  assert.deepEqual(read("a: 18446744073709551615\n"), { json: { a: "18446744073709551615" } });
});

test("an error of syntax has its position", () => {
  const parsed = read("a: 1\nb: [1\nc: 2\n");
  assert.ok("problem" in parsed);
  assert.equal(parsed.problem.file, "f");
  assert.equal(parsed.problem.line, 3);
  const json = read('{"a": 1,\n "b": }}');
  assert.ok("problem" in json);
  assert.equal(json.problem.line, 2);
});

const TEXT = `static_resources:
  clusters:
  - name: a
  - name: b
    lbPolicy: X
    metadata: {filter_metadata: {"a.b": {c: 1}}}
`;

const PLACES: [string, number, number][] = [
  ["static_resources.clusters[1].lb_policy", 5, 5],
  ["static_resources.clusters[1].connect_timeout", 4, 5],
  ["static_resources.clusters[0].name", 3, 5],
  ['static_resources.clusters[1].metadata.filter_metadata["a.b"].c', 6, 42],
  ["static_resources.clusters[7].name", 2, 3],
  ["node.id", 1, 1],
  ["", 1, 1],
];

for (const [path, line, column] of PLACES) {
  test(`finds ${path || "the beginning"}`, () => {
    const [problem] = locateProblems([{ message: "m", path }], { text: TEXT, file: "f" });
    assert.deepEqual(problem, { message: "m", path, file: "f", line, column });
  });
}
