/**
 * The pages about Envoy's configuration say what the code does: `npm test -- --update test/envoy-support.test.ts` writes
 * `docs/envoy-support.md`, and the lists in `docs/differences-from-envoy.md`, anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { withDifferences } from "../scripts/envoy-differences.ts";
import { envoySupport } from "../scripts/envoy-support.ts";

const DOCS = path.join(import.meta.dirname, "..", "docs");
const PAGE = path.join(DOCS, "envoy-support.md");

test("the page on Envoy's configuration is what the code says", () => {
  const text = envoySupport();
  if (process.env["UPDATE"] === "1") writeFileSync(PAGE, text);
  assert.equal(readFileSync(PAGE, "utf8"), text);
});

test("what was left out or refused is on the page by name", () => {
  const text = envoySupport();
  for (const line of [
    "- `freebind` is not supported yet; its default is accepted",
    "- `alt_stat_name` is ignored: metrics are labelled with the cluster's name",
    "`lb_policy` (not MAGLEV",
    "`health_checks`",
  ]) {
    assert.ok(text.includes(line), line);
  }
});

test("every difference on purpose is on the page of differences", () => {
  const page = path.join(DOCS, "differences-from-envoy.md");
  const text = withDifferences(readFileSync(page, "utf8"));
  if (process.env["UPDATE"] === "1") writeFileSync(page, text);
  assert.equal(readFileSync(page, "utf8"), text);
});
