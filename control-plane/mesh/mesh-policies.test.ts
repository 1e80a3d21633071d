import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { intercepted, objectsOf, serviceYaml, workload } from "../testing/workloads.ts";
import { buildState } from "./build.ts";
import { mtlsMode, mtlsPorts } from "./mtls.ts";
import type { MeshState } from "./state.ts";
import type { Workload } from "./workload.ts";

function stateOf(manifests: string, workloads: readonly Workload[] = []): MeshState {
  const registrations = workloads.map((given) => ({ workload: given, servicePort: 8080, serving: true }));
  return buildState({ trustDomain: "cluster.local", objects: objectsOf(manifests), registrations });
}

function policy(name: string, spec: string): string {
  return `---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
}

function modeOf(state: MeshState, of: Workload, port: number | null): string {
  return mtlsMode(state.mtls, (service) => state.services.get(service)?.definition, of, port);
}

describe("the mode of a port", () => {
  const db = intercepted("db");
  const web = intercepted("web");
  const state = stateOf(
    serviceYaml("db", 5432) +
      policy(
        "mesh",
        "{ mtls: { mode: PERMISSIVE, ports: [{ port: 9090, mode: DISABLE }, { port: 1, mode: DISABLE }] } }",
      ) +
      policy("db", "{ targetRefs: [{ kind: Service, name: db }], mtls: { ports: [{ port: 9090, mode: STRICT }] } }") +
      policy(
        "late",
        "{ targetRefs: [{ kind: Service, name: db }], mtls: { mode: STRICT, ports: [{ port: 9090, mode: DISABLE }] } }",
      ),
    [db, web],
  );

  test("a policy for one of its services goes before the mesh's, and of two the older", () => {
    assert.equal(modeOf(state, db, 9090), "STRICT");
    assert.equal(modeOf(state, db, 5432), "STRICT");
    assert.equal(modeOf(state, db, null), "STRICT");
  });

  test("elsewhere the mesh's port goes before the mesh's mode", () => {
    assert.equal(modeOf(state, web, 9090), "DISABLE");
    assert.equal(modeOf(state, web, 8080), "PERMISSIVE");
    assert.equal(modeOf(state, web, null), "PERMISSIVE");
  });

  test("is STRICT where nobody says anything", () => {
    assert.equal(modeOf(stateOf(""), web, 8080), "STRICT");
  });

  test("two policies that claim the same are told", () => {
    assert.deepEqual(
      state.findings.map(({ key, message }) => `${key}: ${message}`),
      [
        "MeshPolicy/default/late: the mode of port 9090 for Service default/db is already set by MeshPolicy/default/db (test.yaml:12)",
      ],
    );
  });

  test("ports that something is said of are known", () => {
    const definitionOf = (service: string) => state.services.get(service)?.definition;
    assert.deepEqual(mtlsPorts(state.mtls, definitionOf, web), [1, 9090]);
  });
});

describe("a policy for a namespace", () => {
  const inNamespace = (namespace: string, name: string, spec: string): string =>
    policy(name, spec).replace("{ name:", `{ namespace: ${namespace}, name:`);
  const shop = { ...intercepted("web"), namespace: "shop" };
  const bank = { ...intercepted("web"), namespace: "bank" };
  const own = "targetRefs: [{ kind: Namespace, name: shop }]";
  const manifests =
    policy("mesh", "{ mtls: { mode: PERMISSIVE, ports: [{ port: 9090, mode: DISABLE }] } }") +
    inNamespace("shop", "whole", `{ ${own}, mtls: { mode: STRICT } }`);
  const state = stateOf(manifests, [shop, bank]);

  test("goes before the mesh's, its mode before the mesh's ports", () => {
    assert.deepEqual([modeOf(state, shop, 8080), modeOf(state, shop, 9090)], ["STRICT", "STRICT"]);
    assert.deepEqual([modeOf(state, bank, 8080), modeOf(state, bank, 9090)], ["PERMISSIVE", "DISABLE"]);
    assert.deepEqual(state.findings, []);
  });

  test("goes behind one for a Service in it", () => {
    const service = serviceYaml("web", 8080).replace("{ name: web", "{ namespace: shop, name: web");
    const one = inNamespace("shop", "one", "{ targetRefs: [{ kind: Service, name: web }], mtls: { mode: DISABLE } }");
    assert.equal(modeOf(stateOf(manifests + service + one, [shop]), shop, 8080), "DISABLE");
  });

  test("is refused for another namespace, and beside an older one that says the same", () => {
    const later =
      inNamespace("bank", "foreign", `{ ${own}, mtls: { mode: DISABLE } }`) +
      inNamespace("shop", "late", `{ ${own}, mtls: { mode: DISABLE } }`);
    const { findings, mtls } = stateOf(manifests + later);
    assert.deepEqual(
      findings.map(({ key, message, failure }) => [key, message.replace(/ \(.*\)/, ""), failure?.reason]),
      [
        [
          "MeshPolicy/bank/foreign",
          "targets Namespace shop, but a policy is for its own namespace, which is bank",
          "Invalid",
        ],
        ["MeshPolicy/shop/late", "the mode for Namespace shop is already set by MeshPolicy/shop/whole", "Conflicted"],
      ],
    );
    assert.deepEqual(
      mtls.namespaces.map(({ namespace, mode }) => `${namespace} ${mode}`),
      ["shop STRICT", "shop DISABLE"],
    );
  });

  test("is the only kind that namespaces other than the mesh's own may have, where that one is known", () => {
    const objects = objectsOf(
      inNamespace("shop", "early", "{ mtls: { mode: DISABLE } }") +
        inNamespace("system", "mesh", "{ mtls: { mode: PERMISSIVE } }"),
    );
    const { mtls, findings } = buildState({
      trustDomain: "cluster.local",
      objects,
      registrations: [],
      meshNamespace: "system",
    });
    assert.equal(mtls.mesh.mode, "PERMISSIVE");
    assert.deepEqual(
      findings.map(({ key, message, failure }) => [key, message, failure?.reason]),
      [
        [
          "MeshPolicy/shop/early",
          "without targetRefs it is for the whole mesh, and must be in namespace system: for this namespace write targetRefs: [{ kind: Namespace, name: shop }]",
          "Invalid",
        ],
      ],
    );
  });
});

test("a target that does not exist is told", () => {
  const { findings } = stateOf(policy("p", "{ targetRefs: [{ kind: Service, name: x }], mtls: { mode: STRICT } }"));
  assert.deepEqual(
    findings.map(({ message }) => message),
    ["targets Service default/x, which does not exist"],
  );
});

test("peers of a port without mutual TLS are called in plaintext, those of others are not", () => {
  const state = stateOf(
    serviceYaml("db", 5432) +
      serviceYaml("web", 8080) +
      policy("mesh", "{ mtls: { ports: [{ port: 5432, mode: DISABLE }] } }"),
    [intercepted("db"), workload("web")],
  );
  const db = state.services.get("default/db");
  const web = state.services.get("default/web");
  assert.equal(db?.peers.plaintext, true);
  assert.deepEqual(
    db?.endpoints.get(5432)?.map(({ mtls }) => mtls),
    [false],
  );
  assert.equal(web?.peers.plaintext, false);
  assert.deepEqual(
    web?.endpoints.get(8080)?.map(({ mtls }) => mtls),
    [true],
  );
});
