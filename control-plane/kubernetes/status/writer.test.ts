import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import fc from "fast-check";
import type { Logger } from "../../../core/log.ts";
import { seededRandom } from "../../../core/random.ts";
import { ApiError, type JsonObject } from "../api.ts";
import { objectAt, objectsAt } from "../objects/fields.ts";
import { FakeApi } from "../testing/fake-api.ts";
import { closeAll, type Fixture, follow } from "../testing/follow.ts";
import { httpRoute, resiliencePolicy, service, serviceRef } from "../testing/objects.ts";
import { startStatusWriter, type WriteOutcome } from "./writer.ts";

afterEach(closeAll);

interface Written extends Fixture {
  readonly warnings: string[];
  readonly outcomes: WriteOutcome[];
  /** Begins to write; what it returns ends it. */
  readonly lead: () => () => void;
}

function written(api = new FakeApi()): Written {
  const fixture = follow(api);
  const { source, mesh, clock } = fixture;
  const warnings: string[] = [];
  const outcomes: WriteOutcome[] = [];
  const log: Logger = { debug() {}, info() {}, error() {}, warn: (_, message) => warnings.push(message) };
  const lead = () =>
    startStatusWriter({
      source,
      findings: () => mesh.state.findings,
      call: (call, signal) => api.call(call, signal),
      onWrite: (outcome) => outcomes.push(outcome),
      clock,
      random: seededRandom(3),
      log,
    });
  return { ...fixture, warnings, outcomes, lead };
}

/** Each with a path of its own: of two with the same one the younger would be in conflict. */
function route(name: string): JsonObject {
  const matches = [{ path: { type: "PathPrefix", value: `/${name}` } }];
  const rules = [{ matches, backendRefs: [serviceRef("orders")] }];
  return httpRoute(name, serviceRef("orders"), serviceRef("orders"), {
    spec: { parentRefs: [serviceRef("orders")], rules },
  });
}

function metadata(object: JsonObject, parts: JsonObject): JsonObject {
  return { ...object, metadata: { ...objectAt(object, "metadata"), ...parts } };
}

/** `type=status reason@generation` of each entry in a status. */
function said(object: JsonObject | undefined): readonly string[] {
  const status = objectAt(object ?? {}, "status");
  return [status, ...objectsAt(status, "parents"), ...objectsAt(status, "ancestors")].flatMap((entry) =>
    objectsAt(entry, "conditions").map((c) => `${c["type"]}=${c["status"]} ${c["reason"]}@${c["observedGeneration"]}`),
  );
}

const good = (generation: number) => [
  `Accepted=True Accepted@${generation}`,
  `ResolvedRefs=True ResolvedRefs@${generation}`,
  `Programmed=True Programmed@${generation}`,
];

test("each object is told once, by a patch of its status for the version that was read", async () => {
  const { api, clock, lead } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  api.put("ResiliencePolicy", resiliencePolicy("p", "orders", { limits: { requests: 1 } }));
  const version = objectAt(api.get("HTTPRoute", "shop/r") ?? {}, "metadata")["resourceVersion"];
  lead();
  await clock.run(60_000, 20);
  assert.deepEqual(
    api.calls.map(({ method, path, contentType }) => [method, path, contentType]),
    [
      [
        "PATCH",
        "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/r/status",
        "application/merge-patch+json",
      ],
      [
        "PATCH",
        "/apis/outrigger.dev/v1alpha1/namespaces/shop/resiliencepolicies/p/status",
        "application/merge-patch+json",
      ],
    ],
  );
  assert.deepEqual(objectAt((api.calls[0]?.body ?? {}) as JsonObject, "metadata"), { resourceVersion: version });
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r")), good(1));
  assert.deepEqual(said(api.get("ResiliencePolicy", "shop/p")), [...good(1), ...good(1)]);
});

test("nothing is written before all was read, nor by who does not lead, nor after", async () => {
  const { api, clock, lead } = written();
  api.put("HTTPRoute", route("r"));
  api.fault = (_, path) => (path.endsWith("/services") ? new ApiError(503, "", "not now") : null);
  const stop = lead();
  await clock.run(5000, 20);
  assert.equal(api.calls.length, 0);
  api.put("Service", service("orders"));
  api.fault = () => null;
  await clock.run(40_000, 20);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r")), good(1));
  stop();
  api.put("HTTPRoute", route("other"));
  await clock.run(10_000, 20);
  assert.equal(api.calls.length, 1);
  // The next one goes on where this one was.
  lead();
  await clock.run(10_000, 20);
  assert.equal(api.calls.length, 2);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/other")), good(1));
});

