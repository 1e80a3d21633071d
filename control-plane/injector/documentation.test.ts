/** `docs/inject.md` names every annotation and setting that there is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { SETTINGS } from "./annotations.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";

const page = readFileSync(path.join(import.meta.dirname, "..", "..", "docs", "inject.md"), "utf8");
const section = (heading: string): string => page.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";

/** Words in the first cells of a section's tables. */
function named(heading: string): string[] {
  const cells = section(heading)
    .split("\n")
    .map((line) => /^\| (`[^|]*?) \|/.exec(line)?.[1] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, name = ""]) => name)).sort();
}

test("annotations", () => {
  assert.deepEqual(named("Annotations"), Object.keys(SETTINGS).sort());
});

test("settings", () => {
  assert.deepEqual(named("Settings"), Object.keys(DEFAULT_SETTINGS).sort());
});

test("the webhook's configuration is YAML", () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(section("The webhook")) ?? [];
  assert.equal((parse(yaml) as { webhooks: object[] }).webhooks.length, 2);
});
