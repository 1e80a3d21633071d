/** `docs/manifests.md` says something about every field of our own kinds, and about no other. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { KINDS } from "./kinds.ts";
import { parseManifests } from "./parse.ts";

const text = readFileSync(path.join(import.meta.dirname, "..", "..", "docs", "manifests.md"), "utf8");

for (const kind of ["ResiliencePolicy", "AccessPolicy", "MeshPolicy"] as const) {
  test(`the table of ${kind} has exactly its fields`, () => {
    const section = text.split(`\n## ${kind}\n`)[1]?.split("\n## ")[0] ?? "";
    const documented = [...section.matchAll(/^\| `([A-Za-z.]+)`/gm)].map((match) => match[1]);
    const known = KINDS[kind].schema.paths.filter((field) => field.startsWith("spec.")).map((field) => field.slice(5));
    assert.deepEqual(documented.sort(), known.sort());
  });
}

test("the examples are good manifests", () => {
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  assert.ok(examples.length > 0);
  for (const example of examples) {
    assert.deepEqual(
      parseManifests("example.yaml", example).flatMap(({ problems }) => problems),
      [],
    );
  }
});
