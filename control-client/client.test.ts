/** The whole client against a scripted gRPC server, with real messages, in both variants of the protocol. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, suite, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { sleep, systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { encodeResource, type ResourceKind, type ResourceModels } from "../xds/resources.ts";
import { type ControlClient, type ControlClientOptions, startControlClient } from "./client.ts";
import { controlPlaneTarget } from "./connect.ts";
import { LastGoodFile } from "./last-good.ts";
import { sidecarBootstrap } from "./sidecar.ts";
import { ScriptedServer, type ServerStream } from "./testing/grpc-server.ts";
import { edsCluster, endpointSet, rdsListener, routeTable, staticCluster } from "./testing/models.ts";
import { WIRES, type Wire } from "./testing/wire.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const node = { id: "n1", cluster: "c1", locality: { region: "", zone: "", subZone: "" }, metadata: {} };
const directory = mkdtempSync(path.join(tmpdir(), "outrigger-client-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const open: { close(): unknown }[] = [];
async function closeAll(): Promise<void> {
  for (const item of open.splice(0)) await item.close();
}

function start(bootstrap: Bootstrap, port: number, overrides: Partial<ControlClientOptions> = {}): ControlClient {
  const client = startControlClient({
    clock: systemClock,
    random: systemRandom,
    log: silent,
    version: "0.1",
    bootstrap,
    decode: { readFile: () => new Uint8Array(), environment: {} },
    adsTargets: [controlPlaneTarget(`127.0.0.1:${port}`, () => credentials.createInsecure())],
    ...overrides,
  });
  open.push(client);
  return client;
}

async function serve(wire: Wire, port = 0): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(wire, `127.0.0.1:${port}`);
  open.push({ close: () => server.stop() });
  return server;
}

function bootstrapFor(wire: Wire): Bootstrap {
  const ads = { kind: "ads", initialFetchTimeoutMs: 15_000 } as const;
  return {
    ...sidecarBootstrap(node),
    dynamic: { ads: { variant: wire.name, clusters: [], initialMetadata: [] }, listeners: ads, clusters: ads },
  };
}

let nonces = 0;
function send<K extends ResourceKind>(
  stream: ServerStream,
  kind: K,
  version: string,
  values: readonly ResourceModels[K][],
  removed: readonly string[] = [],
): string {
  const nonce = `nonce-${nonces++}`;
  const resources = values.map((value) => ({ name: value.name, any: encodeResource(kind, value) }));
  stream.respond({ kind, version, nonce, resources, removed });
  return nonce;
}

/** Answers a client from nothing: one listener, one route table, one cluster, one endpoint on `port`. */
async function serveMesh(stream: ServerStream, version: string, port: number): Promise<void> {
  send(stream, "cluster", version, [edsCluster("orders")]);
  send(stream, "listener", version, [rdsListener("web", "r")]);
  await stream.find((request) => request.kind === "endpoint" && request.names.includes("orders"));
  send(stream, "endpoint", version, [endpointSet("orders", port)]);
  await stream.find((request) => request.kind === "route" && request.names.includes("r"));
  send(stream, "route", version, [routeTable("r", "orders")]);
}

function portOf(snapshot: Snapshot): number | undefined {
  const address = snapshot.endpoints.get("orders")?.localities[0]?.endpoints[0]?.address;
  return address?.kind === "tcp" ? address.port : undefined;
}

test("a static bootstrap is there at once", async () => {
  const base = { ...EMPTY_SNAPSHOT, revision: "abc", clusters: new Map([["a", staticCluster("a")]]) };
  const client = start({ ...sidecarBootstrap(node), static: base, dynamic: null }, 1);
  assert.equal(client.snapshots.get()?.revision, "abc");
  const { connected, source, waitingFor } = client.status();
  assert.deepEqual({ connected, source, waitingFor }, { connected: true, source: "static", waitingFor: [] });
  await closeAll();
});

