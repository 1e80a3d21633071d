/** A control plane of a cluster as a whole, on simulated time: when the API server is away, and when another leads. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { inspectCertificates } from "../../certs/inspect.ts";
import { generateKeyPair } from "../../certs/key.ts";
import { SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { DEFAULT_SETTINGS } from "../injector/settings.ts";
import type { JsonObject } from "../kubernetes/api.ts";
import { objectAt, objectsAt, textAt } from "../kubernetes/objects/fields.ts";
import { FakeCluster } from "../kubernetes/testing/fake-cluster.ts";
import { httpRoute, pod, service, serviceRef, slice } from "../kubernetes/testing/objects.ts";
import { SILENT } from "../testing/silent.ts";
import { startInCluster } from "./in-cluster.ts";
import type { InClusterControlPlane, InClusterOptions } from "./options.ts";

const CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger";
const ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/r";
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function shop(): FakeCluster {
  const cluster = new FakeCluster();
  cluster.put("/api/v1/namespaces/shop", { metadata: { labels: { "outrigger.dev/inject": "enabled" } } });
  cluster.put("/api/v1/namespaces/shop/services/orders", service("orders"));
  cluster.put("/api/v1/namespaces/shop/pods/orders-1", pod("orders-1", "10.1.0.1", true));
  cluster.put(
    "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/orders-x",
    slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]),
  );
  cluster.put(ROUTE, httpRoute("r", serviceRef("orders"), serviceRef("orders")));
  cluster.put(CONFIGURATION, { webhooks: [{ name: "a", clientConfig: {} }] });
  return cluster;
}

function optionsOf(cluster: FakeCluster, clock: SimulatedClock, instance: string): InClusterOptions {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "outrigger-in-cluster-"));
  cleanups.push(() => rmSync(stateDir, { recursive: true, force: true }));
  return {
    api: cluster,
    namespace: "mesh",
    revision: "default",
    service: "plane",
    clusterDomain: "cluster.local",
    instance,
    version: "1",
    trustDomain: "cluster.local",
    stateDir,
    host: "127.0.0.1",
    xdsTlsPort: 0,
    xdsPort: null,
    statusHost: "127.0.0.1",
    statusPort: 0,
    lease: "leader",
    caSecret: "ca",
    rootsConfigMap: "roots",
    tokenAudience: "ca",
    intermediate: false,
    rootRotation: null,
    injector: { settings: DEFAULT_SETTINGS, port: 0, configuration: "outrigger" },
    clock,
    random: seededRandom(1),
    log: SILENT,
  };
}

/** Real sockets and files have their turns while simulated time goes on. */
async function start(cluster: FakeCluster, clock: SimulatedClock, instance: string): Promise<InClusterControlPlane> {
  let plane: InClusterControlPlane | null = null;
  const starting = startInCluster(optionsOf(cluster, clock, instance), new AbortController().signal);
  starting.then(
    (started) => (plane = started),
    () => undefined,
  );
  for (let i = 0; i < 2000 && plane === null; i++) await clock.run(10, 10);
  const started = await starting;
  cleanups.push(async () => {
    const closed = started.close();
    for (let i = 0; i < 50; i++) await clock.run(100, 20);
    await closed;
  });
  return started;
}

const bundle = (cluster: FakeCluster): string =>
  textAt(objectAt(objectsAt(cluster.get(CONFIGURATION) ?? {}, "webhooks")[0] ?? {}, "clientConfig"), "caBundle");
const roots = (cluster: FakeCluster): JsonObject | undefined => cluster.get("/api/v1/namespaces/shop/configmaps/roots");

test("who leads publishes roots, keeps the webhook's bundle and writes status; its server has the Service's names", async () => {
  const [cluster, clock] = [shop(), new SimulatedClock()];
  const plane = await start(cluster, clock, "one");
  await clock.run(5000, 20);
  assert.equal(plane.isLeader, true);
  assert.notEqual(bundle(cluster), "");
  assert.equal(textAt(objectAt(roots(cluster) ?? {}, "data"), "root-cert.pem"), plane.ca.bundle.get());
  const [parent] = objectsAt(objectAt(cluster.get(ROUTE) ?? {}, "status"), "parents");
  assert.equal(textAt(parent ?? {}, "controllerName"), "outrigger.dev/controller");
  const names = inspectCertificates(plane.certificate.get()?.chainPem ?? "")[0]?.dnsNames ?? [];
  for (const name of ["plane", "plane.mesh", "plane.mesh.svc", "plane.mesh.svc.cluster.local"])
    assert.ok(names.includes(name));
  assert.equal(plane.addresses.xds, "", "nothing is served in plaintext");
});

test("ten minutes without an API server: it goes on serving, does not lead, and catches up", async () => {
  const [cluster, clock] = [shop(), new SimulatedClock()];
  const plane = await start(cluster, clock, "one");
  await clock.run(5000, 20);
  cluster.cut(new Error("connect ECONNREFUSED"));
  await clock.run(600_000, 500);
  assert.equal(plane.isLeader, false);
  assert.deepEqual(
    plane.status().services.map(({ name }) => name),
    ["orders"],
  );
  assert.ok(plane.ca.issue(generateKeyPair().publicKey, [], null).leafPem);
  cluster.put("/api/v1/namespaces/shop/services/stock", service("stock"));
  cluster.cut(null);
  await clock.run(60_000, 100);
  assert.deepEqual(
    plane
      .status()
      .services.map(({ name }) => name)
      .sort(),
    ["orders", "stock"],
  );
  assert.equal(plane.isLeader, true);
});

test("who does not lead writes nothing; who closes gives the Lease to the other at once", async () => {
  const [cluster, clock] = [shop(), new SimulatedClock()];
  const one = await start(cluster, clock, "one");
  await clock.run(5000, 20);
  const two = await start(cluster, clock, "two");
  await clock.run(5000, 20);
  assert.deepEqual([one.isLeader, two.isLeader], [true, false]);
  assert.equal(two.ca.bundle.get(), one.ca.bundle.get());
  // Only the leader repairs what others have done to the configuration.
  const closed = one.close();
  await clock.run(2000, 20);
  await closed;
  cluster.put(CONFIGURATION, { webhooks: [{ name: "a", clientConfig: {} }] });
  await clock.run(15_000, 20);
  assert.equal(two.isLeader, true);
  assert.notEqual(bundle(cluster), "");
});
