import assert from "node:assert/strict";
import { test } from "node:test";
import type { Edge } from "./edges.ts";
import { createReport } from "./report.ts";
import { createScreen } from "./screen.ts";
import { certificateTable, edgeTable } from "./table.ts";

const EDGE: Edge = {
  source: "shop.default",
  destination: "orders-v1.default",
  requests: 50,
  failed: 5,
  buckets: new Map([
    [0.01, 50],
    [Number.POSITIVE_INFINITY, 50],
  ]),
  breaker: "open",
  ejected: 1,
  endpoints: 2,
};

test("edges are sorted, and columns stand under each other", () => {
  const idle: Edge = { ...EDGE, source: "orders.default", requests: 0, failed: 0, buckets: new Map(), breaker: null };
  assert.deepEqual(edgeTable([EDGE, idle], 2000), [
    "edge                calls/s  success  p50     p99     breaker  endpoints",
    "orders → orders-v1  0.0      –        –       –       –        2, 1 ejected",
    "shop → orders-v1    25.0     90.0 %   5.0 ms  9.9 ms  open     2, 1 ejected",
  ]);
});

test("a certificate that has not been seen has no age", () => {
  assert.deepEqual(
    certificateTable([
      { workload: "shop", ageMs: 1500, rotations: 3 },
      { workload: "stock-1", ageMs: null, rotations: 0 },
    ]),
    ["sidecar  certificate age  renewed", "shop     1.5 s            3 ×", "stock-1  –                0 ×"],
  );
});

test("a terminal's block is drawn over, any other output goes on", () => {
  const shown = (terminal: boolean): string => {
    let text = "";
    const screen = createScreen((more) => {
      text += more;
    }, terminal);
    screen.show(["a", "b"]);
    screen.show(["c"]);
    screen.show(["d"]);
    return text;
  };
  assert.equal(shown(true), "a\nb\n\x1b[2F\x1b[Jc\n\x1b[1F\x1b[Jd\n");
  assert.equal(shown(false), "a\nb\n\nc\n\nd\n\n");
});

test("a report names each point that did not hold once", () => {
  const lines: string[] = [];
  const report = createReport((line) => lines.push(line));
  report.begin("1. First");
  report.check(true, "one", "1");
  report.begin("2. Second");
  report.check(false, "two", "2");
  report.check(false, "three", "3");
  assert.deepEqual(report.failed, ["2. Second"]);
  assert.deepEqual(lines, ["\n1. First", "  ✓ one (1)", "\n2. Second", "  ✗ two (2)", "  ✗ three (3)"]);
});
