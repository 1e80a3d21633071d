import assert from "node:assert/strict";
import { test } from "node:test";
import { objectsOf } from "../testing/workloads.ts";
import { buildState } from "./build.ts";

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: stock }
spec: { ports: [{ name: web, port: 80 }, { name: admin, port: 90 }] }
`;

interface Parts {
  readonly kind?: "HTTPRoute" | "GRPCRoute";
  readonly namespace?: string;
  readonly born?: string;
  /** Beside the parent's kind and name. */
  readonly parent?: string;
}

function route(name: string, { kind = "HTTPRoute", namespace = "default", born, parent = "" }: Parts = {}): string {
  const time = born === undefined ? "" : `, creationTimestamp: "${born}"`;
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace}${time} }
spec: { parentRefs: [{ kind: Service, name: stock, namespace: default${parent} }], rules: [{ name: r }] }
`;
}

function attached(...routes: readonly string[]) {
  const objects = objectsOf(SERVICE + routes.join(""));
  const { services, findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  const rules = services.get("default/stock")?.routing.rules ?? [];
  return {
    rules: rules.map(({ name, ports }) => `${name} ${ports.join(",")}`),
    findings: findings.map(({ key, message }) => `${key}: ${message}`),
  };
}

test("a route is for the ports that its parent names, by number, by name, or all", () => {
  const { rules, findings } = attached(
    route("all"),
    route("number", { parent: ", port: 90" }),
    route("name", { parent: ", sectionName: web" }),
    route("neither", { parent: ", sectionName: web, port: 90" }),
  );
  assert.deepEqual(rules, ["default/all/r 80,90", "default/number/r 90", "default/name/r 80"]);
  assert.deepEqual(findings, [
    'HTTPRoute/default/neither: port 90 of parent Service default/stock is not the one named "web"',
  ]);
});

test("a GRPCRoute takes its port from an HTTPRoute, however old, and leaves it the others", () => {
  const { rules, findings } = attached(
    route("old", { born: "2020-01-01T00:00:00Z" }),
    route("grpc", { kind: "GRPCRoute", born: "2025-01-01T00:00:00Z", parent: ", port: 80" }),
  );
  assert.deepEqual(rules, ["default/grpc/r 80", "default/old/r 90"]);
  assert.deepEqual(findings, [
    "HTTPRoute/default/old: port 80 of Service default/stock is routed by GRPCRoute/default/grpc (test.yaml:12): a port has routes of one kind, and GRPCRoute goes before HTTPRoute",
  ]);
});

test("routes of a caller's namespace are apart from the producer's", () => {
  const { rules, findings } = attached(route("producer"), route("own", { kind: "GRPCRoute", namespace: "tools" }));
  assert.deepEqual(rules, ["tools/own/r 80,90", "default/producer/r 80,90"]);
  assert.deepEqual(findings, []);
});

test("older routes come first, of equals the first by name; without times the files' order holds", () => {
  const times = ["2025-01-02T00:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"] as const;
  const timed = ["c", "b", "a"].map((name, index) => route(name, { born: times[index] ?? "" }));
  assert.deepEqual(
    attached(...timed).rules.map((rule) => rule.slice(8, 9)),
    ["a", "b", "c"],
  );
  assert.deepEqual(
    attached(route("z"), route("y")).rules.map((rule) => rule.slice(8, 9)),
    ["z", "y"],
  );
});
