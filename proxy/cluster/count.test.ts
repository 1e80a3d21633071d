import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { createSharedMemory, SharedState } from "../../core/shared-state.ts";
import { type Count, LocalCount, type SharedCount, SharedCounts } from "./count.ts";
import type { HammerReport } from "./testing/count-hammer.ts";
import { interleave } from "./testing/interleave.ts";

/** One count of one name as each of several threads sees it. */
function threads(count: number): { states: SharedState[]; groups: SharedCounts[]; counts: SharedCount[] } {
  const memory = createSharedMemory(count, 8);
  const states = Array.from({ length: count }, (_, thread) => new SharedState(memory, thread));
  const groups = states.map((state) => SharedCounts.acquire(state, "orders", 2) as SharedCounts);
  return { states, groups, counts: groups.map((group) => group.counts[1] as SharedCount) };
}

const kinds: [string, () => Count][] = [
  ["of one thread", () => new LocalCount()],
  ["of the process", () => threads(1).counts[0] as Count],
];
for (const [name, make] of kinds) {
  test(`a count ${name} grants up to its limit, and above it only when told to`, () => {
    const count = make();
    assert.equal(count.tryAdd(2), true);
    assert.equal(count.tryAdd(2), true);
    assert.equal(count.tryAdd(2), false);
    assert.equal(count.value, 2);
    count.add();
    assert.equal(count.value, 3);
    count.remove();
    assert.equal(count.tryAdd(2), false, "a lowered limit, or one that was exceeded on purpose");
    count.remove();
    assert.equal(count.tryAdd(2), true);
    for (let i = 0; i < 5; i++) count.remove();
    assert.equal(count.value, 0, "too many make no room");
    assert.equal(count.tryAdd(0), false);
  });
}

describe("counted by several threads", () => {
  test("each sees what the others hold, and none can remove another's", () => {
    const { counts } = threads(3);
    const [a, b, c] = counts as [SharedCount, SharedCount, SharedCount];
    assert.equal(a.tryAdd(2), true);
    assert.equal(b.tryAdd(2), true);
    assert.equal(c.tryAdd(2), false);
    c.remove();
    assert.equal(c.value, 2);
    a.remove();
    assert.equal(c.tryAdd(2), true);
  });

  test("what a dead thread held is free again", () => {
    const { states, counts } = threads(2);
    const [a, b] = counts as [SharedCount, SharedCount];
    b.add();
    b.add();
    assert.equal(a.tryAdd(2), false);
    states[0]?.releaseThread(1);
    assert.equal(a.value, 0);
    assert.equal(a.tryAdd(2), true);
  });

  test("a cluster that is closed gives its name back with the last that it holds", () => {
    const { states, groups, counts } = threads(1);
    const [state, group, count] = [states[0] as SharedState, groups[0] as SharedCounts, counts[0] as SharedCount];
    count.add();
    group.close();
    assert.equal(state.table("counts").size, 1);
    const next = SharedCounts.acquire(state, "orders", 2) as SharedCounts;
    assert.equal(next.counts[1]?.value, 1, "one of its name that has come again counts what is still open");
    count.remove();
    assert.equal(next.counts[1]?.value, 0);
    next.close();
    assert.equal(state.table("counts").size, 0);
    const stranger = SharedCounts.acquire(state, "carts", 2) as SharedCounts;
    assert.equal(count.tryAdd(1), true, "who is late counts alone");
    assert.equal(stranger.counts[1]?.value, 0);
  });

  test("without room there are none", () => {
    const state = new SharedState(createSharedMemory(1, 8), 0);
    for (let i = 0; i < 8; i++) state.table("counts").acquire(`c${i}`);
    assert.equal(SharedCounts.acquire(state, "one more", 2), null);
  });

  test("wherever another thread comes in between, the sum of what is held is never above the limit", () => {
    const step = fc.record({ thread: fc.nat(2), take: fc.boolean() });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        fc.array(fc.option(step), { maxLength: 200 }),
        (limit, steps, between) => {
          const { counts } = threads(3);
          const held: [number, number, number] = [0, 0, 0];
          /** While a thread takes or gives back, another does not do so in its name. */
          const busy = new Set<number>();
          const run = ({ thread, take }: { thread: number; take: boolean }): void => {
            const count = counts[thread] as Count;
            if (busy.has(thread)) return;
            busy.add(thread);
            if (take) {
              if (count.tryAdd(limit)) held[thread] = (held[thread] as number) + 1;
            } else if ((held[thread] as number) > 0) {
              // Given back to the world before the count says so.
              held[thread] = (held[thread] as number) - 1;
              count.remove();
            }
            busy.delete(thread);
            assert.ok(held.reduce((a, b) => a + b) <= limit, `${held} of ${limit}`);
          };
          let at = 0;
          const stop = interleave(() => {
            const next = between[at++];
            if (next) run(next);
          });
          try {
            for (const each of steps) run(each);
          } finally {
            stop();
          }
          assert.equal(counts[0]?.value, held[0] + held[1] + held[2]);
          if (counts[0]?.value === limit) assert.equal(counts[0].tryAdd(limit), false);
          else assert.equal(counts[0]?.tryAdd(limit), true, "and what is free can be had");
        },
      ),
      { numRuns: 500 },
    );
  });

  test("real threads never hold more than the limit at once, and lose nothing", async () => {
    const memory = createSharedMemory(4, 64);
    const inside = new SharedArrayBuffer(4);
    const hammers = [0, 1, 2].map(
      (thread) =>
        new Promise<HammerReport>((resolve, reject) => {
          const worker = new Worker(new URL("./testing/count-hammer.ts", import.meta.url), {
            workerData: { memory, thread, inside, limit: 2, rounds: 4000 },
          });
          worker.once("message", resolve);
          worker.once("error", reject);
        }),
    );
    const reports = await Promise.all(hammers);
    assert.ok(
      reports.every(({ most }) => most <= 2),
      JSON.stringify(reports),
    );
    assert.ok(
      reports.every(({ granted }) => granted > 0),
      JSON.stringify(reports),
    );
    const state = new SharedState(memory, 3);
    assert.equal(state.table("counts").size, 1, "only what the threads left open on purpose");
    for (const thread of [0, 1, 2]) state.releaseThread(thread);
    assert.equal(state.table("counts").size, 0);
  });

  test("a thread that is ended wherever it is leaves nothing behind", async () => {
    const memory = createSharedMemory(2, 64);
    const main = new SharedState(memory, 1);
    const kept = SharedCounts.acquire(main, "kept", 1)?.counts[0] as SharedCount;
    for (let i = 0; i < 6; i++) {
      const worker = new Worker(new URL("./testing/count-hammer.ts", import.meta.url), {
        workerData: { memory, thread: 0, inside: new SharedArrayBuffer(4), limit: 2, rounds: Number.POSITIVE_INFINITY },
      });
      // In the midst of it: it has begun, and goes on for ever.
      while (main.table("counts").size < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      await worker.terminate();
      main.releaseThread(0);
      assert.equal(main.table("counts").size, 1);
      assert.equal(kept.value, 0);
      assert.equal(kept.tryAdd(1), true);
      kept.remove();
      const again = SharedCounts.acquire(main, `name ${i % 5}`, 1);
      assert.equal(again?.counts[0]?.value, 0);
      again?.close();
    }
  });
});
