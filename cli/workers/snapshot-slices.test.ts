import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import { SnapshotReceiver, type SnapshotSlice, snapshotSlices } from "./snapshot-slices.ts";

const KINDS = ["listeners", "routes", "clusters", "endpoints", "secrets"] as const;

/** Resources as far as slicing looks at them. */
function snapshot(revision: string, kinds: Partial<Record<(typeof KINDS)[number], Record<string, object>>>): Snapshot {
  const maps = KINDS.map((kind) => [kind, new Map(Object.entries(kinds[kind] ?? {}))]);
  return { ...Object.fromEntries(maps), revision };
}

/** Sends by structured clone, as a message port does. */
function send(receiver: SnapshotReceiver, before: Snapshot, after: Snapshot) {
  const slices: SnapshotSlice[] = structuredClone([...snapshotSlices(before, after)]);
  const results = slices.map((slice) => receiver.take(slice));
  const last = results.pop();
  assert.ok(last && results.every((result) => result === null));
  return { slices, snapshot: last };
}

test("what arrives equals what was sent, whatever came, went, changed or moved", () => {
  const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"));
  const step = fc.record(Object.fromEntries(KINDS.map((kind) => [kind, fc.array(fc.tuple(names, fc.nat(2)))])));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
      const receiver = new SnapshotReceiver();
      let before = EMPTY_SNAPSHOT;
      for (const [index, kinds] of steps.entries()) {
        const after = { ...before, revision: String(index) } as Record<string, unknown>;
        for (const kind of KINDS) {
          for (const [order, version] of kinds[kind] ?? []) {
            const known: ReadonlyMap<string, unknown> = before[kind];
            // Every other resource stays the object that it was.
            after[kind] = new Map(
              order.map((name, i) => [name, (i % 2 === 0 ? known.get(name) : undefined) ?? { name, version }]),
            );
          }
        }
        const sent = send(receiver, before, after as unknown as Snapshot);
        assert.deepEqual(sent.snapshot, after);
        for (const kind of KINDS)
          assert.deepEqual([...sent.snapshot[kind].keys()], [...(after as unknown as Snapshot)[kind].keys()]);
        before = after as unknown as Snapshot;
      }
    }),
  );
});

test("what did not change is not sent, and keeps its identity", () => {
  const receiver = new SnapshotReceiver();
  const one = snapshot("1", { clusters: { a: { name: "a" }, b: { name: "b" } }, listeners: { l: { name: "l" } } });
  const first = send(receiver, EMPTY_SNAPSHOT, one);
  const b = { name: "b", changed: true };
  const two = { ...one, revision: "2", clusters: new Map<string, unknown>([...one.clusters, ["b", b]]) };
  const second = send(receiver, one, two as unknown as Snapshot);
  assert.deepEqual(second.slices, [{ changes: { clusters: [["b", b]] }, end: { revision: "2", names: {} } }]);
  assert.equal(second.snapshot.clusters.get("a"), first.snapshot.clusters.get("a"));
  assert.equal(second.snapshot.listeners, first.snapshot.listeners);
  assert.deepEqual(second.snapshot.clusters.get("b"), b);
});

test("a big snapshot comes in many slices, fewer resources in one where they have many endpoints", () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`c${i}`, { name: `c${i}` }]));
  const clusters = send(new SnapshotReceiver(), EMPTY_SNAPSHOT, snapshot("1", { clusters: many }));
  assert.equal(clusters.slices.length, Math.ceil(1000 / 64));
  assert.equal(clusters.snapshot.clusters.size, 1000);
  const crowd = { localities: [{ endpoints: Array.from({ length: 500 }, (_, i) => ({ address: i })) }] };
  const crowds = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`e${i}`, crowd]));
  const endpoints = send(new SnapshotReceiver(), EMPTY_SNAPSHOT, snapshot("1", { endpoints: crowds }));
  assert.equal(endpoints.slices.length, 5);
});
