import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Manifest } from "../../manifest/parse.ts";
import { buildState } from "../../mesh/build.ts";
import type { JsonObject } from "../api.ts";
import { objectAt, objectsAt } from "../objects/fields.ts";
import { type ManifestEntry, readManifest } from "../objects/manifest.ts";
import { httpRoute, resiliencePolicy, service, serviceRef } from "../testing/objects.ts";
import { type StatusChange, statusChanges } from "./changes.ts";
import { readStatus } from "./reported.ts";

type Kind = Manifest["kind"];
type Given = readonly (readonly [Kind, JsonObject])[];

const NOON = Date.parse("2026-05-01T12:00:00.500Z");

/** The statuses to write for these objects. */
function changes(given: Given, wallTime = NOON, last = new Map<string, ManifestEntry>()): readonly StatusChange[] {
  const read = given.map(([kind, object]) => {
    const entry = readManifest(kind, object, undefined);
    const kept = entry.manifest === null ? { ...entry, manifest: last.get(entry.key)?.manifest ?? null } : entry;
    return { kind, entry: kept, status: readStatus(kind, object) };
  });
  const objects = new Map(read.flatMap(({ entry }) => (entry.manifest ? [[entry.key, entry.manifest] as const] : [])));
  const cluster = { pods: new Map(), zones: new Map(), serviceAccounts: new Set<string>(), reach: new Map() };
  const { findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [], cluster });
  return statusChanges((kind) => read.filter((one) => one.kind === kind), findings, wallTime);
}

/** What a status says, in short: by reference, `type=status reason`. */
function said(change: StatusChange | undefined): Readonly<Record<string, readonly string[]>> {
  assert.ok(change);
  const lines = (of: JsonObject): readonly string[] =>
    objectsAt(of, "conditions").map(({ type, status, reason }) => `${type}=${status} ${reason}`);
  const entries = [...objectsAt(change.status, "parents"), ...objectsAt(change.status, "ancestors")];
  return Object.fromEntries([
    ...("conditions" in change.status ? [["", lines(change.status)] as const] : []),
    ...entries.map((entry) => {
      const { name } = { ...objectAt(entry, "parentRef"), ...objectAt(entry, "ancestorRef") };
      return [String(name), lines(entry)] as const;
    }),
  ]);
}

const GOOD = ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs", "Programmed=True Programmed"];
const accepted = (reason: string) => [`Accepted=False ${reason}`, GOOD[1], "Programmed=False Invalid"];

test("a route in force says so to its parent, of its generation, in our name", () => {
  const route = httpRoute("r", serviceRef("a"), serviceRef("a"));
  const [change] = changes([
    ["Service", service("a")],
    ["HTTPRoute", { ...route, metadata: { ...objectAt(route, "metadata"), generation: 7 } }],
  ]);
  const condition = { status: "True", message: "", observedGeneration: 7, lastTransitionTime: "2026-05-01T12:00:00Z" };
  assert.deepEqual(change?.status, {
    parents: [
      {
        parentRef: { group: "", kind: "Service", name: "a", port: 80 },
        controllerName: "outrigger.dev/controller",
        conditions: [
          { ...condition, type: "Accepted", reason: "Accepted" },
          { ...condition, type: "ResolvedRefs", reason: "ResolvedRefs" },
          { ...condition, type: "Programmed", reason: "Programmed" },
        ],
      },
    ],
  });
});

test("each parent is told for itself", () => {
  const route = httpRoute("r", serviceRef("a"), serviceRef("a"));
  const spec = { ...objectAt(route, "spec"), parentRefs: [serviceRef("a"), serviceRef("none"), serviceRef("b", 81)] };
  const given: Given = [
    ["Service", service("a")],
    ["Service", service("b")],
    ["HTTPRoute", { ...route, spec }],
  ];
  assert.deepEqual(said(changes(given)[0]), {
    a: GOOD,
    none: accepted("NoMatchingParent"),
    b: accepted("NoMatchingParent"),
  });
});