for (const wire of WIRES) {
  suite(`the client, ${wire.name}`, () => {
    test("assembles what the control plane sends, and follows it", async () => {
      const server = await serve(wire);
      const client = start(bootstrapFor(wire), server.port);
      assert.equal(client.snapshots.get(), undefined);
      assert.equal(client.status().source, "none");
      const stream = await server.stream();
      await serveMesh(stream, "1", 81);
      const first = await nextValue(client.snapshots);
      assert.equal(portOf(first), 81);
      assert.equal(first.revision, "1");
      const status = client.status();
      assert.equal(status.connected, true);
      assert.equal(status.source, "live");
      assert.deepEqual(status.versions, { CDS: "1", LDS: "1", EDS: "1", RDS: "1" });
      assert.deepEqual(status.waitingFor, []);
      assert.equal(status.sources[0]?.server, "scripted");

      send(stream, "endpoint", "2", [endpointSet("orders", 82)]);
      const second = await nextValue(client.snapshots, (snapshot) => portOf(snapshot) === 82);
      assert.equal(second.clusters, first.clusters);
      assert.equal(second.listeners, first.listeners);
      await closeAll();
    });

    test("a refused resource is reported in the NACK and in the status, and put right", async () => {
      const server = await serve(wire);
      const client = start(bootstrapFor(wire), server.port);
      const stream = await server.stream();
      await serveMesh(stream, "1", 81);
      const first = await nextValue(client.snapshots);
      const nonce = send(stream, "cluster", "2", [edsCluster("orders", { connectTimeoutMs: -1 })]);
      const nack = await stream.find((request) => request.nonce === nonce);
      assert.match(nack.error ?? "", /^cluster "orders": connect_timeout: /);
      const [rejection] = client.status().lastErrors;
      assert.equal(rejection?.api, "CDS");
      assert.equal(rejection?.problems[0]?.path, "connect_timeout");
      assert.equal(client.snapshots.get()?.clusters.get("orders"), first.clusters.get("orders"));

      const again = send(stream, "cluster", "3", [edsCluster("orders", { connectTimeoutMs: 1000 })]);
      assert.equal((await stream.find((request) => request.nonce === again)).error, null);
      await nextValue(client.snapshots, (s) => s.clusters.get("orders")?.connectTimeoutMs === 1000);
      assert.deepEqual(client.status().lastErrors, []);
      await closeAll();
    });

    test("says what it waits for, and goes on without after the fetch timeout", async () => {
      const server = await serve(wire);
      const source = { kind: "ads", initialFetchTimeoutMs: 150 } as const;
      const client = start(bootstrapFor(wire), server.port);
      const stream = await server.stream();
      send(stream, "listener", "1", []);
      send(stream, "cluster", "1", [edsCluster("orders", { discovery: { kind: "eds", serviceName: "o", source } })]);
      await stream.find((request) => request.kind === "endpoint");
      assert.deepEqual(client.status().waitingFor, ["cluster orders waits for endpoints (EDS o)"]);
      const snapshot = await nextValue(client.snapshots);
      assert.deepEqual(snapshot.endpoints.get("o")?.localities, []);
      await closeAll();
    });

    test("keeps the last configuration while the server is gone, and catches up when it is back", async () => {
      const server = await serve(wire);
      const client = start(bootstrapFor(wire), server.port, { random: () => 0.1 });
      await serveMesh(await server.stream(), "1", 81);
      const first = await nextValue(client.snapshots);
      server.stop();
      while (client.status().connected) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(client.snapshots.get(), first);
      assert.notEqual(client.status().sources[0]?.lastError, "");
      const back = await serve(wire, server.port);
      const stream = await back.stream();
      const request = await stream.find(({ kind }) => kind === "endpoint");
      if (wire.name === "delta") assert.deepEqual(request.initialVersions, { orders: "1" });
      else assert.equal(request.version, "1");
      send(stream, "endpoint", "2", [endpointSet("orders", 82)]);
      await nextValue(client.snapshots, (snapshot) => portOf(snapshot) === 82);
      await closeAll();
    });

    test("starts from the last good configuration while the control plane is down, then replaces it", async () => {
      const lastGood = (): LastGoodFile =>
        new LastGoodFile({
          file: path.join(directory, `${wire.name}.json`),
          owner: "n1",
          build: "0.1",
          includePrivateKeys: false,
          clock: systemClock,
          log: silent,
        });
      const server = await serve(wire);
      const { port } = server;
      const before = start(bootstrapFor(wire), port, { lastGood: lastGood() });
      await serveMesh(await server.stream(), "1", 81);
      await nextValue(before.snapshots);
      await closeAll();

      const impatient = { kind: "ads", initialFetchTimeoutMs: 60 } as const;
      const dynamic = { ads: { variant: wire.name, clusters: [], initialMetadata: [] } };
      const client = start(
        { ...bootstrapFor(wire), dynamic: { ...dynamic, clusters: impatient, listeners: impatient } },
        port,
        { lastGood: lastGood(), cacheAfterMs: 20, random: () => 0.1 },
      );
      const cached = await nextValue(client.snapshots);
      // That the fetch timeout passes is no reason to serve less than the cached configuration.
      await sleep(systemClock, 200);
      assert.equal(client.snapshots.get(), cached);
      assert.equal(portOf(cached), 81);
      const status = client.status();
      assert.equal(status.source, "cache");
      assert.ok(status.cacheAgeMs !== null && status.cacheAgeMs >= 0 && status.cacheAgeMs < 60_000);
      assert.equal(status.connected, false);

      const back = await serve(wire, port);
      await serveMesh(await back.stream(), "2", 82);
      const live = await nextValue(client.snapshots, (snapshot) => portOf(snapshot) === 82);
      assert.equal(client.status().source, "live");
      assert.equal(client.status().cacheAgeMs, null);
      // What did not change since is the same object still.
      assert.equal(live.clusters.get("orders"), cached.clusters.get("orders"));
      assert.equal(live.listeners.get("web"), cached.listeners.get("web"));
      assert.equal(live.routes.get("r"), cached.routes.get("r"));
      await closeAll();
    });
  });
}
