import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KINDS, type ManifestKind } from "../../manifest/kinds.ts";
import type { JsonObject } from "../api.ts";
import { readStatus } from "../status/reported.ts";
import { httpRoute, pod, resiliencePolicy, service, serviceRef, slice } from "../testing/objects.ts";
import { readManifest } from "./manifest.ts";
import { readReach } from "./namespace.ts";
import { readPod } from "./pod.ts";

const GOOD: readonly (readonly [ManifestKind, JsonObject])[] = [
  ["Service", service("a")],
  ["EndpointSlice", slice("a-x", "a", [{ pod: "a-1", address: "10.0.0.1" }])],
  ["HTTPRoute", httpRoute("a", serviceRef("a"), serviceRef("a"))],
  ["ResiliencePolicy", resiliencePolicy("a", "a", { timeouts: { request: "1s" } })],
  [
    "ReferenceGrant",
    {
      apiVersion: "gateway.networking.k8s.io/v1beta1",
      metadata: { namespace: "stock", name: "a" },
      spec: {
        from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop" }],
        to: [{ group: "", kind: "Service" }],
      },
    },
  ],
];

/** An object with the value at one of its places replaced. */
function damaged(object: JsonObject, places: readonly number[], value: unknown): JsonObject {
  const copy = JSON.parse(JSON.stringify(object)) as Record<string, unknown>;
  let at: Record<string, unknown> = copy;
  for (const place of places) {
    const keys = Object.keys(at);
    const key = keys[place % Math.max(1, keys.length)] ?? "x";
    const next = at[key];
    if (typeof next !== "object" || next === null || place % 5 === 0) {
      at[key] = value;
      break;
    }
    at = next as Record<string, unknown>;
  }
  return copy as JsonObject;
}

test("whatever an object holds, reading it never throws, and what is given is good or has its problems", () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom(null, [], {}, [null], "", -1, 1e9, "\ud800"));
  fc.assert(
    fc.property(
      fc.constantFrom(...GOOD),
      fc.array(fc.nat({ max: 40 }), { maxLength: 8 }),
      value,
      ([kind, object], places, bad) => {
        const given = damaged(object, places, bad);
        const last = readManifest(kind, object, undefined);
        assert.notEqual(last.manifest, null);
        const entry = readManifest(kind, given, last);
        if (entry.problems.length > 0) assert.equal(entry.manifest, last.manifest);
        readStatus(kind, given);
      },
    ),
    { numRuns: 1000 },
  );
});

test("nothing at all can be read as any kind", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("metadata", "spec", "status"), fc.jsonValue()), (object) => {
      const given = object as JsonObject;
      for (const kind of Object.keys(KINDS) as ManifestKind[]) {
        readManifest(kind, given, undefined);
        readStatus(kind, given);
      }
      readPod(given);
      readReach(given);
    }),
  );
});

test("a document that is nested beyond measure is a problem of its own", () => {
  let deep: JsonObject = {};
  for (let level = 0; level < 20_000; level++) deep = { a: deep };
  const { manifest, problems } = readManifest(
    "ResiliencePolicy",
    { ...resiliencePolicy("a", "a", {}), spec: deep },
    undefined,
  );
  assert.equal(manifest, null);
  assert.equal(problems.length, 1);
});

test("a pod's ports have the names that its containers give, native sidecars' too, and no others", () => {
  const given = pod("a-1", "10.0.0.1", true);
  const port = (name: string, containerPort: number, protocol = "TCP") => ({ name, containerPort, protocol });
  const spec = {
    containers: [
      { ports: [port("web", 80), port("dns", 53, "UDP"), { containerPort: 9 }] },
      { ports: [port("web", 81)] },
    ],
    initContainers: [{ ports: [port("once", 1)] }, { restartPolicy: "Always", ports: [port("metrics", 15020)] }],
  };
  assert.deepEqual(readPod({ ...given, spec })?.ports, { web: 80, metrics: 15020 });
});

test("a pod that has ended is none", () => {
  for (const phase of ["Succeeded", "Failed"]) {
    assert.equal(readPod({ ...pod("a-1", "10.0.0.1", true), status: { phase } }), null);
  }
});

test("which namespaces are reached", () => {
  const namespace = (reach?: string): JsonObject => ({
    metadata: { name: "a", ...(reach === undefined ? {} : { annotations: { "outrigger.dev/reach": reach } }) },
  });
  assert.equal(readReach(namespace()), null);
  assert.equal(readReach(namespace("bank, *")), null);
  assert.deepEqual(readReach(namespace("bank,shop ,")), new Set(["bank", "shop"]));
  assert.deepEqual(readReach(namespace("")), new Set());
});
