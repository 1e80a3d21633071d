import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { replaceMarked, summary } from "./docs.ts";
import { type Result, withRatios } from "./report.ts";

const EMPTY = { rps: null, p50_ms: null, p99_ms: null, p999_ms: null, rss_mb: null, ready_ms: null, errors: 0 };

test("a case has one row with the figure that it is about, and a gap where a proxy was not measured", () => {
  const results: Result[] = withRatios([
    { ...EMPTY, case: "h1-one-hop", proxy: "outrigger", cpu_us_per_request: 15 },
    { ...EMPTY, case: "h1-one-hop", proxy: "envoy", cpu_us_per_request: 30 },
    { ...EMPTY, case: "rss-at-rest", proxy: "envoy", cpu_us_per_request: null, rss_mb: 65.4 },
  ]);
  assert.deepEqual(summary(results).split("\n").slice(2), [
    "| one hop, 32 callers | CPU µs per request | 15.0 | 30.0 | 0.50 | ≤ 0.65 |",
    "| at rest, one cluster | RSS, MB |  | 65 |  | ≤ 1.3 |",
  ]);
});

test("only what stands between the markers is replaced", () => {
  const before = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n";
  const after = replaceMarked(before, "new");
  assert.equal(after, "a\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nb\n");
  assert.equal(replaceMarked(after, "new"), after);
  assert.throws(() => replaceMarked("a", "new"), /bench:begin/);
});

test("the pages that a run writes into have their markers", () => {
  for (const page of ["README.md", "docs/benchmark.md"]) {
    const text = readFileSync(path.join(import.meta.dirname, "..", page), "utf8");
    assert.doesNotThrow(() => replaceMarked(text, ""), page);
  }
});
