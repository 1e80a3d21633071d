/** The injector, called by a real API server through the webhooks of the chart. */
import assert from "node:assert/strict";
import https from "node:https";
import { after, type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Registry } from "prom-client";
import { testAuthority } from "../../control-client/testing/certificates.ts";
import type { CallCluster } from "../../control-plane/injector/cluster/call.ts";
import { RootsPublisher } from "../../control-plane/injector/cluster/roots.ts";
import { type Injector, startInjector } from "../../control-plane/injector/injector.ts";
import { SETTINGS } from "../../control-plane/injector/testing/pods.ts";
import { ApiError, type Json, type JsonObject } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt, textAt, textsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { SILENT } from "../../control-plane/testing/silent.ts";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import { WatchCell } from "../../core/watch.ts";
import { requireHelm } from "../support/helm.ts";
import { type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { type InstalledChart, installRights, installWebhook, NAMESPACE } from "../support/kube-chart.ts";
import { refOf } from "../support/kube-client.ts";
import { podObject } from "../support/kube-objects.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const authority = testAuthority(systemClock.wallTime());
// Of the Service that the configuration names, as a control plane's own certificate is.
const SERVICE = `outrigger-control-plane.${NAMESPACE}.svc`;
const { chain, key } = authority.issue({ type: "dns", value: SERVICE }, { type: "ip", value: "127.0.0.1" });
const metrics = new Registry();
const SIDECAR = "outrigger-proxy";
const API_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount";
const ENABLED = { "outrigger.dev/inject": "enabled" };

interface Place {
  readonly server: KubeApiServer;
  readonly chart: InstalledChart;
  readonly injector: Injector;
}

let prepared: Promise<Place> | null = null;
after(async () => (await prepared)?.injector.close());

/** An injector with the chart's rights and webhooks, and the API server's trust. */
async function place(t: TestContext): Promise<Place | null> {
  const server = kube(t);
  const helm = server && requireHelm(t);
  if (server === null || helm === null) return null;
  prepared ??= (async () => {
    const chart = await installRights(server, helm);
    await server.admin.serviceAccount("kube-system", "default");
    const injector = await injectorOf(chart, 0);
    await installWebhook(server, chart.objects, injector.port);
    injector.lead();
    await trusted(server, chart);
    return { server, chart, injector };
  })();
  return prepared;
}

function callOf({ account }: InstalledChart): CallCluster {
  return ({ body, ...call }) =>
    account.api.call({ ...call, ...(body === undefined ? {} : { body: body as Json }) }, AbortSignal.timeout(10_000));
}

function injectorOf(chart: InstalledChart, port: number): Promise<Injector> {
  metrics.clear();
  return startInjector({
    settings: SETTINGS,
    host: "127.0.0.1",
    port,
    certificate: new WatchCell({ chainPem: chain, keyPem: key }),
    roots: new WatchCell(authority.roots),
    call: callOf(chart),
    knownNamespace: () => null,
    namespaces: new WatchCell<ReadonlySet<string>>(new Set()),
    configuration: chart.objects.find(({ kind }) => kind === "MutatingWebhookConfiguration")?.metadata.name ?? "",
    instance: "outrigger-control-plane-0",
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    metrics,
  });
}

/** The leader has written its roots, and the API server has heard of it. */
async function trusted({ admin }: KubeApiServer, { objects }: InstalledChart): Promise<void> {
  const ref = refOf(objects.find(({ kind }) => kind === "MutatingWebhookConfiguration") as unknown as JsonObject);
  await eventually(async () => {
    const webhooks = objectsAt(await admin.get(ref), "webhooks");
    return webhooks.every((webhook) => objectAt(webhook, "clientConfig")["caBundle"] !== undefined);
  });
  await admin.namespace("warm", ENABLED);
  // Its informer may be behind.
  await eventually(async () => {
    const pod = await admin.create(podObject("warm", "a"), "?dryRun=All").catch(() => null);
    return pod !== null && sidecarOf(pod) !== undefined;
  });
}

async function reviews(): Promise<number> {
  const { values = [] } = (await metrics.getSingleMetric("outrigger_injector_reviews_total")?.get()) ?? {};
  return values.reduce((sum, { value }) => sum + value, 0);
}

function sidecarOf(pod: JsonObject): JsonObject | undefined {
  return objectsAt(objectAt(pod, "spec"), "initContainers").find(({ name }) => name === SIDECAR);
}

async function eventsIn({ admin }: KubeApiServer, namespace: string): Promise<readonly JsonObject[]> {
  return objectsAt(await admin.call("GET", `/apis/events.k8s.io/v1/namespaces/${namespace}/events`), "items");
}

test("a pod of a namespace that asks for sidecars comes out with one, and finds the mesh's roots", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("asks", ENABLED);
  const pod = await admin.create(podObject("asks", "orders-1"));
  const sidecar = sidecarOf(pod);
  assert.equal(sidecar?.["restartPolicy"], "Always");
  assert.equal(textsAt(objectAt(pod, "metadata"), "labels")["outrigger.dev/sidecar"], "injected");
  assert.deepEqual(
    objectsAt(objectAt(pod, "spec"), "containers").map(({ name }) => name),
    ["app"],
  );
  // The API server's own plugin gives every container the program's token for the API: its sidecar has no use for it.
  const mounted = (of: JsonObject) => objectsAt(of, "volumeMounts").map(({ mountPath }) => mountPath);
  const [app = {}] = objectsAt(objectAt(pod, "spec"), "containers");
  assert.ok(mounted(app).includes(API_TOKEN));
  for (const own of objectsAt(objectAt(pod, "spec"), "initContainers")) assert.ok(!mounted(own).includes(API_TOKEN));
  // What was stored is what was answered.
  assert.deepEqual((await admin.get(refOf(pod)))["spec"], pod["spec"]);
  const roots = { apiVersion: "v1", kind: "ConfigMap", namespace: "asks", name: SETTINGS.rootsConfigMap };
  await eventually(async () => (await admin.status("GET", await admin.pathOf(roots))) === 200);
  assert.deepEqual((await admin.get(roots))["data"], { [SETTINGS.rootsKey]: authority.roots });
});

