/** The control client against the real control plane, over real sockets: joining, changes, refusals, outages. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { type ControlClient, startControlClient } from "../control-client/client.ts";
import { controlPlaneTarget } from "../control-client/connect.ts";
import { LastGoodFile } from "../control-client/last-good.ts";
import { sidecarBootstrap } from "../control-client/sidecar.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { metadataOf, serviceYaml, workload } from "../control-plane/testing/workloads.ts";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { WORKLOAD_CERT } from "../model/tls.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
});

interface Place {
  readonly config: string;
  readonly state: string;
}

function place(): Place {
  const root = mkdtempSync(path.join(tmpdir(), "outrigger-cross-"));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  const made = { config: path.join(root, "config"), state: path.join(root, "state") };
  for (const dir of Object.values(made)) mkdirSync(dir, { mode: 0o700 });
  return made;
}

async function controlPlane({ config, state }: Place, xdsPort = 0): Promise<ControlPlane> {
  const plane = await startControlPlane({
    configDir: config,
    stateDir: state,
    xdsPort,
    xdsTlsPort: 0,
    statusPort: 0,
    graceMs: 50,
    log: silent,
  });
  cleanups.push(() => plane.close());
  return plane;
}

function portOf(plane: ControlPlane): number {
  return Number(plane.addresses.xds.split(":").at(-1));
}

interface Join {
  readonly service: string;
  readonly index?: number;
  readonly variant?: "delta" | "state_of_the_world";
  readonly lastGood?: LastGoodFile;
}

function join(port: number, { service, index = 1, variant = "delta", lastGood }: Join): ControlClient {
  const own = workload(service, index);
  const node = {
    id: own.id,
    cluster: service,
    locality: { region: "", zone: "", subZone: "" },
    metadata: metadataOf(own),
  };
  const base = sidecarBootstrap(node);
  const bootstrap: Bootstrap = {
    ...base,
    dynamic: base.dynamic && { ...base.dynamic, ads: { variant, clusters: [], initialMetadata: [] } },
  };
  const client = startControlClient({
    clock: systemClock,
    random: systemRandom,
    log: silent,
    version: "0.1",
    bootstrap,
    decode: { readFile: () => new Uint8Array(), environment: {} },
    adsTargets: [controlPlaneTarget(`127.0.0.1:${port}`, () => credentials.createInsecure())],
    localSecrets: new Set([WORKLOAD_CERT]),
    cacheAfterMs: 20,
    ...(lastGood ? { lastGood } : {}),
  });
  cleanups.push(() => client.close());
  return client;
}

/** The ports and addresses of the endpoints of every cluster that stands for a service. */
function endpointsOf(snapshot: Snapshot, service: string): number {
  let count = 0;
  for (const cluster of snapshot.clusters.values()) {
    if (cluster.outrigger?.service?.name !== service || cluster.discovery.kind !== "eds") continue;
    const set = snapshot.endpoints.get(cluster.discovery.serviceName || cluster.name);
    count += set?.localities.reduce((sum, locality) => sum + locality.endpoints.length, 0) ?? 0;
  }
  return count;
}

for (const variant of ["state_of_the_world", "delta"] as const) {
  test(`two sidecars find each other, and a third is one endpoint more (${variant})`, async () => {
    const plane = await controlPlane(place());
    const port = portOf(plane);
    const shop = join(port, { service: "shop", variant });
    join(port, { service: "stock", variant });
    const two = await nextValue(shop.snapshots, (snapshot) => endpointsOf(snapshot, "stock") === 1);
    assert.ok(two.listeners.size > 0);
    assert.deepEqual(shop.status().lastErrors, []);

    join(port, { service: "stock", index: 2, variant });
    const three = await nextValue(shop.snapshots, (snapshot) => endpointsOf(snapshot, "stock") === 2);
    assert.equal(three.clusters, two.clusters);
    assert.equal(three.listeners, two.listeners);
    assert.equal(three.routes, two.routes);
    assert.deepEqual(shop.status().waitingFor, []);
  });
}

test("a changed manifest changes what it is about and leaves the rest the same objects", async () => {
  const where = place();
  writeFileSync(path.join(where.config, "services.yaml"), serviceYaml("orders") + serviceYaml("stock"));
  const plane = await controlPlane(where);
  const shop = join(portOf(plane), { service: "shop" });
  const serving = (snapshot: Snapshot) =>
    [...snapshot.clusters.values()].some((c) => c.outrigger?.service?.name === "stock");
  const before = await nextValue(shop.snapshots, serving);
  writeFileSync(
    path.join(where.config, "policy.yaml"),
    `apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: stock }
spec:
  targetRefs: [{ kind: Service, name: stock }]
  timeouts: { connect: 123ms }
`,
  );
  await plane.rescan();
  const after = await nextValue(shop.snapshots, (snapshot) =>
    [...snapshot.clusters.values()].some((cluster) => cluster.connectTimeoutMs === 123),
  );
  const changed = [...after.clusters].filter(([name, cluster]) => before.clusters.get(name) !== cluster);
  assert.deepEqual(
    changed.map(([, cluster]) => cluster.outrigger?.service?.name),
    ["stock"],
  );
  assert.deepEqual(shop.status().lastErrors, []);
});

test("while the control plane is away the configuration stays, and its return changes nothing", async () => {
  const where = place();
  const plane = await controlPlane(where);
  const port = portOf(plane);
  const shop = join(port, { service: "shop" });
  join(port, { service: "stock" });
  const before = await nextValue(shop.snapshots, (snapshot) => endpointsOf(snapshot, "stock") === 1);
  await plane.close();
  while (shop.status().connected) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(shop.snapshots.get()?.clusters, before.clusters);

  const back = await controlPlane(where, port);
  while (!shop.status().connected) await new Promise((resolve) => setImmediate(resolve));
  join(portOf(back), { service: "stock", index: 2 });
  const after = await nextValue(shop.snapshots, (snapshot) => endpointsOf(snapshot, "stock") === 2);
  assert.equal(after.clusters, before.clusters);
  assert.equal(after.listeners, before.listeners);
});

test("a sidecar starts from its last good configuration while the control plane is away", async () => {
  const where = place();
  const lastGood = () =>
    new LastGoodFile({
      file: path.join(where.state, "shop.json"),
      owner: "shop-1",
      build: "0.1",
      includePrivateKeys: false,
      clock: systemClock,
      log: silent,
    });
  const plane = await controlPlane(where);
  const port = portOf(plane);
  const first = join(port, { service: "shop", lastGood: lastGood() });
  join(port, { service: "stock" });
  const before = await nextValue(first.snapshots, (snapshot) => endpointsOf(snapshot, "stock") === 1);
  await first.close();
  await plane.close();

  const second = join(port, { service: "shop", lastGood: lastGood() });
  const cached = await nextValue(second.snapshots);
  assert.equal(second.status().source, "cache");
  assert.deepEqual([...cached.listeners.keys()].sort(), [...before.listeners.keys()].sort());
  assert.equal(endpointsOf(cached, "stock"), 1);

  await controlPlane(where, port);
  const live = await nextValue(second.snapshots, (snapshot) => snapshot !== cached);
  assert.equal(second.status().source, "live");
  for (const [name, listener] of cached.listeners) assert.equal(live.listeners.get(name), listener, name);
});
