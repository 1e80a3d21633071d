/** Envoy refuses a listener of which two filter chains match the same, and one without any: whatever the manifests say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Listener } from "../../model/listener.ts";
import { buildState } from "../mesh/build.ts";
import { intercepted, objectsOf, workload } from "../testing/workloads.ts";
import { translate } from "./translate.ts";

const NAMES = ["http", "grpc", "redis", "https", "web"];
const MODES = ["STRICT", "PERMISSIVE", "DISABLE"];

const port = fc.record({ name: fc.constantFrom(...NAMES), target: fc.constantFrom(8080, 8081, 8082) });
const service = fc.uniqueArray(port, { selector: ({ name }) => name, minLength: 1, maxLength: 4 });
const modes = fc.record({
  mode: fc.constantFrom(...MODES),
  ports: fc.uniqueArray(fc.record({ port: fc.constantFrom(8080, 8081, 9999), mode: fc.constantFrom(...MODES) }), {
    selector: (entry) => entry.port,
    minLength: 1,
  }),
});
const route = fc.record({
  kind: fc.constantFrom("TLSRoute", "TCPRoute"),
  parent: fc.nat(2),
  names: fc.uniqueArray(fc.constantFrom("a.test", "*.a.test", "b.test"), { minLength: 1 }),
});
const mesh = fc.record({
  services: fc.array(service, { minLength: 1, maxLength: 3 }),
  mesh: modes,
  one: modes,
  routes: fc.array(route, { maxLength: 4 }),
  probes: fc.array(fc.record({ port: fc.constantFrom(8080, 8082, 7777), path: fc.constantFrom("/a", "/b") }), {
    maxLength: 3,
  }),
});

function manifestsOf(given: typeof mesh extends fc.Arbitrary<infer T> ? T : never): string {
  const own = "apiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy";
  return [
    ...given.services.map((ports, index) => {
      const list = ports.map(({ name, target }, i) => ({ name, port: 80 + i, targetPort: target }));
      const spec = JSON.stringify({ selector: { app: "s0" }, ports: list });
      return `apiVersion: v1\nkind: Service\nmetadata: { name: s${index} }\nspec: ${spec}`;
    }),
    `${own}\nmetadata: { name: mesh }\nspec: ${JSON.stringify({ mtls: given.mesh })}`,
    `${own}\nmetadata: { name: one }\nspec: ${JSON.stringify({ targetRefs: [{ kind: "Service", name: "s0" }], mtls: given.one })}`,
    ...given.routes.map(({ kind, parent, names }, index) => {
      const spec = {
        parentRefs: [{ kind: "Service", name: `s${parent}` }],
        ...(kind === "TLSRoute" && { hostnames: names }),
        rules: [{ backendRefs: [{ name: "s0", port: 80 }] }],
      };
      return `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: r${index} }\nspec: ${JSON.stringify(spec)}`;
    }),
  ].join("\n---\n");
}

/** Every combination of single criteria that a listener's chains match. */
function matches({ filterChains }: Listener): readonly string[] {
  const each = (values: readonly string[]): readonly string[] => (values.length === 0 ? [""] : values);
  return filterChains.flatMap(({ match }) =>
    each(match.serverNames).flatMap((name) =>
      each(match.applicationProtocols).map(
        (protocol) => `${match.destinationPort} ${name} ${match.transportProtocol} ${protocol}`,
      ),
    ),
  );
}

test("no two filter chains of a listener match the same, and every listener has one", () => {
  fc.assert(
    fc.property(mesh, (given) => {
      const nodes = [intercepted("s0", 1, { probes: given.probes }), workload("s0", 2)];
      const registrations = nodes.map((of) => ({ workload: of, servicePort: 8080, serving: true }));
      const objects = objectsOf(manifestsOf(given));
      const state = buildState({ trustDomain: "cluster.local", objects, registrations });
      for (const node of nodes) {
        for (const listener of translate(state, node).listeners) {
          const all = matches(listener);
          assert.equal(new Set(all).size, all.length, `${listener.name}:\n${all.join("\n")}`);
          assert.ok(all.length > 0 || listener.defaultFilterChain !== null, listener.name);
        }
      }
    }),
    { numRuns: 150 },
  );
});
