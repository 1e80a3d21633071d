import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SharedTable, type TableSpec, tableBytes } from "./shared-table.ts";

const SPEC: TableSpec = { capacity: 8, sharedWords: 3, laneWords: 3, heldWords: 2, claim: 0 };

/** A table as each of several threads sees it. */
function make(threads: number, spec = SPEC): SharedTable[] {
  const buffer = new SharedArrayBuffer(tableBytes(spec, threads));
  return Array.from({ length: threads }, (_, thread) => new SharedTable(buffer, spec, threads, thread));
}

test("a name is one record in every thread, and another name another", () => {
  const [a, b] = make(2) as [SharedTable, SharedTable];
  const at = a.acquire("orders");
  assert.equal(b.acquire("orders"), at);
  assert.notEqual(b.acquire("carts"), at);
  a.cells[at + 1] = 7;
  assert.equal(b.cells[at + 1], 7);
  assert.notEqual(a.lane(at), b.lane(at));
  assert.equal(a.lane(at, 1), b.lane(at));
});

test("a record is filled in once, by whoever makes it, and is empty when its name comes back", () => {
  const [a, b] = make(2) as [SharedTable, SharedTable];
  let made = 0;
  const init = (table: SharedTable) => (at: number) => {
    made++;
    assert.equal(table.cells[at], 0);
    table.cells[at] = 42;
  };
  const at = a.acquire("orders", init(a));
  assert.equal(b.acquire("orders", init(b)), at);
  assert.equal(made, 1);
  a.release(at);
  assert.equal(b.cells[at], 42, "still used by the other");
  b.release(at);
  assert.equal(b.size, 0);
  b.acquire("orders", init(b));
  assert.equal(made, 2);
});

test("without room there is none, until a name is given back", () => {
  const [a, b] = make(2) as [SharedTable, SharedTable];
  const all = Array.from({ length: SPEC.capacity }, (_, i) => a.acquire(`c${i}`));
  assert.equal(new Set(all).size, SPEC.capacity);
  assert.equal(b.acquire("one more"), -1);
  assert.equal(b.acquire("c3"), all[3], "what is there is found");
  a.release(all[0] as number);
  assert.notEqual(b.acquire("one more"), -1);
});

test("what a dead thread held is given back, its claim and its names too", () => {
  const [a, b] = make(2) as [SharedTable, SharedTable];
  const at = a.acquire("orders");
  b.acquire("orders");
  b.acquire("carts");
  b.cells[b.lane(at) + 1] = 99;
  b.cells[at] = 99;
  b.cells[b.lane(at) + 2] = 5;
  a.releaseThread(1);
  assert.equal(a.cells[at], 0, "the claim");
  assert.equal(a.cells[a.lane(at, 1) + 1], 0);
  assert.equal(a.cells[a.lane(at, 1) + 2], 5, "what it has told stays");
  assert.equal(a.size, 1);
});

test("a claim that another has taken over stays", () => {
  const [a, b] = make(2) as [SharedTable, SharedTable];
  const at = a.acquire("orders");
  b.acquire("orders");
  b.cells[b.lane(at) + 1] = 99;
  a.cells[at] = 120;
  a.releaseThread(1);
  assert.equal(a.cells[at], 120);
});

test("a thread that died with the lock holds nobody up for ever", () => {
  const [a] = make(2) as [SharedTable, SharedTable];
  a.cells[0] = 2;
  assert.equal(a.acquire("orders"), -1, "gives up after a while");
  a.releaseThread(1);
  assert.notEqual(a.acquire("orders"), -1);
});

test("behaves as a map of counted names, whatever threads do in whatever order", () => {
  const threads = 3;
  const step = fc.record({
    thread: fc.nat(threads - 1),
    name: fc.nat(11),
    act: fc.constantFrom("acquire", "acquire", "release", "die"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const tables = make(threads);
      /** For each thread, how often it holds each name, and where. */
      const held = tables.map(() => new Map<number, number>());
      const places = new Map<number, number>();
      const inUse = (name: number): boolean => held.some((of) => (of.get(name) ?? 0) > 0);
      for (const { thread, name, act } of steps) {
        const table = tables[thread] as SharedTable;
        const mine = held[thread] as Map<number, number>;
        if (act === "acquire") {
          const others = [...places.keys()].filter(inUse);
          const at = table.acquire(`name ${name}`, (fresh) => {
            assert.ok(!inUse(name));
            assert.equal(table.cells[fresh + 1], 0);
            table.cells[fresh + 1] = name + 1;
          });
          if (!inUse(name) && others.length === SPEC.capacity) {
            assert.equal(at, -1);
            continue;
          }
          if (inUse(name)) assert.equal(at, places.get(name));
          assert.equal(table.cells[at + 1], name + 1);
          places.set(name, at);
          mine.set(name, (mine.get(name) ?? 0) + 1);
        } else if (act === "release" && (mine.get(name) ?? 0) > 0) {
          table.release(places.get(name) as number);
          mine.set(name, (mine.get(name) as number) - 1);
        } else if (act === "die") {
          (tables[(thread + 1) % threads] as SharedTable).releaseThread(thread);
          mine.clear();
        }
        const names = [...places.keys()].filter(inUse);
        assert.equal(table.size, names.length);
        for (const used of names) assert.equal(table.cells[(places.get(used) as number) + 1], used + 1);
      }
    }),
    { numRuns: 300 },
  );
});
