/**
 * What the charts create, by example: `test/golden/charts/NAME.in.yaml` are values, `NAME.out.yaml` what Helm makes of
 * them. `npm test -- --update test/charts/render.test.ts` rewrites the outputs.
 */
import assert from "node:assert/strict";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { CHARTS, type Helm, type KubeObject, render, renderRun, requireHelm } from "../support/helm.ts";

const DIRECTORY = path.join(import.meta.dirname, "..", "golden", "charts");
const CHART = path.join(CHARTS, "outrigger");

/** Values files by the name of their golden file. */
const CASES: Readonly<Record<string, string>> = {
  default: path.join(CHART, "values.yaml"),
  ha: path.join(CHART, "values-ha.yaml"),
  ...Object.fromEntries(
    globSync("*.in.yaml", { cwd: DIRECTORY }).map((file) => [file.replace(".in.yaml", ""), path.join(DIRECTORY, file)]),
  ),
};

/** Dashboards have goldens of their own. */
function shortened(object: KubeObject): unknown {
  if (object.kind !== "ConfigMap") return object;
  const data = Object.entries(object["data"] as Readonly<Record<string, string>>);
  return {
    ...object,
    data: Object.fromEntries(data.map(([key, text]) => [key, key.endsWith(".json") ? JSON.parse(text).title : text])),
  };
}

function golden(name: string, objects: readonly KubeObject[]): void {
  const file = path.join(DIRECTORY, `${name}.out.yaml`);
  const actual = objects
    .map((object) => stringify(shortened(object), { lineWidth: 120, aliasDuplicateObjects: false }))
    .join("---\n");
  if (process.env["UPDATE"] === "1") writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, "utf8"));
}

for (const [name, file] of Object.entries(CASES)) {
  test(`the chart renders: ${name}`, (t) => {
    const helm = requireHelm(t);
    if (helm !== null) golden(name, render(helm, "outrigger", file));
  });
}

test("the chart of the CRDs renders each, and keeps them when it is uninstalled", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const objects = render(helm, "outrigger-crds");
  assert.deepEqual(
    objects.map(({ kind, metadata }) => [kind, metadata.name, metadata.annotations?.["helm.sh/resource-policy"]]),
    ["accesspolicies", "meshpolicies", "resiliencepolicies"].map((name) => [
      "CustomResourceDefinition",
      `${name}.outrigger.dev`,
      "keep",
    ]),
  );
  // Words that YAML 1.1 takes for booleans come through as words.
  assert.match(JSON.stringify(objects), /"enum":\["On","Off"\]/);
  const given = render(helm, "outrigger-crds", { keep: false, labels: { a: "b" }, annotations: { c: "d" } });
  for (const { metadata } of given) {
    assert.deepEqual(metadata.annotations, { c: "d" });
    assert.equal(metadata.labels?.["a"], "b");
  }
});

test("helm lint finds nothing", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const crds = path.join(CHARTS, "outrigger-crds");
  const runs = [[crds, path.join(crds, "values.yaml")], ...Object.values(CASES).map((file) => [CHART, file])];
  for (const [chart = "", file = ""] of runs) {
    const { status, stdout, stderr } = helm(["lint", chart, "--strict", "--kube-version", "1.36.0", "--values", file]);
    assert.equal(status, 0, stdout + stderr);
  }
});