test("a pod's own label decides, in namespaces that say nothing and in those that ask", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("silent");
  await admin.namespace("asking", ENABLED);
  const labelled = (namespace: string, name: string, inject: string) =>
    admin.create(podObject(namespace, name, { labels: { "sidecar.outrigger.dev/inject": inject } }));
  assert.ok(sidecarOf(await labelled("silent", "a", "true")));
  assert.equal(sidecarOf(await labelled("asking", "a", "false")), undefined);
  assert.equal(sidecarOf(await admin.create(podObject("silent", "b"))), undefined);
  assert.equal(sidecarOf(await labelled("kube-system", "a", "true")), undefined);
});

test("pods that a controller makes have no name yet, and are injected all the same", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("generated", ENABLED);
  const pod = await admin.create(podObject("generated", "x", { name: undefined, generateName: "web-7d4b9c6f5d-" }));
  assert.match(textAt(objectAt(pod, "metadata"), "name"), /^web-7d4b9c6f5d-\w{5}$/);
  assert.ok(sidecarOf(pod));
});

test("a dry run shows the sidecar, and leaves nothing behind", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("dry", ENABLED);
  assert.ok(sidecarOf(await admin.create(podObject("dry", "a"), "?dryRun=All")));
  await admin.create(podObject("dry", "b", {}, { hostNetwork: true }), "?dryRun=All");
  // What comes later is written later.
  await admin.namespace("wet", ENABLED);
  await admin.create(podObject("wet", "b", {}, { hostNetwork: true }));
  await eventually(async () => (await eventsIn(at.server, "wet")).length > 0);
  assert.deepEqual(await eventsIn(at.server, "dry"), []);
  assert.equal(await admin.status("GET", `/api/v1/namespaces/dry/configmaps/${SETTINGS.rootsConfigMap}`), 404);
});

test("a pod that can have no sidecar is made as it is, and an event says why", async (t) => {
  const at = await place(t);
  if (at === null) return;
  await at.server.admin.namespace("host", ENABLED);
  const pod = await at.server.admin.create(podObject("host", "a", {}, { hostNetwork: true }));
  assert.equal(sidecarOf(pod), undefined);
  await eventually(async () => (await eventsIn(at.server, "host")).length > 0);
  const [event = {}] = await eventsIn(at.server, "host");
  assert.equal(event["reason"], "SidecarHostNetwork");
  assert.match(textAt(event, "note"), /hostNetwork/);
});

test("a pod that asks for what cannot be is refused with the annotation's name", async (t) => {
  const at = await place(t);
  if (at === null) return;
  await at.server.admin.namespace("wrong", ENABLED);
  const annotations = { "sidecar.outrigger.dev/drainTime": "soon" };
  await assert.rejects(at.server.admin.create(podObject("wrong", "a", { annotations })), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 400);
    assert.match(error.message, /sidecar\.outrigger\.dev\/drainTime/);
    return true;
  });
});

test("under the restricted Pod Security Standard a sidecar without rules is let in, one with rules is not made", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("restricted", { ...ENABLED, "pod-security.kubernetes.io/enforce": "restricted" });
  const securityContext = {
    runAsNonRoot: true,
    runAsUser: 1000,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  const pod = (name: string, annotations: object) =>
    podObject("restricted", name, { annotations }, { containers: [{ name: "app", image: "app", securityContext }] });
  assert.ok(sidecarOf(await admin.create(pod("none", { "sidecar.outrigger.dev/interception": "none" }))));
  assert.equal(sidecarOf(await admin.create(pod("rules", {}))), undefined);
  await eventually(async () =>
    (await eventsIn(at.server, "restricted")).some((one) => one["reason"] === "SidecarPodSecurity"),
  );
});

