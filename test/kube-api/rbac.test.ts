/** The rights that the chart gives are enough for all that the control plane does in a cluster, and for nothing else. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { JsonObject } from "../../control-plane/kubernetes/api.ts";
import { collectionsOf, SOURCE_KINDS } from "../../control-plane/kubernetes/kinds.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { requireHelm } from "../support/helm.ts";
import { installGatewayCrds, installOwnCrds, type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { type InstalledChart, installRights, installWebhook, NAMESPACE } from "../support/kube-chart.ts";
import { type KubeClient, refOf, TYPES } from "../support/kube-client.ts";
import { podObject, serviceObject } from "../support/kube-objects.ts";
import { agrees, each, followKube, Relay } from "../support/kube-source.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
let prepared: Promise<InstalledChart> | null = null;

interface Place {
  readonly server: KubeApiServer;
  readonly chart: InstalledChart;
}

/** The chart's rights, and objects of all kinds to use them on; null where something is not built. */
async function place(t: TestContext): Promise<Place | null> {
  const server = kube(t);
  const helm = server && requireHelm(t);
  if (server === null || helm === null) return null;
  prepared ??= (async () => {
    const { admin } = server;
    await Promise.all([installOwnCrds(admin), installGatewayCrds(admin)]);
    const chart = await installRights(server, helm);
    await admin.namespace("shop");
    await admin.create(serviceObject("shop", "orders"));
    await admin.create(podObject("shop", "orders-1"));
    await installWebhook(server, chart.objects, 1);
    for (const namespace of ["shop", NAMESPACE])
      for (const name of ["outrigger-ca", "other"])
        await admin.create({ apiVersion: "v1", kind: "Secret", metadata: { namespace, name } });
    await admin.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "shop", name: "other" } });
    for (const route of ROUTES) await admin.create(route);
    return chart;
  })();
  return { server, chart: await prepared };
}

const meta = (kind: string) => ({ namespace: "shop", name: kind.toLowerCase() });
const parentRefs = [{ group: "", kind: "Service", name: "orders", port: 80 }];
const backendRefs = [{ name: "orders", port: 80 }];
const GATEWAY = "gateway.networking.k8s.io/v1";
const OWN = "outrigger.dev/v1alpha1";
const targetRefs = [{ kind: "Service", name: "orders" }];
const ROUTES: readonly JsonObject[] = [
  ...["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"].map((kind) => ({
    apiVersion: GATEWAY,
    kind,
    metadata: meta(kind),
    spec: { parentRefs, rules: [{ backendRefs }], ...(kind === "TLSRoute" ? { hostnames: ["a.example"] } : {}) },
  })),
  { apiVersion: OWN, kind: "ResiliencePolicy", metadata: meta("ResiliencePolicy"), spec: { targetRefs } },
  {
    apiVersion: OWN,
    kind: "AccessPolicy",
    metadata: meta("AccessPolicy"),
    spec: { targetRefs, action: "Deny", rules: [{}] },
  },
  { apiVersion: OWN, kind: "MeshPolicy", metadata: meta("MeshPolicy"), spec: {} },
];

type Call = readonly [method: Parameters<KubeClient["call"]>[0], path: string, body?: object, contentType?: string];

const shop = "/api/v1/namespaces/shop";
const home = `/api/v1/namespaces/${NAMESPACE}`;
const HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
const named = (name: string) => ({ metadata: { name } });
const lease = (name: string) => ({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", ...named(name) });
const roots = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", ...named(name), data: { a: "b" } });
const event = {
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name: "orders.1", namespace: "shop" },
  eventTime: "2026-01-01T00:00:00.000000Z",
  ...{ reportingController: "outrigger.dev/injector", reportingInstance: "a", type: "Warning" },
  ...{ reason: "SidecarHostNetwork", action: "Inject", note: "why" },
  regarding: { apiVersion: "v1", kind: "Pod", namespace: "shop", name: "orders-1" },
};

test("every kind of the source may be listed and watched in all namespaces", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { account } = at.chart;
  const collections = Object.values(SOURCE_KINDS).flatMap((kind) => collectionsOf(kind));
  await each(collections, async (collection) => {
    // Versions that are not served are asked for, too: what they are answered is not about rights.
    const known = (await at.server.admin.status("GET", collection.path)) === 200;
    assert.equal(await account.status("GET", collection.path), known ? 200 : 404, collection.path);
    if (!known) return;
    const query = { resourceVersion: "0", timeoutSeconds: 1 };
    for await (const { type } of account.api.watch(collection, query, AbortSignal.timeout(10_000))) {
      assert.ok(type === "ADDED" || type === "BOOKMARK");
      break;
    }
  });
});

