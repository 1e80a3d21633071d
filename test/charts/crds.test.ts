/**
 * The CRDs of `charts/outrigger-crds` are made from what reads manifests (`npm test -- --update test/charts/crds.test.ts`
 * writes them anew), and an API server accepts what that accepts: asked is the API server's own code.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { KINDS, OWN_API } from "../../control-plane/manifest/kinds.ts";
import { parseManifests } from "../../control-plane/manifest/parse.ts";
import { crd, crdTemplate, OWN_KINDS, type OwnKind } from "../../scripts/crds.ts";
import { goTool } from "../../scripts/go-tools.ts";
import { arbitraryOf } from "../support/manifest-values.ts";
import { skip } from "../support/tools.ts";

const root = path.join(import.meta.dirname, "..", "..");
const CHART = path.join(root, "charts", "outrigger-crds");
const kinds = Object.keys(OWN_KINDS) as OwnKind[];

interface Judgement {
  readonly object: unknown;
  readonly problems: readonly string[];
}

/** What an API server that has the CRDs says of each object; null where its code is not built here. */
function apiServer(t: TestContext, objects: readonly unknown[]): readonly Judgement[] | null {
  const program = goTool("crdcheck");
  if (program === null) {
    skip(t, "crdcheck is not built: node scripts/go-tools.ts does it");
    return null;
  }
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-crds-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const files = kinds.map((kind) => {
    const file = path.join(folder, `${kind}.json`);
    writeFileSync(file, JSON.stringify(crd(kind)));
    return file;
  });
  const { status, stdout, stderr } = spawnSync(program, files, {
    input: objects.map((object) => `${JSON.stringify(object)}\n`).join(""),
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, objects.length);
  return objects.map((object, i) => ({ object, problems: JSON.parse(lines[i] ?? "") as string[] }));
}

/** What the control plane says of an object. */
function reader(object: unknown): readonly string[] {
  return parseManifests("object.json", JSON.stringify(object)).flatMap(({ problems }) =>
    problems.map(({ path: at, message }) => `${at}: ${message}`),
  );
}

for (const kind of kinds) {
  test(`the CRD of ${kind} is what the manifests' reader says`, () => {
    const file = path.join(CHART, "templates", `${OWN_KINDS[kind].plural}.yaml`);
    const text = crdTemplate(kind);
    if (process.env["UPDATE"] === "1") writeFileSync(file, text);
    assert.equal(readFileSync(file, "utf8"), text);
  });

  test(`every field of ${kind} has its description`, () => {
    const bare: string[] = [];
    const visit = (schema: Record<string, unknown>, at: string): void => {
      const below = (schema["items"] ?? schema) as { properties?: Record<string, Record<string, unknown>> };
      for (const [name, field] of Object.entries(below.properties ?? {})) {
        // Sections without a row of their own say what they are by name.
        if (field["description"] === undefined && field["type"] !== "object") bare.push(`${at}.${name}`);
        visit(field, `${at}.${name}`);
      }
    };
    const { spec } = crd(kind) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
    visit(spec.versions[0]?.schema.openAPIV3Schema.properties.spec ?? {}, "spec");
    assert.deepEqual(bare, []);
  });

  test(`an API server accepts the ${kind} that the control plane accepts, and no other`, (t) => {
    const { shape } = KINDS[kind].schema;
    assert.ok(shape.type === "object");
    const spec = shape.fields["spec"]?.shape;
    assert.ok(spec);
    const head = { apiVersion: OWN_API, kind, metadata: { name: "a", namespace: "shop" } };
    const judged = apiServer(
      t,
      fc.sample(arbitraryOf(spec), 4000).map((value) => ({ ...head, spec: value })),
    );
    if (judged === null) return;
    let accepted = 0;
    for (const { object, problems } of judged) {
      const ours = reader(object);
      if (ours.length === 0) accepted++;
      const said = { object, "API server": problems, "control plane": ours };
      assert.equal(problems.length === 0, ours.length === 0, JSON.stringify(said, null, 2));
    }
    // Neither side of the comparison may be empty, or nothing was compared.
    assert.ok(accepted > 40 && accepted < 3960, `${accepted} of ${judged.length} were good`);
  });
}

interface Schema {
  readonly properties: Readonly<Record<string, Record<string, unknown>>>;
}

test("an API server accepts the guide's examples and the control plane's status", (t) => {
  const guide = readFileSync(path.join(root, "docs", "manifests.md"), "utf8");
  const condition = {
    type: "Accepted",
    status: "False",
    reason: "TargetNotFound",
    message: "there is no Service shop/orders",
    lastTransitionTime: "2026-01-01T00:00:00Z",
    observedGeneration: 3,
  };
  const ancestorRef = { group: "", kind: "Service", namespace: "shop", name: "orders" };
  const status = {
    observedGeneration: 3,
    conditions: [condition],
    ancestors: [{ ancestorRef, controllerName: "outrigger.dev/controller", conditions: [condition] }],
  };
  const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)]
    .flatMap(([, text = ""]) => parseAllDocuments(text))
    .map((document) => document.toJS() as { apiVersion: string; metadata: object })
    .filter(({ apiVersion }) => apiVersion === OWN_API)
    .map((object) => ({ ...object, status }));
  assert.ok(examples.length >= kinds.length);
  const twice = { ...examples[0], status: { ...status, conditions: [condition, condition] } };
  const judged = apiServer(t, [...examples, twice]);
  if (judged === null) return;
  const all = judged.map(({ problems }) => problems);
  assert.deepEqual(
    all.slice(0, -1),
    examples.map(() => []),
  );
  assert.match(all.at(-1)?.join() ?? "", /Duplicate value/);
});

test("what spans fields is refused with the reader's words, at the field", (t) => {
  const object = {
    apiVersion: OWN_API,
    kind: "ResiliencePolicy",
    metadata: { name: "a" },
    spec: { targetRefs: [{ kind: "HTTPRoute", name: "a" }], limits: { requests: 1 } },
  };
  const judged = apiServer(t, [object]);
  if (judged === null) return;
  assert.deepEqual(judged[0]?.problems, [
    "spec.limits: Invalid value: shapes the calls to a Service as a whole: target the Service",
  ]);
  assert.deepEqual(reader(object), ["spec.limits: shapes the calls to a Service as a whole: target the Service"]);
});
