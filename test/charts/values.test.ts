/**
 * The charts' values: each has its comment, its row in the README and its type in `values.schema.json`, and nothing else
 * is taken. `npm test -- --update test/charts/values.test.ts` writes the tables anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { chartValues, withValues } from "../../scripts/chart-values.ts";
import { CHARTS } from "../support/helm.ts";

interface JsonSchema {
  readonly additionalProperties?: boolean | object;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

for (const chart of ["outrigger", "outrigger-crds"]) {
  const read = (file: string) => readFileSync(path.join(CHARTS, chart, file), "utf8");

  test(`the README of ${chart} lists its values`, () => {
    const text = withValues(read("README.md"), read("values.yaml"));
    if (process.env["UPDATE"] === "1") writeFileSync(path.join(CHARTS, chart, "README.md"), text);
    assert.equal(read("README.md"), text);
  });

  test(`every value of ${chart} says what it means`, () => {
    const values = chartValues(read("values.yaml"));
    assert.ok(values.length > 0);
    assert.deepEqual(
      values.filter(({ meaning }) => meaning === "").map(({ key }) => key),
      [],
    );
  });

  test(`the schema of ${chart} has its values and no others`, () => {
    const schema = JSON.parse(read("values.schema.json")) as JsonSchema;
    const documented = chartValues(read("values.yaml")).map(({ key }) => key);
    const known: string[] = [];
    const visit = (at: string, { properties, additionalProperties }: JsonSchema): void => {
      if (documented.includes(at) || !properties) return void known.push(at);
      assert.equal(additionalProperties, false, `${at} takes anything`);
      for (const [name, below] of Object.entries(properties)) visit(at === "" ? name : `${at}.${name}`, below);
    };
    visit("", schema);
    // Helm gives `global` to every chart that is part of another.
    assert.deepEqual(known.filter((key) => key !== "global").sort(), documented.toSorted());
  });
}

test("comments, sections and values are told apart", () => {
  const text = `# Not of a value.\n\n# One\n# sentence.\na: 1\nb:\n  # Two.\n  c: [x]\n# A whole section.\nd:\n  e: true\n  f: ""\ng: {}\n`;
  assert.deepEqual(chartValues(text), [
    { key: "a", meaning: "One sentence.", fallback: 1 },
    { key: "b.c", meaning: "Two.", fallback: ["x"] },
    { key: "d", meaning: "A whole section.", fallback: { e: true, f: "" } },
    { key: "g", meaning: "", fallback: {} },
  ]);
  const readme = "before\n<!-- values: made from values.yaml -->\nold\n<!-- end of values -->\nafter\n";
  const made = withValues(readme, text);
  assert.match(made, /^before\n.*\n\n\| value .*\n\| --- .*\n\| `a` \| One sentence\. \| `1` \|\n/);
  assert.equal(withValues(made, text), made);
  assert.ok(made.endsWith("<!-- end of values -->\nafter\n"));
});
