/** What becomes of routes and policies, in their status in a real API server, beside what others write there. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { ApiError, type JsonObject, type KubernetesApi } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { CONTROLLER_NAME } from "../../control-plane/kubernetes/status/next-status.ts";
import { startStatusWriter } from "../../control-plane/kubernetes/status/writer.ts";
import { OWN_API } from "../../control-plane/manifest/kinds.ts";
import { Mesh } from "../../control-plane/mesh/mesh.ts";
import { SILENT } from "../../control-plane/testing/silent.ts";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import { installGatewayCrds, installOwnCrds, type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { type KubeClient, refOf, TYPES } from "../support/kube-client.ts";
import { serviceObject } from "../support/kube-objects.ts";
import { each, followKube } from "../support/kube-source.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const GATEWAY = "gateway.networking.k8s.io/v1";

interface Written {
  readonly server: KubeApiServer;
  readonly admin: KubeClient;
  /** Writes of status so far, and those that were refused for a conflict. */
  readonly counts: { writes: number; conflicts: number };
}

/** A source with its mesh, whose findings are written; null where nothing is built. */
async function writing(t: TestContext): Promise<Written | null> {
  const server = kube(t);
  if (server === null) return null;
  const { admin } = server;
  await Promise.all([installOwnCrds(admin), installGatewayCrds(admin)]);
  const api = server.httpApi();
  const { source } = await followKube(t, api);
  const mesh = new Mesh("cluster.local");
  source.content.subscribe((content) => mesh.apply(content));
  const counts = { writes: 0, conflicts: 0 };
  const call: KubernetesApi["call"] = async (one, signal) => {
    counts.writes++;
    try {
      return await api.call(one, signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) counts.conflicts++;
      throw error;
    }
  };
  const findings = () => mesh.state.findings;
  t.after(startStatusWriter({ source, findings, call, clock: systemClock, random: systemRandom, log: SILENT }));
  return { server, admin, counts };
}

function route(kind: string, namespace: string, name: string, service = "orders", extra: object = {}) {
  const parentRefs = [{ group: "", kind: "Service", name: service, port: 80 }];
  const rules = [{ backendRefs: [{ name: service, port: 80 }], ...extra }];
  const hostnames = kind === "TLSRoute" ? { hostnames: ["a.example"] } : {};
  return { apiVersion: GATEWAY, kind, metadata: { namespace, name }, spec: { parentRefs, rules, ...hostnames } };
}

function policy(kind: string, namespace: string, name: string, spec: object = {}) {
  const targetRefs = kind === "MeshPolicy" ? {} : { targetRefs: [{ kind: "Service", name: "orders" }] };
  return { apiVersion: OWN_API, kind, metadata: { namespace, name }, spec: { ...targetRefs, ...spec } };
}

/** `type=status reason` of what Outrigger says: of a route to its only parent, of a policy as a whole. */
async function said(admin: KubeClient, object: object): Promise<readonly string[]> {
  const { generation, ...status } = { generation: 0, ...objectAt(await current(admin, object), "status") };
  const own = objectsAt(status, "parents").filter(({ controllerName }) => controllerName === CONTROLLER_NAME);
  return objectsAt(own[0] ?? status, "conditions").map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
}

function current(admin: KubeClient, object: object): Promise<JsonObject> {
  return admin.get(refOf(object as JsonObject));
}

async function says(admin: KubeClient, object: object, ...expected: readonly string[]): Promise<void> {
  const fits = async (): Promise<boolean> => {
    const all = await said(admin, object);
    return expected.every((one) => all.includes(one));
  };
  await eventually(fits).catch(async () => assert.deepEqual(await said(admin, object), expected));
}

const GOOD = ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs", "Programmed=True Programmed"];

test("every kind of routes and policies is told, and what says so already is left alone", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin, counts } = at;
  await admin.namespace("kinds");
  const objects: object[] = [policy("MeshPolicy", "kinds", "mesh")];
  for (const protocol of ["http", "grpc", "tcp", "tls"]) {
    await admin.create(serviceObject("kinds", protocol, 80, protocol));
    objects.push(route(`${protocol.toUpperCase()}Route`, "kinds", "route", protocol));
  }
  await admin.create(serviceObject("kinds", "orders"));
  objects.push(policy("ResiliencePolicy", "kinds", "a", { timeouts: { request: "1s" } }));
  objects.push(policy("AccessPolicy", "kinds", "a", { action: "Deny", rules: [{}] }));
  for (const object of objects) await admin.create(object);
  for (const object of objects) {
    await says(admin, object, "Accepted=True Accepted", "Programmed=True Programmed");
    const { metadata, status } = await current(admin, object);
    const [first = {}] = [...objectsAt(objectAt({ status }, "status"), "parents"), objectAt({ status }, "status")];
    for (const condition of objectsAt(first, "conditions"))
      assert.equal(condition["observedGeneration"], objectAt({ metadata }, "metadata")["generation"]);
  }
  // What comes back by the watch leads to nothing.
  const { writes } = counts;
  await wait(1000);
  assert.equal(counts.writes, writes);
});