test("after an installation the next steps are said", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  // Helm shows notes only where there is a cluster: a copy of the chart has them in an object.
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-chart-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(CHART, folder, { recursive: true });
  cpSync(path.join(CHART, "templates", "NOTES.txt"), path.join(folder, "notes"));
  const template =
    'apiVersion: v1\nkind: Notes\nmetadata: { name: notes }\ntext: {{ tpl (.Files.Get "notes") . | quote }}\n';
  writeFileSync(path.join(folder, "templates", "notes.yaml"), template);
  const notes = (values: object): string => {
    const { status, stdout, stderr } = renderRun(helm, folder, values);
    assert.equal(status, 0, stderr);
    const all = parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject | null);
    return String(all.find((object) => object?.kind === "Notes")?.["text"]);
  };
  const first = notes({});
  assert.match(first, /kubectl label namespace NAMESPACE outrigger\.dev\/inject=enabled\n/);
  assert.match(first, /install the chart outrigger-crds/);
  assert.match(first, /There is one control plane/);
  assert.doesNotMatch(notes({ replicas: 2 }), /There is one control plane/);
  assert.match(notes({ revision: "canary" }), /outrigger\.dev\/rev=canary\n/);
  assert.match(notes({ injector: { enabled: false } }), /outrigger inject FILE/);
});

/** `a.b` of every value that is no section. */
function leaves(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  const entries = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  return entries.length === 0 ? [at] : entries.flatMap(([key, below]) => leaves(below, [...at, key]));
}

function at(value: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>((of, key) => (of as Readonly<Record<string, unknown>> | undefined)?.[key], value);
}

/** A copy without one value. */
function without(value: unknown, [key = "", ...rest]: readonly string[]): unknown {
  const { [key]: below, ...others } = value as Readonly<Record<string, unknown>>;
  return rest.length === 0 ? others : { ...others, [key]: without(below, rest) };
}

/**
 * The chart rendered with each of many values, in one run of Helm: as so many dependencies of a chart that is made for it.
 * What a dependency's name brings into its objects is taken out.
 */
function renderAll(t: TestContext, helm: Helm, many: readonly object[]): readonly string[] {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-charts-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(CHART, path.join(folder, "charts", "outrigger"), { recursive: true });
  const aliases = many.map((_, i) => `v${i}`);
  const dependencies = aliases.map((alias) => ({ name: "outrigger", version: "*", alias }));
  writeFileSync(
    path.join(folder, "Chart.yaml"),
    stringify({ apiVersion: "v2", name: "all", version: "1.0.0", dependencies }),
  );
  const { status, stdout, stderr } = renderRun(helm, folder, Object.fromEntries(many.map((one, i) => [`v${i}`, one])));
  assert.equal(status, 0, stderr);
  const rendered = new Map<string, string>();
  for (const object of stdout.split(/^---$/m)) {
    const alias = /^# Source: all\/charts\/(v\d+)\//m.exec(object)?.[1] ?? "";
    const plain = object.replaceAll(new RegExp(`\\b${alias}(?=[-/])`, "g"), "outrigger");
    rendered.set(alias, `${rendered.get(alias) ?? ""}${plain}`);
  }
  return aliases.map((alias) => rendered.get(alias) ?? "");
}

test("every value makes a difference, and the examples show each", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const all = leaves(parse(readFileSync(path.join(CHART, "values.yaml"), "utf8")));
  const examples = globSync("*.in.yaml", { cwd: DIRECTORY }).map(
    (file) => parse(readFileSync(path.join(DIRECTORY, file), "utf8")) as object,
  );
  // Each example as it is, then without each of its values in turn.
  const variants = examples.flatMap((given) => [
    { given, keys: null, values: given },
    ...all
      .filter((keys) => at(given, keys) !== undefined)
      .map((keys) => ({ given, keys, values: without(given, keys) as object })),
  ]);
  const texts = renderAll(
    t,
    helm,
    variants.map(({ values }) => values),
  );
  const whole = new Map(variants.flatMap(({ given, keys }, i) => (keys === null ? [[given, texts[i]]] : [])));
  const effective = new Set(
    variants.flatMap(({ given, keys }, i) => (keys !== null && texts[i] !== whole.get(given) ? [keys.join(".")] : [])),
  );
  assert.deepEqual(
    all.map((keys) => keys.join(".")).filter((name) => !effective.has(name)),
    [],
  );
  // The comparison can see that nothing has changed.
  const [same, again] = renderAll(t, helm, [{}, {}]);
  assert.equal(same, again);
  assert.match(same ?? "", /kind: Deployment/);
});
