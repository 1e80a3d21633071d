import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { replaceMarked, summary } from "./docs.ts";
import { type Result, withRatios } from "./report.ts";

const EMPTY = {
  cpu_us_per_request: null,
  cpu_s_per_gb: null,
  rps: null,
  p50_ms: null,
  p99_ms: null,
  p999_ms: null,
  rss_mb: null,
  ready_ms: null,
  busy: null,
  errors: 0,
};

test("a case has one row with the figure that it is about, and a gap where a proxy was not measured", () => {
  const results: Result[] = withRatios([
    { ...EMPTY, case: "h1-one-hop", proxy: "outrigger", cpu_us_per_request: 15 },
    { ...EMPTY, case: "h1-one-hop", proxy: "envoy", cpu_us_per_request: 30 },
    { ...EMPTY, case: "rss-at-rest", proxy: "envoy", rss_mb: 65.4 },
  ]);
  assert.deepEqual(summary(results).split("\n").slice(2), [
    "| one hop, 32 callers | CPU µs per request | 15.0 | 30.0 | 0.50 | ≤ 0.65 |",
    "| at rest, one cluster | RSS, MB |  | 65 |  | ≤ 1.3 |",
  ]);
});

test("Outrigger's own baseline takes Envoy's place where the target says so, and gets no column", () => {
  const one = (proxy: string, cpu: number): Omit<Result, "ratio_to_envoy" | "ratio_to_own"> => ({
    ...EMPTY,
    case: "h1-two-hop-multiplexed-1",
    proxy,
    cpu_us_per_request: cpu,
  });
  const rows = (results: Parameters<typeof withRatios>[0]): string[] =>
    summary(withRatios(results)).split("\n").slice(2);
  const start = "| two hops, multiplexed between, one caller | CPU µs per request | 210.0 | 300.0 |";
  const own = one("outrigger-h1-hop", 200);
  assert.deepEqual(rows([one("outrigger", 210), one("envoy", 300), own]), [
    `${start} 1.05 × its HTTP/1.1 hop | ≤ 1.05 × its HTTP/1.1 hop |`,
  ]);
  assert.deepEqual(rows([one("outrigger", 210), one("envoy", 300)]), [`${start}  | ≤ 1.05 × its HTTP/1.1 hop |`]);
});

test("a stream's figure is CPU per GB, also of its two ways", () => {
  const results = ["", "-upload", "-download"].map((way, i) => ({
    ...EMPTY,
    case: `h2-stream-1gb-two-hop${way}`,
    proxy: "outrigger",
    cpu_s_per_gb: 2 + i,
  }));
  const cells = summary(withRatios(results))
    .split("\n")
    .slice(2)
    .map((row) => row.split(" | ").slice(1));
  assert.deepEqual(cells, [
    ["CPU s per GB", "2.00", "", "≤ 1.0 |"],
    ["CPU s per GB", "3.00", "", " |"],
    ["CPU s per GB", "4.00", "", " |"],
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