test("asked again after another webhook's change, the injector adds nothing twice", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("again", ENABLED);
  const other = await containerAdder(t);
  const configuration = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    // After ours: webhooks are called in the order of their names.
    metadata: { name: "zz-other" },
    webhooks: [
      {
        name: "other.example.org",
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
        clientConfig: {
          url: `https://127.0.0.1:${other.port}/inject`,
          caBundle: Buffer.from(authority.roots).toString("base64"),
        },
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "again" } },
      },
    ],
  };
  await admin.apply(configuration);
  t.after(() => admin.delete(refOf(configuration as unknown as JsonObject)));
  let pod: JsonObject = {};
  let before = 0;
  await eventually(async () => {
    before = await reviews();
    pod = await admin.create(podObject("again", "a", { name: undefined, generateName: "a-" }));
    return objectsAt(objectAt(pod, "spec"), "containers").length === 2;
  });
  const names = [
    ...objectsAt(objectAt(pod, "spec"), "initContainers"),
    ...objectsAt(objectAt(pod, "spec"), "containers"),
  ];
  const counted = Map.groupBy(names, ({ name }) => name);
  for (const [name, found] of counted) assert.equal(found.length, 1, String(name));
  assert.ok(counted.has(SIDECAR) && counted.has("added"));
  assert.equal((await reviews()) - before, 2);
});

test("garbage from anybody is answered, and the next review, too", async (t) => {
  const at = await place(t);
  if (at === null) return;
  for (const body of ["", "{", "[]", "null", '{"kind":"AdmissionReview"}', "\0\0", "{".repeat(100_000)])
    assert.equal(await post(at.injector.port, body), 400, body.slice(0, 20));
  assert.ok(sidecarOf(await at.server.admin.create(podObject("warm", "x"), "?dryRun=All")));
});

test("namespaces that end need no roots any more, and nobody is warned of it", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  for (const name of ["ending", "staying"]) await admin.namespace(name, ENABLED);
  // Without a cluster's controllers it stays there, on its way.
  await admin.delete({ apiVersion: "v1", kind: "Namespace", name: "ending" });
  const warnings: string[] = [];
  const warn = (_: object, message: string): void => void warnings.push(message);
  const asked: string[] = [];
  const publisher = new RootsPublisher({
    call: async (call) => {
      try {
        return await callOf(at.chart)(call);
      } finally {
        asked.push(call.path);
      }
    },
    roots: new WatchCell(authority.roots),
    namespaces: new WatchCell<ReadonlySet<string>>(new Set(["ending", "staying", "never-made"])),
    name: SETTINGS.rootsConfigMap,
    key: SETTINGS.rootsKey,
    clock: systemClock,
    random: systemRandom,
    log: { ...SILENT, warn },
  });
  publisher.start();
  t.after(() => publisher.stop());
  await eventually(async () => new Set(asked).size === 3);
  await wait(200);
  // What has failed would be tried again soon.
  const { length } = asked;
  await wait(1000);
  assert.equal(asked.length, length);
  assert.deepEqual(warnings, []);
  assert.equal(await admin.status("GET", `/api/v1/namespaces/staying/configmaps/${SETTINGS.rootsConfigMap}`), 200);
});

test("without an injector only pods that ask for a sidecar wait, and go on when one is back", async (t) => {
  const at = await place(t);
  if (at === null) return;
  const { admin } = at.server;
  await admin.namespace("unrelated");
  await admin.namespace("waiting", ENABLED);
  await at.injector.close();
  await admin.create(podObject("unrelated", "a"));
  await admin.create(podObject("waiting", "b", { labels: { "sidecar.outrigger.dev/inject": "false" } }));
  await admin.create(podObject("kube-system", "b", { labels: { "sidecar.outrigger.dev/inject": "true" } }));
  await assert.rejects(admin.create(podObject("waiting", "a")), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 500);
    assert.match(error.message, /failed calling webhook.*inject\.outrigger\.dev/);
    return true;
  });
  const again = await injectorOf(at.chart, at.injector.port);
  try {
    await eventually(async () => {
      const pod = await admin.create(podObject("waiting", "a")).catch(() => null);
      return pod !== null && sidecarOf(pod) !== undefined;
    });
  } finally {
    await again.close();
  }
});

/** A webhook of somebody else, which gives each pod a container more. */
async function containerAdder(t: TestContext): Promise<{ readonly port: number }> {
  const server = https.createServer({ cert: chain, key }, async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { request: asked } = JSON.parse(text) as { request: { uid: string; object: JsonObject } };
    const has = objectsAt(objectAt(asked.object, "spec"), "containers").some(({ name }) => name === "added");
    const patch = [{ op: "add", path: "/spec/containers/-", value: { name: "added", image: "added" } }];
    const change = { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid: asked.uid, allowed: true, ...(has ? {} : change) },
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0 };
}

function post(port: number, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const options = { host: "127.0.0.1", port, path: "/inject", method: "POST", ca: authority.roots, headers };
    const request = https.request({ ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("error", reject);
    request.end(body);
  });
}