test("all else that the control plane does in a cluster is allowed", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { account } = at.chart;
  const configuration = `${HOOKS}/${nameOf(at.chart, "MutatingWebhookConfiguration")}`;
  const secret = (name: string) => ({ apiVersion: "v1", kind: "Secret", ...named(name) });
  const calls: readonly Call[] = [
    ["GET", "/version"],
    ["GET", shop],
    ["POST", "/apis/authentication.k8s.io/v1/tokenreviews", tokenReview(at.chart.token)],
    ["POST", "/apis/events.k8s.io/v1/namespaces/shop/events", event],
    ...["shop", "default"].map((namespace): Call => {
      const path = `/api/v1/namespaces/${namespace}/configmaps/outrigger-ca-roots`;
      return ["PATCH", `${path}?fieldManager=outrigger&force=true`, roots("outrigger-ca-roots"), TYPES.apply];
    }),
    // The first makes it, the second changes it.
    ["PATCH", `${shop}/configmaps/outrigger-ca-roots?fieldManager=outrigger`, roots("outrigger-ca-roots"), TYPES.apply],
    ["GET", configuration],
    ["PATCH", configuration, [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value: "" }], TYPES.json],
    ["GET", `${home}/secrets?fieldSelector=metadata.name%3Doutrigger-ca`],
    ["POST", leases(NAMESPACE), lease("outrigger-leader")],
    ["GET", `${leases(NAMESPACE)}/outrigger-leader`],
  ];
  for (const [method, path, body, type] of calls) {
    const answer = await account.call(method, path, body, type).catch((error: unknown) => error);
    assert.ok(!(answer instanceof Error), `${method} ${path}: ${answer}`);
  }
  const held = await account.call("GET", `${leases(NAMESPACE)}/outrigger-leader`);
  await account.call("PUT", `${leases(NAMESPACE)}/outrigger-leader`, { ...held, spec: { holderIdentity: "b" } });
  // The CA's Secret is made where there is none, followed by its name, and written as a whole.
  await at.server.admin.call("DELETE", `${home}/secrets/outrigger-ca`);
  const made = await account.call("POST", `${home}/secrets`, secret("outrigger-ca"));
  await account.call("PUT", `${home}/secrets/outrigger-ca`, { ...made, stringData: { a: "b" } });
  const own = { path: `${home}/secrets?fieldSelector=metadata.name%3Doutrigger-ca`, metadataOnly: false };
  const { items } = await account.api.list(own, { limit: 0, continue: "" }, AbortSignal.timeout(10_000));
  assert.equal(items.length, 1);
});

test("the status of routes and policies may be written, and nothing else of them", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { account } = at.chart;
  for (const route of ROUTES) {
    const path = await at.server.admin.pathOf({
      ...meta(String(route["kind"])),
      ...(route as { apiVersion: string; kind: string }),
    });
    const found = await at.server.admin.call("GET", path);
    assert.equal(await account.status("PATCH", `${path}/status`, { status: statusOf(route) }, TYPES.merge), 200, path);
    assert.equal(await account.status("PUT", `${path}/status`, found), 403, path);
    assert.equal(await account.status("PATCH", path, { metadata: { labels: { a: "b" } } }, TYPES.merge), 403, path);
    assert.equal(await account.status("PUT", path, found), 403, path);
    assert.equal(await account.status("DELETE", path), 403, path);
  }
});

