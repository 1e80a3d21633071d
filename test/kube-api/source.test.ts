/** The Kubernetes source and a real API server: whatever happens to watches and objects, both know the same in the end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject, WatchEvent } from "../../control-plane/kubernetes/api.ts";
import { objectAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { OWN_API } from "../../control-plane/manifest/kinds.ts";
import { seededRandom } from "../../core/random.ts";
import { crd } from "../../scripts/crds.ts";
import { installCrds, type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { refOf } from "../support/kube-client.ts";
import { addressOf, podObject, podStatus, serviceObject, sliceObject } from "../support/kube-objects.ts";
import { agrees, each, factsOf, followKube, Relay } from "../support/kube-source.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";

function count(length: number): readonly number[] {
  return Array.from({ length }, (_, i) => i);
}

async function runningPod(server: KubeApiServer, namespace: string, name: string, address: string): Promise<void> {
  const { admin } = server;
  const pod = await admin.create(podObject(namespace, name));
  await admin.call(
    "PATCH",
    `${await admin.pathOf(refOf(pod))}/status`,
    podStatus(address),
    "application/merge-patch+json",
  );
}

test("thousands of objects are read in pages, and none is missing", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  await admin.namespace("pages");
  await each(count(1000), (i) => admin.create(sliceObject("pages", `s-${i}`, `service-${i % 260}`, [addressOf(i)])));
  await each(count(260), (i) => admin.create(serviceObject("pages", `service-${i}`, 80 + i)));
  await each(count(600), (i) => admin.serviceAccount("pages", `account-${i}`));
  await each(count(110), (i) => runningPod(server, "pages", `pod-${i}`, addressOf(i)));
  const api = server.httpApi();
  const page = await api.list(
    { path: SLICES, metadataOnly: false },
    { limit: 50, continue: "" },
    AbortSignal.timeout(9000),
  );
  assert.equal(page.items.length, 50);
  assert.notEqual(page.continue, "");
  const followed = await followKube(t, api);
  // Nothing is given out before all of it is there.
  assert.equal(followed.history.length, 1);
  await agrees(followed, admin, "pages");
  for (const kind of ["EndpointSlice", "Service", "ServiceAccount", "Pod"]) {
    const { phase, lists, error } = followed.report(kind);
    assert.deepEqual({ phase, lists, error }, { phase: "watching", lists: 1, error: "" }, kind);
  }
});

test("watches that are cut again and again go on where they were, and lose nothing", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  await admin.namespace("cut");
  const relay = await Relay.start(t, Number(server.url.port));
  const followed = await followKube(t, server.httpApi(undefined, relay.url));
  const random = seededRandom(11);
  const lists = followed.report("EndpointSlice").lists;
  let next = 0;
  for (let round = 0; round < 8; round++) {
    const writing = each(count(20), async () => {
      const i = next++;
      await admin.apply(sliceObject("cut", `s-${i % 30}`, "orders", [addressOf(i)]));
      if (i % 10 === 0) await runningPod(server, "cut", `pod-${i}`, addressOf(i));
      if (i % 7 === 0) await admin.apply(serviceObject("cut", `service-${i % 5}`, 80 + i));
      if (random() < 0.3) relay.cut();
    });
    await writing;
    relay.cut();
    await agrees(followed, admin, "cut");
  }
  // What goes on where it was is not listed again.
  assert.equal(followed.report("EndpointSlice").lists, lists);
});

test("a quiet watch is told of versions by bookmarks, from which the next one goes on", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  const api = server.httpApi();
  // Of a kind that nobody writes: the API server itself has Leases, Services and the like.
  const collection = { path: "/api/v1/limitranges", metadataOnly: false };
  const signal = AbortSignal.timeout(20_000);
  const { resourceVersion } = await api.list(collection, { limit: 0, continue: "" }, signal);
  // Versions count for the whole of etcd: others move on.
  await admin.namespace("bookmarks");
  const events: WatchEvent[] = [];
  for await (const event of api.watch(collection, { resourceVersion, timeoutSeconds: 5 }, signal)) events.push(event);
  assert.deepEqual(new Set(events.map(({ type }) => type)), new Set(["BOOKMARK"]));
  const [bookmark] = events;
  assert.ok(bookmark?.type === "BOOKMARK");
  assert.ok(Number(bookmark.resourceVersion) > Number(resourceVersion));
  const range = { apiVersion: "v1", kind: "LimitRange", spec: { limits: [{ type: "Pod" }] } };
  await admin.create({ ...range, metadata: { namespace: "bookmarks", name: "a" } });
  for await (const event of api.watch(collection, { ...bookmark, timeoutSeconds: 5 }, signal)) {
    assert.ok(event.type === "ADDED");
    assert.equal(objectAt(event.object, "metadata")["name"], "a");
    break;
  }
});

test("kinds that are installed later are followed from then on, and are gone with their CRD", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  await admin.namespace("later");
  const followed = await followKube(t, server.httpApi());
  assert.equal(followed.report("AccessPolicy").phase, "missing");
  const definition = crd("AccessPolicy") as JsonObject;
  await installCrds(admin, [definition]);
  const spec = { targetRefs: [{ kind: "Service", name: "orders" }], action: "Deny", rules: [{}] };
  const metadata = { namespace: "later", name: "a" };
  const policy = { apiVersion: OWN_API, kind: "AccessPolicy", metadata, spec };
  await admin.create(policy);
  const held = (): boolean => followed.content().manifests.objects.has("AccessPolicy/later/a");
  // It is looked for every half minute: nobody needs to wait for that here.
  await followed.source.rescan();
  await eventually(async () => held());
  assert.equal(followed.report("AccessPolicy").phase, "watching");
  await admin.delete(refOf(definition));
  await eventually(async () => {
    await followed.source.rescan();
    return !held();
  });
});

test("an object that breaks the schema of today is refused alone, and its last good version stays", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  await admin.namespace("schema");
  // A CRD that lets everything through, as one of another release might.
  const definition = structuredClone(crd("ResiliencePolicy")) as JsonObject & {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: JsonObject } } } }[] };
  };
  for (const { schema } of definition.spec.versions)
    schema.openAPIV3Schema.properties.spec = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await installCrds(admin, [definition]);
  const policy = (name: string, spec: object) => ({
    apiVersion: OWN_API,
    kind: "ResiliencePolicy",
    metadata: { namespace: "schema", name },
    spec: { targetRefs: [{ kind: "Service", name: "orders" }], ...spec },
  });
  for (const name of ["good", "spoilt"]) await admin.create(policy(name, { timeouts: { request: "1s" } }));
  await admin.create(policy("bad", { timeouts: { request: "soon" } }));
  const followed = await followKube(t, server.httpApi());
  const { manifests } = followed.content();
  assert.ok(manifests.objects.has("ResiliencePolicy/schema/good"));
  assert.ok(!manifests.objects.has("ResiliencePolicy/schema/bad"));
  assert.deepEqual(
    manifests.rejections.map(({ key, inForce }) => [key, inForce]),
    [["ResiliencePolicy/schema/bad", "nothing"]],
  );
  await admin.merge(refOf(policy("spoilt", {}) as unknown as JsonObject), { spec: { retry: { attempts: "many" } } });
  await admin.create(policy("after", {}));
  const spoilt = () =>
    followed.content().manifests.rejections.find(({ key }) => key === "ResiliencePolicy/schema/spoilt");
  await eventually(async () => spoilt() !== undefined);
  await eventually(async () => followed.content().manifests.objects.has("ResiliencePolicy/schema/after"));
  assert.ok(followed.content().manifests.objects.has("ResiliencePolicy/schema/spoilt"));
  assert.equal(spoilt()?.inForce, "last good version");
  assert.match(JSON.stringify(spoilt()?.problems), /spec\.retry\.attempts/);
  await admin.delete(refOf(definition));
});

test("a namespace that is deleted under load takes its own objects away, and no others", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  for (const namespace of ["doomed", "spared"]) await admin.namespace(namespace);
  await each(count(120), (i) => admin.create(sliceObject("doomed", `s-${i}`, "orders", [addressOf(i)])));
  await each(count(20), (i) => runningPod(server, "doomed", `pod-${i}`, addressOf(i)));
  const followed = await followKube(t, server.httpApi());
  await agrees(followed, admin, "doomed");
  await admin.delete({ apiVersion: "v1", kind: "Namespace", name: "doomed" });
  await Promise.all([
    // Others go on, in the namespace, too: its end refuses what is new there.
    each(count(80), async (i) => {
      await admin.create(sliceObject("spared", `s-${i}`, "orders", [addressOf(i)]));
      const late = sliceObject("doomed", `late-${i}`, "orders", [addressOf(i)]);
      await assert.rejects(admin.create(late), { status: 403 });
    }),
    endNamespace(server, "doomed"),
  ]);
  for (const namespace of ["doomed", "spared"]) await agrees(followed, admin, namespace);
  const facts = [...factsOf(followed.content())];
  assert.deepEqual(
    facts.filter((fact) => fact.includes("/doomed/")),
    [],
  );
  assert.equal(facts.filter((fact) => fact.includes("/spared/s-")).length, 80);
});

/** What a cluster's namespace controller does of a namespace that ends. */
async function endNamespace({ admin }: KubeApiServer, name: string): Promise<void> {
  const at = `/api/v1/namespaces/${name}`;
  await admin.call("DELETE", `${at}/pods?gracePeriodSeconds=0`);
  await admin.call("DELETE", `/apis/discovery.k8s.io/v1/namespaces/${name}/endpointslices`);
  await admin.call("DELETE", `${at}/serviceaccounts`);
  const namespace = await admin.call("GET", at);
  await admin.call("PUT", `${at}/finalize`, { ...namespace, spec: { finalizers: [] } });
}
