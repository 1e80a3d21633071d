/** A configuration of many resources: assembled in steps, with other work in between, and never seen in halves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { type Clock, systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { encodeResource } from "../xds/resources.ts";
import { Assembler } from "./assemble.ts";
import { startControlClient } from "./client.ts";
import { controlPlaneTarget } from "./connect.ts";
import { sidecarBootstrap } from "./sidecar.ts";
import { ScriptedServer, type ServerStream } from "./testing/grpc-server.ts";
import { edsCluster, endpointSet, rdsListener, routeTable, staticCluster } from "./testing/models.ts";
import { WIRES } from "./testing/wire.ts";

const COUNT = 300;
const ads = { kind: "ads", initialFetchTimeoutMs: 15_000 } as const;

test("assembling stops after each resource, of each kind, and ends with what it would have come to at once", () => {
  const make = (): Assembler => {
    const assembler = new Assembler({
      base: EMPTY_SNAPSHOT,
      clusters: ads,
      listeners: ads,
      localSecrets: new Set(),
      graceMs: 5000,
    });
    const names = Array.from({ length: COUNT }, (_, i) => `s${i}`);
    const each = <T extends { name: string }>(value: (name: string) => T): ReadonlyMap<string, T> =>
      new Map(names.map((name) => [value(name).name, value(name)]));
    const rest = { version: "1", removed: [] };
    assembler.apply({ kind: "cluster", upserts: each((name) => edsCluster(name)), ...rest });
    assembler.apply({ kind: "endpoint", upserts: each((name) => endpointSet(name, 1)), ...rest });
    assembler.apply({ kind: "listener", upserts: each((name) => rdsListener(`l-${name}`, `r-${name}`)), ...rest });
    assembler.apply({ kind: "route", upserts: each((name) => routeTable(`r-${name}`, name)), ...rest });
    return assembler;
  };
  const whole = make().assemble();
  const task = make().assembling();
  let steps = 0;
  let step = task.next();
  for (; !step.done; step = task.next()) steps++;
  // Clusters, tables and listeners are each warmed, asked for their references, and put into the snapshot.
  assert.ok(steps >= 8 * COUNT, `${steps} steps`);
  assert.deepEqual(step.value, whole);
  assert.equal(whole.snapshot?.routes.size, COUNT);
});

/** A machine so slow that a millisecond passes whenever someone looks at the clock: every step is a slice. */
function slowClock(): Clock {
  let looked = 0;
  return { ...systemClock, now: () => systemClock.now() + looked++ };
}

for (const wire of WIRES) {
  test(`what arrives while one is assembled is taken in afterwards, ${wire.name}`, async (t) => {
    const server = await ScriptedServer.start(wire);
    const client = startControlClient({
      clock: slowClock(),
      random: systemRandom,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      version: "0.1",
      bootstrap: {
        ...sidecarBootstrap({ id: "n", cluster: "c", locality: { region: "", zone: "", subZone: "" }, metadata: {} }),
        dynamic: { ads: { variant: wire.name, clusters: [], initialMetadata: [] }, listeners: null, clusters: ads },
      },
      decode: { readFile: () => new Uint8Array(), environment: {} },
      adsTargets: [controlPlaneTarget(`127.0.0.1:${server.port}`, () => credentials.createInsecure())],
    });
    t.after(async () => {
      await client.close();
      server.stop();
    });
    const seen: Snapshot[] = [];
    client.snapshots.subscribe((snapshot) => seen.push(snapshot));
    const stream = await server.stream();
    for (const version of [1, 2, 3]) send(stream, version);
    // Acknowledged in order, and before all is assembled.
    const replies = [await ack(stream), await ack(stream), await ack(stream)];
    assert.deepEqual(replies, ["nonce 1", "nonce 2", "nonce 3"]);
    let turns = 0;
    while (seen.at(-1)?.revision !== "3") {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    assert.ok(turns > COUNT, `${turns} turns of the event loop while the last was assembled`);
    for (const { revision, clusters } of seen) {
      assert.equal(clusters.size, COUNT);
      for (const cluster of clusters.values()) assert.equal(cluster.connectTimeoutMs, 1000 * Number(revision));
    }
    assert.deepEqual(
      seen.map(({ revision }) => revision),
      seen.map(({ revision }) => revision).sort(),
    );
  });
}

function send(stream: ServerStream, version: number): void {
  const resources = Array.from({ length: COUNT }, (_, i) => {
    const value = staticCluster(`c${i}`, endpointSet(`c${i}`, 1), { connectTimeoutMs: version * 1000 });
    return { name: value.name, any: encodeResource("cluster", value) };
  });
  stream.respond({ kind: "cluster", version: String(version), nonce: `nonce ${version}`, resources });
}

async function ack(stream: ServerStream): Promise<string> {
  const { nonce, error } = await stream.find((request) => request.nonce !== "");
  assert.equal(error, null);
  return nonce;
}