test("what a control plane has no business with is refused", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { account } = at.chart;
  const rights = "/apis/rbac.authorization.k8s.io/v1";
  const calls: readonly Call[] = [
    ["GET", "/api/v1/secrets"],
    ["GET", `${shop}/secrets`],
    ["GET", `${shop}/secrets/outrigger-ca`],
    ["POST", `${shop}/secrets`, { apiVersion: "v1", kind: "Secret", ...named("a") }],
    ["GET", `${home}/secrets`],
    ["GET", `${home}/secrets/other`],
    ["GET", `${home}/secrets?fieldSelector=metadata.name%3Dother`],
    ["PUT", `${home}/secrets/other`, { apiVersion: "v1", kind: "Secret", ...named("other") }],
    ["PATCH", `${home}/secrets/other`, {}, TYPES.merge],
    ["DELETE", `${home}/secrets/outrigger-ca`],
    ["GET", "/api/v1/configmaps"],
    ["GET", `${shop}/configmaps/other`],
    ["PATCH", `${shop}/configmaps/other`, {}, TYPES.merge],
    ["DELETE", `${shop}/configmaps/outrigger-ca-roots`],
    ["POST", `${shop}/pods`, podObject("shop", "a")],
    ["POST", `${home}/pods`, podObject(NAMESPACE, "a")],
    ["GET", `${shop}/pods/orders-1`],
    ["PATCH", `${shop}/pods/orders-1`, {}, TYPES.merge],
    ["DELETE", `${shop}/pods/orders-1`],
    ["POST", `${shop}/pods/orders-1/exec`, {}],
    ["GET", `${shop}/pods/orders-1/log`],
    ["POST", `${shop}/pods/orders-1/eviction`, { apiVersion: "policy/v1", kind: "Eviction", ...named("orders-1") }],
    ["PATCH", "/api/v1/nodes/a", {}, TYPES.merge],
    ["GET", "/api/v1/nodes/a/proxy/"],
    ["POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", ...named("a") }],
    ["PATCH", shop, { metadata: { labels: { "outrigger.dev/inject": "enabled" } } }, TYPES.merge],
    ["PATCH", `${shop}/services/orders`, {}, TYPES.merge],
    ["POST", `${shop}/serviceaccounts/default/token`, { spec: {} }],
    ["GET", leases("shop")],
    ["GET", leases(NAMESPACE)],
    ["POST", leases("shop"), lease("outrigger-leader")],
    ["GET", `${leases(NAMESPACE)}/other`],
    ["PUT", `${leases(NAMESPACE)}/other`, lease("other")],
    ["GET", HOOKS],
    [
      "POST",
      HOOKS,
      { apiVersion: "admissionregistration.k8s.io/v1", kind: "MutatingWebhookConfiguration", ...named("a") },
    ],
    ["PATCH", `${HOOKS}/other`, {}, TYPES.merge],
    ["DELETE", `${HOOKS}/${nameOf(at.chart, "MutatingWebhookConfiguration")}`],
    ["GET", "/apis/apps/v1/deployments"],
    ["PATCH", `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/a`, {}, TYPES.merge],
    ["GET", `${rights}/clusterroles`],
    ["PATCH", `${rights}/clusterroles/${nameOf(at.chart, "ClusterRole")}`, {}, TYPES.merge],
    ["POST", `${rights}/clusterrolebindings`, { metadata: { name: "a" } }],
    ["GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"],
    ["GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests"],
    ["POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", { spec: {} }],
    ["GET", "/metrics"],
  ];
  for (const [method, path, body, type] of calls)
    assert.equal(await account.status(method, path, body, type), 403, `${method} ${path}`);
});

/** Verb, resource; with `in its own namespace` where it is not so elsewhere. */
const RIGHTS = [
  ...["pods", "services", "nodes", "namespaces", "serviceaccounts"].flatMap((of) => [`list ${of}`, `watch ${of}`]),
  "get namespaces",
  ...["list", "watch"].map((verb) => `${verb} endpointslices.discovery.k8s.io`),
  ...["list", "watch"].map((verb) => `${verb} referencegrants.gateway.networking.k8s.io`),
  ...["httproutes", "grpcroutes", "tlsroutes", "tcproutes"].flatMap((of) => [
    ...["list", "watch"].map((verb) => `${verb} ${of}.gateway.networking.k8s.io`),
    `patch ${of}/status.gateway.networking.k8s.io`,
  ]),
  ...["resiliencepolicies", "accesspolicies", "meshpolicies"].flatMap((of) => [
    ...["list", "watch"].map((verb) => `${verb} ${of}.outrigger.dev`),
    `patch ${of}/status.outrigger.dev`,
  ]),
  "create events.events.k8s.io",
  "create tokenreviews.authentication.k8s.io",
  "create configmaps",
  "create secrets in its own namespace",
  "create leases.coordination.k8s.io in its own namespace",
];

