import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { CachedStart } from "./cached-start.ts";
import type { LastGood, LastGoodFile } from "./last-good.ts";
import { endpointSet, staticCluster } from "./testing/models.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function clusters(...names: string[]): Snapshot {
  return { ...EMPTY_SNAPSHOT, clusters: new Map(names.map((name) => [name, staticCluster(name, endpointSet(name))])) };
}

function rig(found: Snapshot | null, base: Snapshot = EMPTY_SNAPSHOT) {
  const clock = new SimulatedClock();
  const saved: Snapshot[] = [];
  const used: Snapshot[] = [];
  const lastGood: LastGood | null = found && { snapshot: found, savedAt: clock.wallTime() - 60_000 };
  const file: Pick<LastGoodFile, "load" | "save"> = {
    load: async () => lastGood,
    save: async (snapshot) => {
      saved.push(snapshot);
    },
  };
  const cache = new CachedStart({
    file,
    clock,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    base,
    afterMs: 2000,
    use: (snapshot) => used.push(snapshot),
  });
  return { clock, saved, used, cache };
}

test("is used after the wait, with its age, until something live comes", async () => {
  const { clock, used, cache } = rig(clusters("a"));
  await clock.run(1999, 1999);
  assert.equal(used.length, 0);
  await clock.run(1);
  assert.equal(used.length, 1);
  assert.equal(cache.inForce, true);
  clock.advance(5000);
  assert.equal(cache.ageMs(), 67_000);
  cache.live(clusters("b"));
  assert.equal(cache.inForce, false);
  assert.equal(cache.ageMs(), null);
});

test("is not used when something live came first, nor when there is none", async () => {
  const early = rig(clusters("a"));
  early.cache.live(clusters("b"));
  await early.clock.run(5000, 1000);
  assert.equal(early.used.length, 0);
  const none = rig(null);
  await none.clock.run(5000, 1000);
  assert.equal(none.used.length, 0);
  assert.equal(none.cache.inForce, false);
});

test("static resources are put over what was saved, and are not saved", async () => {
  const base = clusters("static", "both");
  const { clock, used, saved, cache } = rig(clusters("a", "both"), base);
  await clock.run(2000, 1000);
  assert.deepEqual([...(used[0]?.clusters.keys() ?? [])].sort(), ["a", "both", "static"]);
  assert.equal(used[0]?.clusters.get("both"), base.clusters.get("both"));
  cache.live({ ...EMPTY_SNAPSHOT, clusters: new Map([...base.clusters, ...clusters("b").clusters]) });
  await clock.run(1000, 1000);
  assert.deepEqual([...(saved[0]?.clusters.keys() ?? [])], ["b"]);
});

test("a burst is one write, and what follows soon is written later, or at the end", async () => {
  const { clock, saved, cache } = rig(null);
  for (let i = 0; i < 5; i++) cache.live(clusters(`a${i}`));
  await clock.run(1000, 500);
  assert.deepEqual(
    saved.map((s) => [...s.clusters.keys()].join()),
    ["a4"],
  );
  cache.live(clusters("b"));
  cache.live(clusters("c"));
  await clock.run(9000, 1000);
  assert.equal(saved.length, 1);
  await clock.run(1000, 1000);
  assert.deepEqual([...(saved[1]?.clusters.keys() ?? [])], ["c"]);
  cache.live(clusters("d"));
  await cache.close();
  assert.deepEqual([...(saved[2]?.clusters.keys() ?? [])], ["d"]);
  await settle();
  assert.equal(clock.pending, 0);
});

test("after a quiet while a change is written shortly again", async () => {
  const { clock, saved, cache } = rig(null);
  cache.live(clusters("a"));
  await clock.run(30_000, 1000);
  cache.live(clusters("b"));
  await clock.run(1000, 1000);
  assert.equal(saved.length, 2);
});

test("closed before anything was live, nothing is written", async () => {
  const { clock, saved, used, cache } = rig(clusters("a"));
  await cache.close();
  await clock.run(5000, 1000);
  assert.deepEqual([saved.length, used.length], [0, 0]);
});