test("a backend that can't be resolved has its reason, and the route is in force without it", () => {
  const cases: readonly (readonly [JsonObject, string])[] = [
    [serviceRef("none"), "BackendNotFound"],
    [serviceRef("a", 81), "BackendNotFound"],
    [{ ...serviceRef("a"), kind: "Pod" }, "InvalidKind"],
    [{ ...serviceRef("a"), namespace: "elsewhere" }, "RefNotPermitted"],
    [serviceRef("mysql"), "UnsupportedProtocol"],
  ];
  for (const [backend, reason] of cases) {
    const given: Given = [
      ["Service", service("a")],
      ["Service", service("mysql", { ports: [{ name: "mysql", port: 80, protocol: "TCP" }] })],
      ["HTTPRoute", httpRoute("r", serviceRef("a"), backend)],
    ];
    assert.deepEqual(said(changes(given)[0]), { a: [GOOD[0], `ResolvedRefs=False ${reason}`, GOOD[2]] }, reason);
  }
});

test("of two kinds of routes on a port the one that does not hold is told, and by whom", () => {
  const grpc = { ...httpRoute("g", serviceRef("a"), serviceRef("a")), kind: "GRPCRoute" };
  const given: Given = [
    [
      "Service",
      service("a", { ports: [{ name: "web", port: 80, protocol: "TCP", appProtocol: "kubernetes.io/h2c" }] }),
    ],
    ["GRPCRoute", grpc],
    ["HTTPRoute", httpRoute("h", serviceRef("a"), serviceRef("a"))],
  ];
  const [route, winner] = changes(given);
  assert.deepEqual(said(route), { a: accepted("Conflicted") });
  assert.match(JSON.stringify(route?.status), /is routed by GRPCRoute\/shop\/g/);
  assert.deepEqual(said(winner), { a: GOOD });
});

test("an object that breaks its schema is told what is wrong, and whether a version of it is in force", () => {
  const bad = resiliencePolicy("p", "a", { timeouts: { request: "never" } });
  const given: Given = [
    ["Service", service("a")],
    ["ResiliencePolicy", bad],
  ];
  const [first] = changes(given);
  assert.deepEqual(said(first), { "": accepted("UnsupportedValue"), a: accepted("UnsupportedValue") });
  assert.match(JSON.stringify(first?.status), /spec.timeouts.request: \\"never\\" is not a duration/);
  assert.match(JSON.stringify(first?.status), /it is not in force/);
  const good = readManifest("ResiliencePolicy", resiliencePolicy("p", "a", {}), undefined);
  const [second] = changes(given, NOON, new Map([[good.key, good]]));
  assert.match(JSON.stringify(second?.status), /the last good version stays in force/);
});

test("a policy is told of each target, and fails as a whole when it does for all", () => {
  const targets = (...names: string[]) => ({ targetRefs: names.map((name) => ({ group: "", kind: "Service", name })) });
  const policy = (...names: string[]): Given => [
    ["Service", service("a")],
    ["ResiliencePolicy", resiliencePolicy("p", "a", { ...targets(...names), limits: { requests: 1 } })],
  ];
  const lost = accepted("TargetNotFound");
  assert.deepEqual(said(changes(policy("a"))[0]), { "": GOOD, a: GOOD });
  assert.deepEqual(said(changes(policy("a", "x"))[0]), { "": GOOD, a: GOOD, x: lost });
  assert.deepEqual(said(changes(policy("x", "y"))[0]), { "": lost, x: lost, y: lost });
});

test("a policy all of whose sections an older one has is in conflict; one that has some left is not", () => {
  const younger = (spec: JsonObject): Given => [
    ["Service", service("a")],
    ["ResiliencePolicy", resiliencePolicy("old", "a", { limits: { requests: 1 } })],
    ["ResiliencePolicy", resiliencePolicy("young", "a", spec as { readonly [field: string]: JsonObject })],
  ];
  const all = changes(younger({ limits: { requests: 2 } }));
  assert.deepEqual(said(all[1]), { "": accepted("Conflicted"), a: accepted("Conflicted") });
  const some = changes(younger({ limits: { requests: 2 }, timeouts: { request: "1s" } }));
  assert.deepEqual(said(some[1]), { "": GOOD, a: GOOD });
  assert.match(JSON.stringify(some[1]?.status), /limits for Service shop\/a is already set/);
});

