/** The chart's CRDs in a real API server: it takes them, keeps objects by them, and shows these as it is meant to. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { ApiError, type JsonObject } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { KINDS, OWN_API } from "../../control-plane/manifest/kinds.ts";
import { parseManifests } from "../../control-plane/manifest/parse.ts";
import { crd, OWN_KINDS, type OwnKind } from "../../scripts/crds.ts";
import { conditionsOf, installCrds, installOwnCrds, sharedKubeApi } from "../support/kube-api.ts";
import { type KubeClient, refOf } from "../support/kube-client.ts";
import { arbitraryOf } from "../support/manifest-values.ts";

const kinds = Object.keys(OWN_KINDS) as OwnKind[];
const kube = sharedKubeApi();
const OBJECTS = 250;

/** Examples of the guide, of our own kinds. */
function examples(namespace: string): readonly JsonObject[] {
  const guide = readFileSync(path.join(import.meta.dirname, "..", "..", "docs", "manifests.md"), "utf8");
  return [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)]
    .flatMap(([, text = ""]) => parseAllDocuments(text))
    .map((document) => document.toJS() as JsonObject)
    .filter(({ apiVersion }) => apiVersion === OWN_API)
    .map((object, i) => ({
      ...object,
      metadata: { ...objectAt(object, "metadata"), namespace, name: `example-${i}` },
    }));
}

function policy(namespace: string, name: string, spec: JsonObject = {}): JsonObject {
  const targetRefs = [{ kind: "Service", name: "orders" }];
  return {
    apiVersion: OWN_API,
    kind: "ResiliencePolicy",
    metadata: { namespace, name },
    spec: { targetRefs, ...spec },
  };
}

/** What the API server says against an object; "": nothing. */
async function refusal(client: KubeClient, object: object): Promise<string> {
  try {
    await client.create(object, "?dryRun=All&fieldValidation=Strict");
    return "";
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 422 && error.status !== 400)) throw error;
    return error.message;
  }
}

test("the CRDs are taken, structural, and in force", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  for (const kind of kinds) {
    const installed = await server.admin.get(refOf(crd(kind) as JsonObject));
    assert.deepEqual(conditionsOf(installed), { NamesAccepted: "True", Established: "True" }, kind);
  }
});

for (const kind of kinds) {
  test(`the API server takes the ${kind} that the control plane takes, and no other`, async (t) => {
    const server = kube(t);
    if (server === null) return;
    await installOwnCrds(server.admin);
    const { shape } = KINDS[kind].schema;
    const spec = shape.type === "object" ? shape.fields["spec"]?.shape : undefined;
    assert.ok(spec);
    const objects = fc.sample(arbitraryOf(spec), OBJECTS).map((value) => ({
      apiVersion: OWN_API,
      kind,
      metadata: { name: "a", namespace: "default" },
      spec: value,
    }));
    let good = 0;
    const judge = async (): Promise<void> => {
      for (let object = objects.pop(); object !== undefined; object = objects.pop()) {
        const said = await refusal(server.admin, object);
        const problems = parseManifests("object.json", JSON.stringify(object)).flatMap((one) => one.problems);
        const message = JSON.stringify({ object, "API server": said, "control plane": problems }, null, 2);
        assert.equal(said === "", problems.length === 0, message);
        if (said === "") good++;
      }
    };
    await Promise.all(Array.from({ length: 8 }, judge));
    // Of the kind with the most fields one in twenty is: that there is none happens once in a hundred thousand runs.
    assert.ok(good > 0 && good < OBJECTS, `${good} of ${OBJECTS} were good`);
  });
}

test("what spans fields is refused in the reader's words, at the field", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  const object = policy("default", "a", { targetRefs: [{ kind: "HTTPRoute", name: "a" }], limits: { requests: 1 } });
  const [problem] = parseManifests("object.json", JSON.stringify(object)).flatMap(({ problems }) => problems);
  assert.ok(problem);
  const said = await refusal(server.admin, object);
  assert.ok(said.includes(`${problem.path}: `), said);
  assert.ok(said.includes(problem.message), said);
});

test("the guide's examples are kept as they were written", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  await server.admin.namespace("guide");
  const all = examples("guide");
  assert.ok(all.length >= kinds.length);
  for (const object of all) {
    const kept = await server.admin.create(object, "?fieldValidation=Strict");
    assert.deepEqual(kept["spec"], object["spec"]);
  }
});

