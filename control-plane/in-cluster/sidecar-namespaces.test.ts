import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NO_MANIFESTS } from "../manifest/merge.ts";
import type { Cluster, Pod } from "../mesh/cluster.ts";
import type { MeshContent } from "../source.ts";
import { SidecarNamespaces } from "./sidecar-namespaces.ts";

function podOf(namespace: string, name: string, mesh: boolean): Pod {
  return {
    namespace,
    name,
    addresses: [],
    serviceAccount: "a",
    labels: {},
    node: "",
    mesh,
    onlyPort: null,
    includedPorts: null,
    excludedPorts: [],
    ports: {},
  };
}

test("namespaces that ask or have sidecars, however pods come and go", () => {
  const namespaces = fc.constantFrom("a", "b", "c");
  const step = fc.record({
    namespace: namespaces,
    name: fc.constantFrom("x", "y"),
    what: fc.constantFrom("sidecar", "plain", "gone"),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.uniqueArray(namespaces),
      fc.integer({ min: 0, max: 30 }),
      (steps, asking, whole) => {
        const pods = new Map<string, Pod>();
        const cluster: Cluster = { pods, zones: new Map(), serviceAccounts: new Set(), reach: new Map() };
        const names = new SidecarNamespaces();
        names.asking(new Set(asking));
        for (const [i, { namespace, name, what }] of steps.entries()) {
          const key = `${namespace}/${name}`;
          if (what === "gone") pods.delete(key);
          else pods.set(key, podOf(namespace, name, what === "sidecar"));
          const change =
            i === whole ? null : { since: i, objects: new Set<string>(), pods: new Set([key]), surroundings: false };
          names.apply({ revision: i + 1, manifests: NO_MANIFESTS, cluster, change } satisfies MeshContent);
          const wanted = new Set([
            ...asking,
            ...[...pods.values()].filter(({ mesh }) => mesh).map((pod) => pod.namespace),
          ]);
          assert.deepEqual([...(names.names.get() ?? [])].sort(), [...wanted].sort());
        }
      },
    ),
  );
});

test("nobody is told of what changes nothing", () => {
  const names = new SidecarNamespaces();
  const told: ReadonlySet<string>[] = [];
  names.names.subscribe((set) => told.push(set));
  names.asking(new Set(["a"]));
  names.asking(new Set(["a"]));
  assert.deepEqual(told, [new Set(), new Set(["a"])]);
});