test("of two MeshPolicies for the mesh the younger is in conflict", () => {
  const policy = (name: string): JsonObject => ({
    metadata: { namespace: "mesh", name, generation: 1 },
    spec: { egress: { mode: "AllowAny" } },
  });
  const [first, second] = changes([
    ["MeshPolicy", policy("a")],
    ["MeshPolicy", policy("b")],
  ]);
  assert.deepEqual(said(first), { "": GOOD });
  assert.deepEqual(said(second), { "": accepted("Conflicted") });
});

/** An object with a status as the API server would have it. */
function written(object: JsonObject, change: StatusChange | undefined): JsonObject {
  return { ...object, status: { ...objectAt(object, "status"), ...change?.status } };
}

test("what is said already is not written again; a transition keeps its time until there is another", () => {
  const route = httpRoute("r", serviceRef("a"), serviceRef("b"));
  const a = ["Service", service("a")] as const;
  const [first] = changes([a, ["HTTPRoute", route]]);
  const stored = written(route, first);
  assert.deepEqual(changes([a, ["HTTPRoute", stored]], NOON + 60_000), []);
  const [second] = changes([a, ["Service", service("b")], ["HTTPRoute", stored]], NOON + 60_000);
  const times = objectsAt(objectsAt(second?.status ?? {}, "parents")[0] ?? {}, "conditions").map(
    ({ lastTransitionTime }) => lastTransitionTime,
  );
  assert.deepEqual(times, ["2026-05-01T12:00:00Z", "2026-05-01T12:01:00Z", "2026-05-01T12:00:00Z"]);
});

test("what other controllers say stays, and ours goes with the parent that it was for", () => {
  const gateway = { group: "gateway.networking.k8s.io", kind: "Gateway", name: "front" };
  const theirs = { parentRef: gateway, controllerName: "example.com/other", conditions: [] };
  const route = httpRoute("r", serviceRef("a"), serviceRef("a"));
  const both = {
    ...route,
    spec: { ...objectAt(route, "spec"), parentRefs: [gateway, serviceRef("a")] },
    status: { parents: [theirs] },
  };
  const a = ["Service", service("a")] as const;
  const [first] = changes([a, ["HTTPRoute", both]]);
  assert.deepEqual(Object.keys(said(first)), ["front", "a"]);
  const stored = written(both, first);
  const moved = { ...stored, spec: { ...objectAt(route, "spec"), parentRefs: [gateway] } };
  assert.deepEqual(changes([a, ["HTTPRoute", moved]])[0]?.status, { parents: [theirs] });
  assert.deepEqual(changes([a, ["HTTPRoute", written(moved, changes([a, ["HTTPRoute", moved]])[0])]]), []);
});

test("no status that was written leads to another", () => {
  const names = fc.constantFrom("a", "b", "c");
  const routes = fc.array(fc.tuple(names, names, names), { maxLength: 4 });
  fc.assert(
    fc.property(fc.uniqueArray(names), routes, fc.array(fc.tuple(names, names), { maxLength: 4 }), (services, r, p) => {
      const fixed: Given = services.map((name) => ["Service", service(name)] as const);
      const given: Given = [
        ...r.map(([name, to, from]) => ["HTTPRoute", httpRoute(name, serviceRef(to), serviceRef(from))] as const),
        ...p.map(
          ([name, to]) => ["ResiliencePolicy", resiliencePolicy(name, to, { limits: { requests: 1 } })] as const,
        ),
      ];
      const unique: Given = [
        ...new Map(given.map((one) => [`${one[0]}/${objectAt(one[1], "metadata")["name"]}`, one])).values(),
      ];
      const first = new Map(changes([...fixed, ...unique]).map((change) => [change.key, change]));
      assert.equal(first.size, unique.length);
      const stored = unique.map(([kind, object]) => {
        const key = `${kind}/shop/${objectAt(object, "metadata")["name"]}`;
        return [kind, written(object, first.get(key))] as const;
      });
      assert.deepEqual(changes([...fixed, ...stored], NOON + 1_000_000), []);
    }),
  );
});
