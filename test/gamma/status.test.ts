/** What a route's status says as what it refers to comes and goes: references across namespaces, and grants for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { readManifest } from "../../control-plane/kubernetes/objects/manifest.ts";
import { statusChanges } from "../../control-plane/kubernetes/status/changes.ts";
import { readStatus } from "../../control-plane/kubernetes/status/reported.ts";
import type { ManifestKind } from "../../control-plane/manifest/kinds.ts";
import { buildState } from "../../control-plane/mesh/build.ts";

const GATEWAY = "gateway.networking.k8s.io";

type Given = readonly [ManifestKind, JsonObject];

function service(namespace: string, name: string): Given {
  return [
    "Service",
    { metadata: { namespace, name }, spec: { clusterIP: "10.96.0.1", ports: [{ name: "web", port: 80 }] } },
  ];
}

/** A route of `shop` to a Service of `stock`. */
function route(kind: "HTTPRoute" | "GRPCRoute", parent: JsonObject): Given {
  const backend = { name: "v2", namespace: "stock", port: 80 };
  return [
    kind,
    {
      apiVersion: `${GATEWAY}/v1`,
      metadata: { namespace: "shop", name: "r", generation: 3 },
      spec: { parentRefs: [{ group: "", kind: "Service", ...parent }], rules: [{ backendRefs: [backend] }] },
    },
  ];
}

function grant(kind: string): Given {
  const from = [{ group: GATEWAY, kind, namespace: "shop" }];
  const spec = { from, to: [{ group: "", kind: "Service", name: "v2" }] };
  return ["ReferenceGrant", { apiVersion: `${GATEWAY}/v1`, metadata: { namespace: "stock", name: "g" }, spec }];
}

/** `type=status reason` of the first parent, and the message where a condition is false. */
function said(given: readonly Given[]): readonly string[] {
  const read = given.map(([kind, object]) => ({
    kind,
    entry: readManifest(kind, object, undefined),
    status: readStatus(kind, object),
  }));
  for (const { entry } of read) assert.deepEqual(entry.problems, []);
  const objects = new Map(read.flatMap(({ entry }) => (entry.manifest ? [[entry.key, entry.manifest] as const] : [])));
  const cluster = { pods: new Map(), zones: new Map(), serviceAccounts: new Set<string>(), reach: new Map() };
  const { findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [], cluster });
  const [change] = statusChanges((kind) => read.filter((one) => one.kind === kind), findings, 0);
  assert.ok(change);
  const [parent] = objectsAt(change.status, "parents");
  assert.ok(parent && objectAt(parent, "parentRef"));
  return objectsAt(parent, "conditions").map(({ type, status, reason, message }) =>
    status === "True" ? `${type}=True` : `${type}=False ${reason}: ${message}`,
  );
}

const GOOD = ["Accepted=True", "ResolvedRefs=True", "Programmed=True"];
const SERVICES = [service("shop", "front"), service("stock", "v2")];

for (const [kind, consequence] of [
  ["HTTPRoute", "its share of requests is answered 500"],
  ["GRPCRoute", "its share of requests is answered UNAVAILABLE"],
] as const) {
  test(`${kind}: a backend of another namespace is told as not permitted, until there is a grant`, () => {
    const to = route(kind, { name: "front" });
    const why = `backend Service stock/v2 is in another namespace, in which no ReferenceGrant is for ${kind}s of shop`;
    assert.deepEqual(said([...SERVICES, to]), [
      "Accepted=True",
      `ResolvedRefs=False RefNotPermitted: ${why}: ${consequence}`,
      "Programmed=True",
    ]);
    assert.deepEqual(said([...SERVICES, to, grant("TCPRoute")])[1]?.slice(0, 34), "ResolvedRefs=False RefNotPermitted");
    assert.deepEqual(said([...SERVICES, to, grant(kind)]), GOOD);
  });

  test(`${kind}: what is permitted and is not there is told as that`, () => {
    const [, resolved] = said([service("shop", "front"), route(kind, { name: "front" }), grant(kind)]);
    assert.equal(
      resolved,
      `ResolvedRefs=False BackendNotFound: backend Service stock/v2 does not exist: ${consequence}`,
    );
  });

  test(`${kind}: a consumer's route back to the Service that it is for needs no grant`, () => {
    assert.deepEqual(said([...SERVICES, route(kind, { name: "v2", namespace: "stock" })]), GOOD);
  });
}