test("kubectl finds the kinds by short names and categories", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  const found = objectsAt(await server.admin.call("GET", `/apis/${OWN_API}`), "resources");
  for (const kind of kinds) {
    const { plural, shortNames } = OWN_KINDS[kind];
    const resource = found.find(({ name }) => name === plural);
    assert.deepEqual(resource?.["shortNames"], shortNames);
    assert.deepEqual(resource?.["categories"], ["outrigger", "mesh"]);
    assert.ok(found.some(({ name }) => name === `${plural}/status`));
  }
});

test("kubectl get shows the target, the mode and what became of the object", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  await server.admin.namespace("columns");
  const kept = await server.admin.create(policy("columns", "a", { mode: "DryRun" }));
  const conditions = ["Accepted", "Programmed"].map((type) => ({
    type,
    status: type === "Accepted" ? "True" : "False",
    reason: "Because",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  }));
  await server.admin.call("PUT", `${await server.admin.pathOf(refOf(kept))}/status`, {
    ...kept,
    status: { conditions },
  });
  const { status, text } = await server.get(`/apis/${OWN_API}/namespaces/columns/resiliencepolicies`, {
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
  });
  assert.equal(status, 200);
  const table = JSON.parse(text) as {
    readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
    readonly rows: readonly { readonly cells: readonly unknown[] }[];
  };
  const cells = Object.fromEntries(table.columnDefinitions.map(({ name }, i) => [name, table.rows[0]?.cells[i]]));
  const { Age: age, ...others } = cells;
  assert.match(String(age), /^\d+s$/);
  assert.deepEqual(others, {
    Name: "a",
    Kind: "Service",
    Target: "orders",
    Mode: "DryRun",
    Accepted: "True",
    Programmed: "False",
    Reason: "Because",
  });
  const wide = table.columnDefinitions.filter(({ priority }) => priority > 0).map(({ name }) => name);
  assert.deepEqual(wide, ["Kind", "Reason"]);
});

test("who writes the status changes nothing else, and the other way round", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await installOwnCrds(server.admin);
  await server.admin.namespace("subresource");
  const status = { observedGeneration: 1 };
  const kept = await server.admin.create({ ...policy("subresource", "a"), status });
  assert.equal(kept["status"], undefined);
  const at = await server.admin.pathOf(refOf(kept));
  const told = await server.admin.call(
    "PATCH",
    `${at}/status`,
    { spec: { mode: "DryRun" }, status },
    "application/merge-patch+json",
  );
  assert.deepEqual([told["spec"], told["status"]], [kept["spec"], status]);
  assert.equal(objectAt(told, "metadata")["generation"], 1);
  const changed = await server.admin.merge(refOf(kept), {
    spec: { mode: "DryRun" },
    status: { observedGeneration: 9 },
  });
  assert.deepEqual([objectAt(changed, "spec")["mode"], changed["status"]], ["DryRun", status]);
  assert.equal(objectAt(changed, "metadata")["generation"], 2);
});

test("objects of an older release outlive the upgrade of its CRD, with what the newer one would refuse", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  const present = crd("ResiliencePolicy") as JsonObject;
  // A release that knew nothing of `mode`, and had no rules between fields.
  const older = withSpec(present, ({ properties, ...spec }) => {
    const { "x-kubernetes-validations": _, ...bare } = spec;
    const { mode, ...known } = properties as JsonObject;
    assert.ok(mode);
    return { ...bare, properties: known };
  });
  await installCrds(admin, [older]);
  await admin.namespace("upgrade");
  const good = await admin.create(policy("upgrade", "good", { timeouts: { request: "1s" } }));
  const bad = await admin.create({
    ...policy("upgrade", "bad", { targetRefs: [{ kind: "HTTPRoute", name: "a" }], limits: { requests: 1 } }),
  });
  await installCrds(admin, [present]);
  for (const object of [good, bad]) assert.deepEqual(await admin.get(refOf(object)), object);
  const changed = await admin.merge(refOf(good), { spec: { mode: "DryRun" } });
  assert.equal(objectAt(changed, "spec")["mode"], "DryRun");
  // Its labels may change, its spec only for the better.
  await admin.merge(refOf(bad), { metadata: { labels: { a: "b" } } });
  await assert.rejects(admin.merge(refOf(bad), { spec: { limits: { requests: 2 } } }), { status: 422 });
  await admin.merge(refOf(bad), { spec: { targetRefs: [{ kind: "Service", name: "a" }] } });
});

/** The CRD with another schema for `spec`. */
function withSpec(object: JsonObject, change: (spec: JsonObject) => JsonObject): JsonObject {
  const copy = structuredClone(object) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: JsonObject } } } }[] };
  } & JsonObject;
  for (const version of copy.spec.versions) {
    const { properties } = version.schema.openAPIV3Schema;
    properties.spec = change(properties.spec);
  }
  return copy;
}
