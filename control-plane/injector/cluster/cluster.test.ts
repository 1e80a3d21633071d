/** What the injector keeps in the cluster, on simulated time, with an API server that fails as real ones do. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { SimulatedClock } from "../../../core/clock.ts";
import { seededRandom } from "../../../core/random.ts";
import { WatchCell } from "../../../core/watch.ts";
import type { JsonValue } from "../../json.ts";
import { caBundlePatch, keepCaBundle } from "./ca-bundle.ts";
import type { ClusterCall } from "./call.ts";
import { eventWriter } from "./events.ts";
import { RootsPublisher } from "./roots.ts";
import { requireNativeSidecars } from "./version.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const failure = (status: number): Error => Object.assign(new Error(`status ${status}`), { status });

let clock: SimulatedClock;
let calls: ClusterCall[];
let answer: (call: ClusterCall) => Promise<unknown>;
const call = (one: ClusterCall): Promise<unknown> => {
  calls.push(one);
  return answer(one);
};
const paths = (): string[] => calls.splice(0).map(({ path }) => path.replace(/\?.*/, ""));

beforeEach(() => {
  clock = new SimulatedClock();
  calls = [];
  answer = async () => ({});
});

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
}

describe("roots", () => {
  const at = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps/outrigger-ca-roots`;
  let roots: WatchCell<string>;
  let namespaces: WatchCell<ReadonlySet<string>>;

  function start(): RootsPublisher {
    roots = new WatchCell("PEM 1");
    namespaces = new WatchCell<ReadonlySet<string>>(new Set(["shop", "web"]));
    const publisher = new RootsPublisher({
      call,
      roots,
      namespaces,
      name: "outrigger-ca-roots",
      key: "root-cert.pem",
      clock,
      random: seededRandom(1),
      log: quiet,
    });
    publisher.start();
    return publisher;
  }

  test("each namespace gets them, and again only what has changed", async () => {
    start();
    await settled();
    await pass(0);
    assert.deepEqual(calls[0]?.body, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "outrigger-ca-roots",
        namespace: "web",
        labels: { "app.kubernetes.io/managed-by": "outrigger" },
      },
      data: { "root-cert.pem": "PEM 1" },
    });
    assert.equal(calls[0]?.contentType, "application/apply-patch+yaml");
    assert.deepEqual(paths().sort(), [at("shop"), at("web")]);
    namespaces.set(new Set(["shop", "web", "new"]));
    await settled();
    await pass(0);
    assert.deepEqual(paths(), [at("new")]);
    roots.set("PEM 1 and 2");
    await settled();
    await pass(0);
    assert.deepEqual(paths().sort(), [at("new"), at("shop"), at("web")]);
  });

  test("what others do to it is put right in time", async () => {
    start();
    await settled();
    await pass(0);
    paths();
    await pass(9 * 60_000);
    assert.deepEqual(paths(), []);
    await pass(60_000);
    assert.deepEqual(paths().sort(), [at("shop"), at("web")]);
  });

  test("one namespace that fails holds up no other, and is tried again", async () => {
    let broken = true;
    answer = async ({ path }) => {
      if (broken && path.includes("/web/")) throw failure(500);
      return {};
    };
    start();
    await settled();
    assert.deepEqual(paths().sort(), [at("shop"), at("web")]);
    await pass(30_000);
    assert.ok(paths().every((path) => path === at("web")));
    broken = false;
    await pass(30_000);
    await pass(30_000);
    assert.deepEqual(paths(), [at("web")]);
  });

  test("a namespace in which a pod is being made is not waited for by the watch", async () => {
    const publisher = start();
    await settled();
    await pass(0);
    paths();
    publisher.want("fresh");
    publisher.want("shop");
    await settled();
    await pass(0);
    assert.deepEqual(paths(), [at("fresh")]);
    publisher.want("fresh");
    await settled();
    await pass(0);
    assert.deepEqual(paths(), []);
  });

  test("what changes while it is being written is written next", async () => {
    const gate = Promise.withResolvers<object>();
    answer = () => gate.promise;
    start();
    await settled();
    roots.set("PEM 2");
    gate.resolve({});
    for (let i = 0; i < 3; i++) await pass(0);
    const last = calls.findLast(({ path }) => path.includes("/shop/"));
    assert.match(JSON.stringify(last?.body), /PEM 2/);
  });

  const terminating =
    'configmaps "r" is forbidden: unable to create new content in namespace x because it is being terminated';
  for (const [how, error] of [
    ["gone", failure(404)],
    ["on its way", Object.assign(new Error(terminating), { status: 403 })],
  ] as const) {
    test(`a namespace that is ${how} is forgotten`, async () => {
      answer = () => Promise.reject(error);
      const publisher = start();
      namespaces.set(new Set());
      publisher.want("gone");
      await settled();
      await pass(0);
      paths();
      await pass(60_000);
      assert.deepEqual(paths(), []);
    });
  }

  test("who does not lead any more writes nothing", async () => {
    const publisher = start();
    await settled();
    await pass(0);
    paths();
    publisher.stop();
    roots.set("PEM 3");
    await pass(60 * 60_000);
    assert.deepEqual(paths(), []);
  });

  test("who loses the lead among many namespaces leaves the rest of them to the next", async () => {
    const held: (() => void)[] = [];
    const publisher = start();
    await settled();
    await pass(0);
    paths();
    answer = () => new Promise((resolve) => held.push(() => resolve({})));
    namespaces.set(new Set(Array.from({ length: 20 }, (_, i) => `n${i}`)));
    await settled();
    publisher.stop();
    for (let free = held.splice(0); free.length > 0; free = held.splice(0)) {
      for (const go of free) go();
      await settled();
    }
    assert.equal(calls.length, 4, "as many as are written at a time");
  });
});

describe("CA bundle", () => {
  const configuration = (...bundles: (string | null)[]): JsonValue => ({
    metadata: { name: "outrigger", resourceVersion: "7" },
    webhooks: bundles.map((caBundle, i) => ({ name: `w${i}`, clientConfig: { ...(caBundle && { caBundle }) } })),
  });
  const base64 = (text: string): string => Buffer.from(text).toString("base64");

  test("the patch is for webhooks that lack it, and for the version that was read", () => {
    assert.deepEqual(caBundlePatch(configuration(base64("PEM"), null, base64("old")), "PEM"), [
      { op: "test", path: "/metadata/resourceVersion", value: "7" },
      { op: "add", path: "/webhooks/1/clientConfig/caBundle", value: base64("PEM") },
      { op: "add", path: "/webhooks/2/clientConfig/caBundle", value: base64("PEM") },
    ]);
    assert.deepEqual(caBundlePatch(configuration(base64("PEM")), "PEM"), []);
    for (const nothing of [null, {}, { webhooks: "x" }]) assert.deepEqual(caBundlePatch(nothing, "PEM"), []);
  });

  test("it is put right soon after the configuration was made anew, and at once for new roots", async () => {
    let current = configuration(null);
    let patches = 0;
    answer = async ({ method, body }) => {
      if (method === "GET") return current;
      patches++;
      const [, change] = body as readonly { value: string }[];
      current = configuration(change?.value ?? null);
      return current;
    };
    const roots = new WatchCell("PEM");
    const stop = keepCaBundle({ call, configuration: "c", roots, clock, random: seededRandom(1), log: quiet });
    await settled();
    await pass(0);
    assert.deepEqual([patches, current], [1, configuration(base64("PEM"))]);
    current = configuration(null);
    await pass(10_000);
    assert.equal(patches, 2);
    roots.set("PEM 2");
    await settled();
    assert.deepEqual([patches, current], [3, configuration(base64("PEM 2"))]);
    await pass(10_000);
    assert.equal(patches, 3);
    stop();
    calls.length = 0;
    await pass(60_000);
    assert.deepEqual(calls, []);
  });

  test("who loses the lead between reading and writing does not write", async () => {
    let read = (): void => {};
    answer = ({ method }) =>
      method === "GET" ? new Promise((resolve) => (read = () => resolve(configuration(null)))) : Promise.resolve({});
    const roots = new WatchCell("PEM");
    const stop = keepCaBundle({ call, configuration: "c", roots, clock, random: seededRandom(1), log: quiet });
    await settled();
    stop();
    read();
    await settled();
    assert.deepEqual(
      calls.map(({ method }) => method),
      ["GET"],
    );
  });

  test("a conflict or an API server that is away is tried again", async () => {
    let failing = true;
    answer = async ({ method }) => {
      if (method === "GET") return configuration(null);
      if (failing) throw failure(422);
      return {};
    };
    const roots = new WatchCell("PEM");
    const stop = keepCaBundle({ call, configuration: "c", roots, clock, random: seededRandom(1), log: quiet });
    await settled();
    failing = false;
    calls.length = 0;
    for (let i = 0; i < 10; i++) await pass(100);
    stop();
    assert.deepEqual(calls[1]?.method, "PATCH");
  });
});

describe("version", () => {
  test("a cluster without native sidecars is refused, one that says nothing of itself is not", async () => {
    for (const [major, minor, good] of [
      ["1", "28", false],
      ["1", "27+", false],
      ["1", "29", true],
      ["1", "36+", true],
      ["2", "0", true],
      ["", "", true],
    ] as const) {
      answer = async () => ({ major, minor, gitVersion: `v${major}.${minor}.1` });
      if (good) await requireNativeSidecars(call);
      else await assert.rejects(requireNativeSidecars(call), { message: /1\.29 or newer/ });
    }
    answer = () => Promise.reject(failure(500));
    await assert.rejects(requireNativeSidecars(call), { message: "status 500" });
  });
});

describe("events", () => {
  const event = {
    namespace: "shop",
    regarding: { apiVersion: "v1", kind: "Pod", name: "web-", uid: "" },
    reason: "SidecarHostNetwork",
    message: `why ${"x".repeat(2000)}`,
  };

  test("an event that an API server takes", async () => {
    await eventWriter(call, clock, "outrigger-control-plane-0")(event);
    const [{ path, body } = assert.fail()] = calls;
    assert.equal(path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    const { metadata, note, eventTime, type, regarding } = body as {
      metadata: { name: string };
      note: string;
      eventTime: string;
      type: string;
      regarding: object;
    };
    // RFC 1123: no part of a name ends with a dash.
    assert.match(metadata.name, /^web\.[0-9a-f]+$/);
    assert.match(eventTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(Buffer.byteLength(note), 1024);
    assert.deepEqual([type, regarding], ["Warning", { ...event.regarding, namespace: "shop" }]);
  });

  test("the same of the same object is said seldom, another thing at once", async () => {
    const write = eventWriter(call, clock, "i");
    for (let i = 0; i < 5; i++) await write(event);
    assert.equal(calls.length, 1);
    await write({ ...event, reason: "SidecarPodSecurity" });
    await write({ ...event, namespace: "other" });
    assert.equal(calls.length, 3);
    clock.advance(10 * 60_000);
    await write(event);
    assert.equal(calls.length, 4);
  });
});