test("the status follows what the object refers to", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin } = at;
  await admin.namespace("follows");
  const httpRoute = route("HTTPRoute", "follows", "a");
  const resilience = policy("ResiliencePolicy", "follows", "a", { timeouts: { request: "1s" } });
  await admin.create(httpRoute);
  await admin.create(resilience);
  await says(admin, httpRoute, "Accepted=False NoMatchingParent", "Programmed=False Invalid");
  await says(admin, resilience, "Accepted=False TargetNotFound", "Programmed=False Invalid");
  await admin.create(serviceObject("follows", "orders"));
  await says(admin, httpRoute, ...GOOD);
  await says(admin, resilience, "Accepted=True Accepted", "Programmed=True Programmed");
  const ref = refOf(httpRoute as JsonObject);
  await admin.merge(ref, { spec: { rules: [{ backendRefs: [{ name: "nobody", port: 80 }] }] } });
  await says(admin, httpRoute, "ResolvedRefs=False BackendNotFound");
});

test("what can't be carried is refused alone", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin } = at;
  await admin.namespace("alone");
  for (const name of ["orders", "other"]) await admin.create(serviceObject("alone", name));
  const cors = { filters: [{ type: "CORS", cors: { allowOrigins: ["https://a.example"] } }] };
  const bad = route("HTTPRoute", "alone", "bad", "orders", cors);
  const good = route("HTTPRoute", "alone", "good", "other");
  await admin.create(bad);
  await admin.create(good);
  await says(admin, bad, "Accepted=False UnsupportedValue", "Programmed=False Invalid");
  await says(admin, good, ...GOOD);
});

test("of two that claim the same the older holds, and the other is told so until it may", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin } = at;
  await admin.namespace("claims");
  await admin.create(serviceObject("claims", "orders"));
  const policies = ["z-older", "a-younger"].map((name) =>
    policy("ResiliencePolicy", "claims", name, { timeouts: { request: "1s" } }),
  );
  const [older = {}, younger = {}] = policies;
  await admin.create(older);
  // Creation is told in whole seconds; of equals the name decides.
  await wait(1100);
  await admin.create(younger);
  await says(admin, younger, "Accepted=False Conflicted", "Programmed=False Invalid");
  await says(admin, older, "Accepted=True Accepted", "Programmed=True Programmed");
  await admin.delete(refOf(older as JsonObject));
  await says(admin, younger, "Accepted=True Accepted", "Programmed=True Programmed");
});

test("what other controllers say stays, however often they write at the same time", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin, counts } = at;
  await admin.namespace("others");
  await admin.create(serviceObject("others", "orders"));
  const objects = [0, 1, 2, 3].map((i) => route("HTTPRoute", "others", `r-${i}`));
  for (const object of objects) await admin.create(object);
  const parentRef = { group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" };
  // Another controller counts, and with each number the routes change.
  await each(objects, async (object) => {
    const path = await admin.pathOf(refOf(object as JsonObject));
    for (let count = 1; count <= 15; count++) {
      await admin.merge(refOf(object as JsonObject), { spec: { rules: [{ name: `rule-${count}` }] } });
      for (;;) {
        const { metadata, status = {} } = await admin.call("GET", path);
        const parents = objectsAt(status as JsonObject, "parents").filter(
          ({ controllerName }) => controllerName !== "example.org/edge",
        );
        const condition = { type: "Accepted", status: "True", reason: `Count${count}`, message: "" };
        const conditions = [{ ...condition, lastTransitionTime: "2026-01-01T00:00:00Z" }];
        const own = { parentRef, controllerName: "example.org/edge", conditions };
        const { resourceVersion } = objectAt({ metadata }, "metadata");
        const body = { metadata: { resourceVersion }, status: { parents: [...parents, own] } };
        if ((await admin.status("PATCH", `${path}/status`, body, TYPES.merge)) === 200) break;
      }
    }
  });
  for (const object of objects) {
    await eventually(async () => {
      const { metadata, status } = await current(admin, object);
      const parents = objectsAt(objectAt({ status }, "status"), "parents");
      const own = parents.find(({ controllerName }) => controllerName === CONTROLLER_NAME) ?? {};
      const { generation } = objectAt({ metadata }, "metadata");
      return objectsAt(own, "conditions").some(({ observedGeneration }) => observedGeneration === generation);
    });
    const parents = objectsAt(objectAt(await current(admin, object), "status"), "parents");
    const theirs = parents.find(({ controllerName }) => controllerName === "example.org/edge") ?? {};
    assert.deepEqual(
      objectsAt(theirs, "conditions").map(({ reason }) => reason),
      ["Count15"],
    );
    assert.equal(parents.length, 2);
  }
  t.diagnostic(`${counts.writes} writes, ${counts.conflicts} conflicts`);
});

test("a route that leaves the mesh for a Gateway loses what Outrigger said of it", async (t) => {
  const at = await writing(t);
  if (at === null) return;
  const { admin } = at;
  await admin.namespace("leaves");
  await admin.create(serviceObject("leaves", "orders"));
  const object = route("HTTPRoute", "leaves", "a");
  await admin.create(object);
  await says(admin, object, ...GOOD);
  const gateway = { group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" };
  await admin.merge(refOf(object as JsonObject), { spec: { parentRefs: [gateway] } });
  await eventually(async () => objectsAt(objectAt(await current(admin, object), "status"), "parents").length === 0);
});
