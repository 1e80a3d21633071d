import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { SILENT } from "../testing/test-mesh.ts";
import { ApiError, type JsonObject } from "./api.ts";
import { collectionsOf, SOURCE_KINDS, type SourceKind } from "./kinds.ts";
import { textAt } from "./objects/fields.ts";
import { Reflector } from "./reflector.ts";
import { FakeApi } from "./testing/fake-api.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Fixture {
  readonly api: FakeApi;
  readonly clock: SimulatedClock;
  readonly reflector: Reflector<string>;
  readonly changes: (readonly string[])[];
  readonly held: () => Readonly<Record<string, string>>;
}

function open(kind: SourceKind = "Pod", pageSize = 2): Fixture {
  const api = new FakeApi();
  const clock = new SimulatedClock();
  const changes: (readonly string[])[] = [];
  const reflector = new Reflector<string>({
    kind,
    collections: collectionsOf(SOURCE_KINDS[kind]),
    api,
    clock,
    random: seededRandom(1),
    log: SILENT,
    pageSize,
    read: (object) => textAt(object, "value"),
    changed: (names) => void changes.push([...names].sort()),
  });
  cleanups.push(() => reflector.close());
  const held = () =>
    Object.fromEntries(
      ["a", "b", "c", "d", "e"].flatMap((name) => {
        const value = reflector.get(`shop/${name}`);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  return { api, clock, reflector, changes, held };
}

function object(name: string, value: string): JsonObject {
  return { metadata: { namespace: "shop", name }, value };
}

test("a list comes in pages and is held when it is complete, not before", async () => {
  const { api, clock, reflector, changes, held } = open();
  for (const name of ["a", "b", "c", "d", "e"]) api.put("Pod", object(name, "1"));
  const between: unknown[] = [];
  api.betweenPages = () => void between.push([reflector.synced, held()]);
  reflector.start();
  await clock.run(10);
  assert.deepEqual(between, [
    [false, {}],
    [false, {}],
  ]);
  assert.equal(reflector.synced, true);
  assert.deepEqual(held(), { a: "1", b: "1", c: "1", d: "1", e: "1" });
  assert.deepEqual(changes, [["shop/a", "shop/b", "shop/c", "shop/d", "shop/e"]]);
});

test("an empty list is complete, and told once", async () => {
  const { clock, reflector, changes } = open();
  reflector.start();
  await clock.run(10);
  assert.deepEqual(changes, [[]]);
});

test("what changes is told; another version of the same is not", async () => {
  const { api, clock, reflector, changes, held } = open();
  api.put("Pod", object("a", "1"));
  reflector.start();
  await clock.run(10);
  changes.length = 0;
  api.put("Pod", object("a", "1"));
  await clock.run(5);
  assert.deepEqual(changes, []);
  api.put("Pod", object("a", "2"));
  api.put("Pod", object("b", "1"));
  await clock.run(5);
  api.delete("Pod", "shop/a");
  await clock.run(5);
  assert.deepEqual(changes, [["shop/a"], ["shop/b"], ["shop/a"]]);
  assert.deepEqual(held(), { b: "1" });
});

test("a watch that ends goes on after its last bookmark, without a list", async () => {
  const { api, clock, reflector, held } = open();
  api.put("Pod", object("a", "1"));
  reflector.start();
  await clock.run(10);
  // Versions that only others' objects had: without the bookmark they would have to be gone through again.
  for (let index = 0; index < 5; index++) api.put("Service", object("a", String(index)));
  api.bookmark("Pod");
  await clock.run(5);
  api.compact();
  api.endWatches();
  await clock.run(5);
  api.put("Pod", object("b", "1"));
  await clock.run(2000, 50);
  assert.equal(api.lists.length, 1);
  assert.deepEqual(
    api.watches.map(({ resourceVersion }) => resourceVersion),
    ["101", "106"],
  );
  assert.deepEqual(held(), { a: "1", b: "1" });
});

test("a watch whose past is gone begins with a list; what vanished meanwhile is told as gone", async () => {
  const { api, clock, reflector, changes, held } = open();
  for (const name of ["a", "b", "c"]) api.put("Pod", object(name, "1"));
  reflector.start();
  await clock.run(10);
  changes.length = 0;
  api.fault = () => new Error("unreachable");
  api.endWatches(new Error("reset"));
  await clock.run(10);
  api.delete("Pod", "shop/a");
  api.put("Pod", object("b", "2"));
  api.compact();
  api.fault = () => null;
  await clock.run(60_000, 100);
  assert.deepEqual(changes, [["shop/a", "shop/b"]]);
  assert.deepEqual(held(), { b: "2", c: "1" });
  assert.equal(reflector.report().phase, "watching");
});

test("an ERROR event that says 410 is taken as the same", async () => {
  const { api, clock, reflector } = open();
  reflector.start();
  await clock.run(10);
  api.endWatches(new ApiError(410, "Expired", "too old"));
  await clock.run(2000, 50);
  assert.equal(api.lists.length, 2);
});

test("a list whose pages expire on the way is asked for in one piece", async () => {
  const { api, clock, reflector, held } = open();
  for (const name of ["a", "b", "c"]) api.put("Pod", object(name, "1"));
  let pages = 0;
  api.betweenPages = () => {
    pages++;
    api.compact();
  };
  reflector.start();
  await clock.run(5000, 50);
  assert.equal(pages, 1);
  assert.deepEqual(held(), { a: "1", b: "1", c: "1" });
});

test("a list that breaks between its pages leaves all as it was, and begins anew", async () => {
  const { api, clock, reflector, changes, held } = open();
  for (const name of ["a", "b", "c", "d"]) api.put("Pod", object(name, "1"));
  reflector.start();
  await clock.run(10);
  changes.length = 0;
  for (const name of ["a", "b", "c", "d"]) api.put("Pod", object(name, "2"));
  api.delete("Pod", "shop/a");
  await clock.run(5);
  const before = held();
  changes.length = 0;
  let broken = 0;
  api.betweenPages = () => {
    api.fault = () => (broken++ < 3 ? new ApiError(500, "", "etcd is away") : null);
  };
  api.endWatches(new ApiError(410, "Expired", "too old"));
  await clock.run(700, 10);
  assert.ok(broken > 0);
  assert.deepEqual([held(), changes], [before, []]);
  api.put("Pod", object("e", "1"));
  await clock.run(20_000, 50);
  assert.deepEqual(held(), { b: "2", c: "2", d: "2", e: "1" });
  assert.deepEqual(changes, [["shop/e"]]);
});

test("cut after every event, all of them arrive", async () => {
  for (const how of ["end", new Error("reset")] as const) {
    const { api, clock, reflector, held } = open();
    api.cut = () => how;
    reflector.start();
    await clock.run(10);
    for (const [index, name] of ["a", "b", "c", "a", "d", "b"].entries()) api.put("Pod", object(name, String(index)));
    api.delete("Pod", "shop/c");
    await clock.run(30_000, 50);
    assert.deepEqual(held(), { a: "3", b: "5", d: "4" });
    assert.equal(api.lists.length, 1);
  }
});

test("tries are further and further apart, never at once, and what was held is held meanwhile", async () => {
  const { api, clock, reflector, held } = open();
  api.put("Pod", object("a", "1"));
  reflector.start();
  await clock.run(10);
  const times: number[] = [];
  api.fault = () => {
    times.push(clock.now());
    return new ApiError(503, "", "down");
  };
  api.endWatches(new Error("reset"));
  await clock.run(600_000, 50);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.ok(
    gaps.every((gap) => gap >= 250),
    String(gaps),
  );
  assert.ok(Math.max(...gaps) <= 30_100 && gaps.slice(-5).every((gap) => gap >= 15_000), String(gaps));
  assert.deepEqual(held(), { a: "1" });
  assert.match(reflector.report().error, /down/);
  api.fault = () => null;
  api.put("Pod", object("b", "1"));
  await clock.run(31_000, 50);
  assert.deepEqual(held(), { a: "1", b: "1" });
  assert.deepEqual(reflector.report().error, "");
});

test("a server that asks for time gets it", async () => {
  const { api, clock, reflector } = open();
  let refused = 0;
  api.fault = () => (refused++ === 0 ? new ApiError(429, "TooManyRequests", "slow down", 20_000) : null);
  reflector.start();
  await clock.run(19_900, 100);
  assert.equal(api.lists.length, 1);
  await clock.run(300, 100);
  assert.equal(api.lists.length, 2);
  assert.equal(reflector.synced, true);
});

test("watches that end at once and bring nothing do not spin", async () => {
  const { api, clock, reflector } = open();
  reflector.start();
  await clock.run(10);
  const wake = (): void => {
    if (api.openWatches > 0) api.endWatches();
  };
  for (let index = 0; index < 200; index++) {
    wake();
    await clock.run(50, 10);
  }
  assert.ok(api.watches.length < 15, `${api.watches.length} watches in 10 s`);
});

test("a kind that is not installed counts as read, and is found once it is", async () => {
  const { api, clock, reflector, held } = open("TLSRoute");
  api.unknown.add("tlsroutes");
  reflector.start();
  await clock.run(100);
  assert.equal(reflector.synced, true);
  assert.equal(reflector.report().phase, "missing");
  assert.match(reflector.report().error, /CustomResourceDefinition is not installed/);
  assert.deepEqual(
    api.lists,
    collectionsOf(SOURCE_KINDS.TLSRoute).map(({ path }) => path),
  );
  api.unknown.clear();
  api.put("TLSRoute", object("a", "1"));
  await clock.run(50_000, 100);
  assert.deepEqual(held(), { a: "1" });
});

test("one answer that a kind is unknown takes no objects away; several do", async () => {
  const { api, clock, reflector, held } = open("GRPCRoute");
  api.put("GRPCRoute", object("a", "1"));
  reflector.start();
  await clock.run(10);
  let answers = 0;
  api.fault = () => (answers++ < 2 ? new ApiError(404, "NotFound", "not yet") : null);
  api.endWatches();
  await clock.run(5000, 50);
  assert.deepEqual(held(), { a: "1" });
  api.unknown.add("grpcroutes");
  api.endWatches();
  await clock.run(20_000, 50);
  assert.deepEqual(held(), {});
});

test("an event without sense leads to a new list", async () => {
  const { api, clock, reflector, held } = open();
  api.put("Pod", object("a", "1"));
  reflector.start();
  await clock.run(10);
  api.send("Pod", { type: "MODIFIED", object: { metadata: { resourceVersion: "7" } } });
  api.put("Pod", object("a", "2"));
  await clock.run(5000, 50);
  assert.ok(api.lists.length >= 2);
  assert.deepEqual(held(), { a: "2" });
});

test("closing ends a list, a watch and a wait", async () => {
  for (const state of ["list", "watch", "wait"] as const) {
    const { api, clock, reflector } = open();
    if (state === "wait") api.fault = () => new Error("unreachable");
    reflector.start();
    if (state !== "list") await clock.run(10);
    await reflector.close();
    const calls = api.lists.length + api.watches.length;
    await clock.run(100_000, 1000);
    assert.equal(api.lists.length + api.watches.length, calls);
    assert.equal(api.openWatches, 0);
  }
});
