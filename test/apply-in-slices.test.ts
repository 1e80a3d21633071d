/** A big configuration is put in force with turns of the event loop in between, whatever the machine's speed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { joinTelemetry } from "../cli/telemetry.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { setLogLevel } from "../core/log.ts";
import { seededRandom } from "../core/random.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { DataPlane } from "../proxy/data-plane.ts";
import { filterChain, listenerOf } from "../proxy/listener/testing/inbound-subject.ts";
import { MetricsRegistry } from "../telemetry/metrics.ts";
import { cluster } from "./support/clusters.ts";

const COUNT = 400;
/** How much time passes whenever someone looks at the clock, so that slices are counted in steps. */
const PER_LOOK_MS = 0.25;
/** A slice is 1 ms, and each step looks at the clock once or more. */
const STEPS_PER_SLICE = 1 / PER_LOOK_MS + 1;

function slowDataPlane(): DataPlane {
  setLogLevel("off");
  let now = 0;
  const clock: Clock = { ...systemClock, now: () => (now += PER_LOOK_MS) };
  const random = seededRandom(1);
  const telemetry = joinTelemetry({
    registry: new MetricsRegistry(systemClock),
    clock,
    random,
    fileFlushIntervalMs: 1000,
    tracing: null,
    clusterAddress: () => null,
    resource: {},
  });
  const clusterObserver = telemetry.outbound;
  return new DataPlane({ clock, random, telemetry, clusterObserver, identity: null, workload: "test", drainMs: 0 });
}

function snapshotOf(revision: string, prefix: string): Snapshot {
  const names = Array.from({ length: COUNT }, (_, i) => `${prefix}${i}`);
  const listener = (name: string, i: number) =>
    listenerOf({
      name,
      address: { kind: "tcp", host: `10.0.${i >> 8}.${i & 255}`, port: 80 },
      bindToPort: false,
      filterChains: [filterChain("all")],
    });
  return {
    ...EMPTY_SNAPSHOT,
    revision,
    clusters: new Map(names.map((name) => [name, cluster({ name })])),
    listeners: new Map(names.map((name, i) => [name, listener(name, i)])),
  };
}

/** How many clusters and listeners there are now. */
function built(plane: DataPlane): number {
  return [...plane.clusters.all()].length + [...plane.listeners].length;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a configuration of many clusters and listeners", () => {
  test("is built a few at a time, with turns of the event loop in between", async () => {
    const plane = slowDataPlane();
    let done = false;
    const applied = plane.apply(snapshotOf("1", "a")).then((problems) => {
      done = true;
      return problems;
    });
    let before = 0;
    let most = 0;
    for (; !done; await turn()) {
      const now = built(plane);
      most = Math.max(most, now - before);
      before = now;
    }
    assert.deepEqual(await applied, []);
    assert.equal(built(plane), 2 * COUNT);
    assert.ok(most > 0 && most <= STEPS_PER_SLICE, `${most} in one turn`);
    plane.close();
  });

  test("ends with the last of several, in order", async () => {
    const plane = slowDataPlane();
    const all = ["a", "b", "c"].map((prefix) => plane.apply(snapshotOf(prefix, prefix)));
    await Promise.all(all);
    assert.deepEqual([...new Set([...plane.listeners].map(({ config }) => config.name[0]))], ["c"]);
    assert.equal(built(plane), 2 * COUNT);
    plane.close();
  });

  test("is left unfinished where all is closed meanwhile", async () => {
    const plane = slowDataPlane();
    const applied = plane.apply(snapshotOf("1", "a"));
    while (built(plane) < 20) await turn();
    plane.close();
    await applied;
    assert.equal([...plane.clusters.all()].length, 0);
  });
});