test("who stops leading gives up what is under way, and begins nothing else", async () => {
  const { api, clock, lead, source, mesh } = written();
  lead()();
  api.put("Service", service("orders"));
  for (let index = 0; index < 20; index++) api.put("HTTPRoute", route(`r${index}`));
  const signals: AbortSignal[] = [];
  const stop = startStatusWriter({
    source,
    findings: () => mesh.state.findings,
    call: (_, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    },
    clock,
    random: seededRandom(1),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  await clock.run(1000, 20);
  assert.equal(signals.length, 4);
  stop();
  assert.ok(signals.every(({ aborted }) => aborted));
  await clock.run(60_000, 20);
  assert.equal(signals.length, 4);
});

test("a burst of changes comes to one write", async () => {
  const { api, clock, lead } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  await clock.run(500, 20);
  lead();
  for (let generation = 2; generation <= 4; generation++) {
    api.put("HTTPRoute", metadata(route("r"), { generation }));
    await clock.run(20, 20);
  }
  await clock.run(2000, 20);
  assert.equal(api.calls.length, 1);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r")), good(4));
});

test("what another controller writes at the same moment stays", async () => {
  const { api, clock, lead, warnings, outcomes } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  await clock.run(500, 20);
  const theirs = { parentRef: serviceRef("x"), controllerName: "example.com/other", conditions: [] };
  let raced = false;
  api.refuse = () => {
    if (!raced) api.put("HTTPRoute", { ...route("r"), status: { parents: [theirs] } });
    raced = true;
    return null;
  };
  lead();
  await clock.run(3000, 20);
  const parents = objectsAt(objectAt(api.get("HTTPRoute", "shop/r") ?? {}, "status"), "parents");
  assert.deepEqual(
    parents.map(({ controllerName }) => controllerName),
    ["example.com/other", "outrigger.dev/controller"],
  );
  assert.deepEqual([api.calls.length, outcomes, warnings], [2, ["conflict", "written"], []]);
});

test("a change that means nothing to the mesh is enough to write for the newest version", async () => {
  const { api, clock, lead } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  await clock.run(500, 20);
  // Only its version differs: the source tells nobody.
  api.put("HTTPRoute", metadata(route("r"), { annotations: { touched: "yes" } }));
  await clock.run(500, 20);
  lead();
  await clock.run(500, 20);
  assert.equal(api.calls.length, 1);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r")), good(1));
});

test("an object that is refused waits ever longer, by itself", async () => {
  const { api, clock, lead, warnings } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("bad"));
  const invalid = new ApiError(422, "Invalid", 'HTTPRoute "bad" is invalid: status.parents: too long');
  api.refuse = ({ path }) => (path.includes("/bad/") ? invalid : null);
  lead();
  await clock.run(120_000, 20);
  const tries = api.calls.length;
  assert.ok(tries >= 6 && tries <= 9, `${tries} tries`);
  assert.equal(warnings.length, 1);
  for (let index = 0; index < 30; index++) api.put("HTTPRoute", route(`r${index}`));
  await clock.run(1000, 20);
  assert.equal(api.calls.filter(({ path }) => !path.includes("/bad/")).length, 30);
  // As it is now it may be taken.
  api.refuse = () => null;
  api.put("HTTPRoute", metadata(route("bad"), { generation: 2 }));
  await clock.run(500, 20);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/bad")), good(2));
});

test("calls that hang are given up, and others go on meanwhile", async () => {
  const { api, clock, source, mesh } = written();
  api.put("Service", service("orders"));
  for (const name of ["hung", "r1", "r2"]) api.put("HTTPRoute", route(name));
  let hangs = true;
  const stop = startStatusWriter({
    source,
    findings: () => mesh.state.findings,
    call: (call, signal) => (hangs && call.path.includes("/hung/") ? new Promise(() => {}) : api.call(call, signal)),
    clock,
    random: seededRandom(1),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  await clock.run(1000, 20);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r2")), good(1));
  hangs = false;
  await clock.run(20_000, 20);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/hung")), good(1));
  stop();
});

test("a kind without a status is said once, and objects that have just gone are not", async () => {
  const { api, clock, lead, warnings } = written();
  api.put("Service", service("orders"));
  for (let index = 0; index < 5; index++) api.put("HTTPRoute", route(`r${index}`));
  api.put("ResiliencePolicy", resiliencePolicy("p", "orders", { limits: { requests: 1 } }));
  const notFound = new ApiError(404, "NotFound", "the server could not find the requested resource");
  api.refuse = ({ path }) => {
    if (path.includes("httproutes")) return notFound;
    if (api.get("ResiliencePolicy", "shop/p")) api.delete("ResiliencePolicy", "shop/p");
    return null;
  };
  lead();
  await clock.run(120_000, 20);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /status of HTTPRoute .* no status subresource/);
});

test("a server that asks to be left alone is left alone by all", async () => {
  const { api, clock, lead } = written();
  api.put("Service", service("orders"));
  for (let index = 0; index < 12; index++) api.put("HTTPRoute", route(`r${index}`));
  api.refuse = () => new ApiError(429, "TooManyRequests", "slow down", 10_000);
  lead();
  await clock.run(9000, 20);
  assert.equal(api.calls.length, 4);
  api.refuse = () => null;
  await clock.run(10_000, 20);
  assert.deepEqual(said(api.get("HTTPRoute", "shop/r11")), good(1));
});

test("a mesh of many objects is written at a rate that the server can bear", async () => {
  const { api, clock, lead } = written();
  api.put("Service", service("orders"));
  for (let index = 0; index < 300; index++) api.put("HTTPRoute", route(`r${index}`));
  await clock.run(500, 20);
  lead();
  await clock.run(2000, 20);
  assert.ok(api.calls.length >= 170 && api.calls.length <= 200, `${api.calls.length} calls`);
  await clock.run(4000, 20);
  assert.equal(api.calls.length, 300);
});

test("a program that undoes what is written is not fought with", async () => {
  const { api, clock, lead, warnings } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  lead();
  for (let second = 0; second < 300; second++) {
    await clock.run(1000, 100);
    if (said(api.get("HTTPRoute", "shop/r")).length > 0) api.put("HTTPRoute", route("r"));
  }
  assert.ok(api.calls.length >= 6 && api.calls.length <= 10, `${api.calls.length} calls`);
  assert.equal(warnings.length, 1);
});

test("a server that leaves out what is written is not asked again", async () => {
  const { api, clock, source, mesh } = written();
  api.put("Service", service("orders"));
  api.put("HTTPRoute", route("r"));
  let calls = 0;
  startStatusWriter({
    source,
    findings: () => mesh.state.findings,
    call: async () => {
      calls++;
      return api.get("HTTPRoute", "shop/r") ?? null;
    },
    clock,
    random: seededRandom(1),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  await clock.run(60_000, 20);
  assert.equal(calls, 1);
});

test("whatever happens meanwhile, all is said in the end, and then nothing is written any more", async () => {
  const step = fc.record({
    what: fc.constantFrom("route", "gone", "service", "cut", "other", "lead", "end"),
    name: fc.constantFrom("a", "b", "c"),
    pauseMs: fc.integer({ min: 0, max: 400 }),
    error: fc.constantFrom(null, null, 409, 429, 500, 503),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { api, clock, lead } = written();
      api.put("Service", service("orders"));
      let generation = 1;
      let stop = lead();
      for (const { what, name, pauseMs, error } of steps) {
        const known = api.get("HTTPRoute", `shop/${name}`);
        api.refuse = () => (error === null ? null : new ApiError(error, "", "not now"));
        if (what === "route") {
          const next = metadata(route(name), { generation: ++generation });
          api.put("HTTPRoute", { ...next, ...(known?.["status"] ? { status: known["status"] } : {}) });
        }
        if (what === "gone") api.delete("HTTPRoute", `shop/${name}`);
        if (what === "service") {
          if (api.get("Service", "shop/orders")) api.delete("Service", "shop/orders");
          else api.put("Service", service("orders"));
        }
        if (what === "cut") api.endWatches(new ApiError(410, "Expired", "gone"));
        if (what === "other" && known) api.put("HTTPRoute", { ...known, status: { parents: [] } });
        if (what === "lead" || what === "end") stop();
        if (what === "lead") stop = lead();
        await clock.run(pauseMs, 20);
      }
      stop();
      stop = lead();
      api.refuse = () => null;
      await clock.run(60_000, 50);
      const reason = api.get("Service", "shop/orders") ? "Accepted" : "NoMatchingParent";
      for (const name of ["a", "b", "c"]) {
        const object = api.get("HTTPRoute", `shop/${name}`);
        if (!object) continue;
        const of = objectAt(object, "metadata")["generation"];
        assert.match(said(object)[0] ?? "", new RegExp(`^Accepted=(True|False) ${reason}@${of}$`));
      }
      const calls = api.calls.length;
      await clock.run(30_000, 50);
      assert.equal(api.calls.length, calls);
      stop();
      await closeAll();
    }),
    { numRuns: 30 },
  );
});