test("of everything that the API server has, what may be done without a name is what is written down here", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.serviceAccount("shop", "nobody");
  const nobody = at.server.withToken(await admin.token("shop", "nobody"));
  const all = await resourcesOf(admin);
  assert.ok(all.length > 100);
  const questions = all.flatMap((resource) =>
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"].map((verb) => ({
      ...resource,
      verb,
    })),
  );
  const found = new Set<string>();
  await each(questions, async ({ group, resource, subresource, verb }) => {
    const ask = async (client: KubeClient, namespace: string): Promise<boolean> => {
      const answer = await client.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        spec: { resourceAttributes: { namespace, verb, group, resource, subresource } },
      });
      return objectAt(answer, "status")["allowed"] === true;
    };
    if (!(await ask(at.chart.account, NAMESPACE)) || (await ask(nobody, "shop"))) return;
    const name = `${verb} ${resource}${subresource && `/${subresource}`}${group && `.${group}`}`;
    found.add((await ask(at.chart.account, "shop")) ? name : `${name} in its own namespace`);
  });
  assert.deepEqual([...found].sort(), RIGHTS.toSorted());
});

test("rights follow the names that values give, and end with what is switched off", async (t) => {
  const server = kube(t);
  const helm = server && requireHelm(t);
  if (server === null || helm === null) return;
  await place(t);
  const { account, objects } = await installRights(server, helm, {
    revision: "canary",
    lease: "mesh-leader",
    identity: { caSecret: "mesh-ca", rootsConfigMap: "mesh-roots" },
    injector: { enabled: false },
  });
  assert.ok(objects.every(({ kind }) => kind !== "MutatingWebhookConfiguration"));
  // 404: it may be asked for, and is not there.
  const secret = (name: string) => `${home}/secrets?fieldSelector=metadata.name%3D${name}`;
  for (const [status, path] of [
    [200, secret("mesh-ca")],
    [403, secret("outrigger-ca")],
    [404, `${leases(NAMESPACE)}/mesh-leader`],
    [403, `${leases(NAMESPACE)}/outrigger-leader`],
    [403, `${HOOKS}/outrigger-canary`],
    [403, `${HOOKS}/outrigger`],
  ] as const)
    assert.equal(await account.status("GET", path), status, path);
  const apply = async (name: string): Promise<number> =>
    account.status("PATCH", `${shop}/configmaps/${name}?fieldManager=outrigger`, roots(name), TYPES.apply);
  assert.equal(await apply("mesh-roots"), 200);
  assert.equal(await apply("outrigger-ca-roots"), 403);
});

test("while rights are missing what is known stays in force, and afterwards it is followed on", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("rights");
  await admin.create(serviceObject("rights", "before"));
  const relay = await Relay.start(t, Number(at.server.url.port));
  const credentials = { ca: at.server.ca, headers: { authorization: `Bearer ${at.chart.token}` } };
  const followed = await followKube(t, at.server.httpApi(credentials, relay.url));
  const binding = at.chart.objects.find(({ kind }) => kind === "ClusterRoleBinding") ?? assert.fail();
  await admin.delete(refOf(binding as unknown as JsonObject));
  await eventually(async () => (await at.chart.account.status("GET", "/api/v1/services")) === 403);
  relay.cut();
  await eventually(async () => /forbidden/.test(followed.report("Service").error));
  await admin.create(serviceObject("rights", "after"));
  const { objects } = followed.content().manifests;
  assert.ok(objects.has("Service/rights/before"));
  assert.ok(!objects.has("Service/rights/after"));
  await admin.apply(binding);
  await agrees(followed, admin, "rights");
});

interface Resource {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
}

/** All that discovery names. */
async function resourcesOf(admin: KubeClient): Promise<readonly Resource[]> {
  const groups = objectsAt(await admin.call("GET", "/apis"), "groups");
  const versions = groups.map((group) => String(objectAt(group, "preferredVersion")["groupVersion"]));
  const found = await Promise.all(
    ["v1", ...versions].map(async (version) => {
      const path = version === "v1" ? "/api/v1" : `/apis/${version}`;
      return objectsAt(await admin.call("GET", path), "resources").map(({ name }) => {
        const [resource = "", subresource = ""] = String(name).split("/");
        return { group: version === "v1" ? "" : (version.split("/")[0] ?? ""), resource, subresource };
      });
    }),
  );
  return found.flat();
}

function nameOf({ objects }: InstalledChart, kind: string): string {
  return objects.find((object) => object.kind === kind)?.metadata.name ?? assert.fail(`the chart has no ${kind}`);
}

function tokenReview(token: string) {
  return { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token, audiences: ["outrigger-ca"] } };
}

function statusOf(route: JsonObject): JsonObject {
  const conditions = [
    { type: "Accepted", status: "True", reason: "Accepted", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" },
  ];
  const about = { controllerName: "outrigger.dev/controller", conditions };
  if (!String(route["kind"]).endsWith("Route")) return { conditions };
  return { parents: [{ ...about, parentRef: { group: "", kind: "Service", name: "orders" } }] };
}
