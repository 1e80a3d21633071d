/** Positions and merging of configuration trees. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BootstrapSchema } from "../../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import { locateProblem } from "./locate.ts";
import { type Located, parseLocated, toJson } from "./located.ts";
import { mergeLocated } from "./merge.ts";

function tree(text: string, file = "f"): Located {
  const parsed = parseLocated(text, file);
  assert.ok(!("problems" in parsed), JSON.stringify(parsed));
  return parsed;
}

function at(root: Located, path: string): string {
  const { file, line, column } = locateProblem(root, { path, message: "" });
  return `${file}:${line}:${column}`;
}

const merged = (base: string, override: string): unknown =>
  toJson(mergeLocated(BootstrapSchema, tree(base), tree(override)));

test("everything becomes the plain value that it is", () => {
  const text = 'a: [1, "1", 1.5, yes, "yes", ~, text, 0x10, {b: }]\nc: &x {d: 1}\ne: *x\n"f g": |\n  two\n  lines\n';
  assert.deepEqual(toJson(tree(text)), {
    a: [1, "1", 1.5, true, "yes", null, "text", 16, { b: null }],
    c: { d: 1 },
    e: { d: 1 },
    "f g": "two\nlines\n",
  });
  assert.equal(toJson(tree("")), null);
});

test("JSON is read as well", () => {
  assert.deepEqual(toJson(tree('{"a": ["x", 1, true, null]}')), { a: ["x", 1, true, null] });
});

test("an alias that contains itself ends in an error", () => {
  const parsed = parseLocated("a: &x [*x]", "f");
  assert.match("problems" in parsed ? (parsed.problems[0]?.message ?? "") : "", /nested more than/);
});

test("a path is found where its key stands, or the innermost part that is there", () => {
  const root = tree("a:\n  - b: 1\n    camelCase: 2\n  - c:\n      x.y: 3\n");
  assert.equal(at(root, "a"), "f:1:1");
  assert.equal(at(root, "a[0].b"), "f:2:5");
  assert.equal(at(root, "a[0].camel_case"), "f:3:5");
  assert.equal(at(root, 'a[1].c["x.y"]'), "f:5:7");
  assert.equal(at(root, "a[1].missing.deeper"), "f:4:5");
  assert.equal(at(root, "a[7]"), "f:1:1");
  assert.equal(at(root, ""), "f:1:1");
});

test("messages merge, scalars replace, lists are appended", () => {
  assert.deepEqual(
    merged(
      "node: {id: a, cluster: b}\nstatic_resources: {clusters: [{name: x}]}",
      "node: {id: c}\nstaticResources: {clusters: [{name: w}]}",
    ),
    { node: { id: "c", cluster: "b" }, static_resources: { clusters: [{ name: "x" }, { name: "w" }] } },
  );
});

test("a default value and null do not override, as they are no values in protobuf", () => {
  assert.deepEqual(merged("node: {id: a}", 'node: {id: "", cluster: ~}'), { node: { id: "a" } });
});

test("entries of a Struct are replaced whole", () => {
  assert.deepEqual(merged("node: {metadata: {a: {x: 1}, b: 2}}", "node: {metadata: {a: {y: 1}}}"), {
    node: { metadata: { a: { y: 1 }, b: 2 } },
  });
});

test("a member of a oneof takes the place of another", () => {
  assert.deepEqual(merged("dynamic_resources: {cds_config: {path: a}}", "dynamic_resources: {cds_config: {ads: {}}}"), {
    dynamic_resources: { cds_config: { ads: {} } },
  });
});

test("what an Any holds is replaced whole", () => {
  const any = (rest: string) => `tracing: {http: {typed_config: {"@type": t, ${rest}}}}`;
  assert.deepEqual(merged(any("a: 1"), any("b: 1")), {
    tracing: { http: { typed_config: { "@type": "t", b: 1 } } },
  });
});

test("a merged tree knows the file of each part", () => {
  const root = mergeLocated(
    BootstrapSchema,
    tree("static_resources:\n  clusters:\n  - name: x\n", "base"),
    tree("static_resources: {clusters: [{name: y}]}", "over"),
  );
  assert.equal(at(root, "static_resources.clusters[0].name"), "base:3:5");
  assert.equal(at(root, "static_resources.clusters[1].name"), "over:1:32");
});

test("a problem in a static resource learns the resource's name", () => {
  const root = tree("static_resources:\n  clusters:\n  - name: x\n");
  const problem = locateProblem(root, { path: "static_resources.clusters[0].type", message: "m" });
  assert.equal(problem.resource, 'cluster "x"');
});
