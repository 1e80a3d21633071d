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
  const shadowed =
    "rule r is never reached at Service default/stock: HTTPRoute/default/all (test.yaml:7) has the same matches";
  assert.deepEqual(findings, [
    `HTTPRoute/default/number: ${shadowed}`,
    `HTTPRoute/default/name: ${shadowed}`,
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
    "HTTPRoute/default/old: port 80 of Service default/stock is routed by GRPCRoute/default/grpc (test.yaml:12): a port has routes of one kind, the first of GRPCRoute, HTTPRoute, TLSRoute, TCPRoute",
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

const PORTS = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { ports: [{ name: tcp, port: 1 }, { name: tls, port: 2 }, { name: http, port: 3 }, { name: any, port: 4 }] }
`;

/** A route of connections, or of calls, at the Service above. */
function at(
  kind: string,
  name: string,
  { parent = "", spec = "", rules = "[{ backendRefs: [{ name: db, port: 1 }] }]" } = {},
): string {
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name} }
spec: { parentRefs: [{ kind: Service, name: db${parent} }], ${spec}rules: ${rules} }
`;
}

function connections(...routes: readonly string[]) {
  const objects = objectsOf(PORTS + routes.join(""));
  const { services, findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  const db = services.get("default/db");
  return {
    http: (db?.routing.rules ?? []).map(({ name, ports }) => `${name} ${ports.join(",")}`),
    rules: (db?.opaque.rules ?? []).map(({ kind, name, port, serverNames, backends }) =>
      [kind, name, port, ...serverNames, "→", ...backends.map(({ cluster, weight }) => `${weight}×${cluster}`)].join(
        " ",
      ),
    ),
    findings: findings.map(({ key, message }) => `${key}: ${message}`),
  };
}

test("a route of connections is for the ports that may carry bytes, one of calls for the others", () => {
  const all = connections(at("TCPRoute", "t", { rules: "[{ name: r, backendRefs: [{ name: db, port: 1 }] }]" }));
  assert.deepEqual(
    all.rules,
    [1, 2, 4].map((port) => `TCPRoute default/t/r ${port} → 1×outbound|1||db.default`),
  );
  assert.deepEqual(all.findings, []);
  const calls = connections(at("HTTPRoute", "h", { rules: "[{}]" }));
  assert.deepEqual(calls, { http: ["default/h/0 3,4"], rules: [], findings: [] });
});

test("a port that is named and can't have the route is told", () => {
  const { http, rules, findings } = connections(
    at("TCPRoute", "t", { parent: ", port: 3" }),
    at("GRPCRoute", "g", { parent: ", port: 1", rules: "[{}]" }),
  );
  assert.deepEqual([http, rules], [[], []]);
  assert.deepEqual(findings, [
    "GRPCRoute/default/g: port 1 of Service default/db is declared as bytes (tcp), whose calls nobody sees: this GRPCRoute has no effect there",
    "TCPRoute/default/t: port 3 of Service default/db is declared as HTTP (http1), and a TCPRoute leads bytes: this TCPRoute has no effect there",
  ]);
});

test("a backend that is no port of bytes closes its share of connections", () => {
  const backends = "[{ name: db, port: 3, weight: 2 }, { name: gone, port: 1 }, { name: db, port: 2, weight: 0 }]";
  const { rules, findings } = connections(
    at("TCPRoute", "t", { parent: ", port: 1", rules: `[{ backendRefs: ${backends} }, {}]` }),
  );
  assert.deepEqual(rules, ["TCPRoute default/t/0 1 → 2×unresolved|3||db.default 1×unresolved|1||gone.default"]);
  assert.deepEqual(findings, [
    "TCPRoute/default/t: only the first rule is in force: nothing tells its connections from those of others",
    "TCPRoute/default/t: port 3 of backend Service default/db is declared as HTTP (http1), and a TCPRoute leads bytes: its share of connections is closed",
    "TCPRoute/default/t: backend Service default/gone does not exist: its share of connections is closed",
  ]);
});

test("of two TCPRoutes of a port the older holds, of two TLSRoutes the older has the names of both", () => {
  const { rules, findings } = connections(
    at("TLSRoute", "one", { parent: ", port: 2", spec: "hostnames: [a.example, '*.b.example'], " }),
    at("TLSRoute", "two", { spec: "hostnames: [a.example, c.example], " }),
    at("TLSRoute", "rest", { parent: ", port: 2" }),
    at("TLSRoute", "again", { parent: ", port: 2" }),
    at("TCPRoute", "other", { parent: ", port: 2" }),
  );
  const to = "→ 1×outbound|1||db.default";
  assert.deepEqual(rules, [
    `TLSRoute default/one/0 2 a.example *.b.example ${to}`,
    `TLSRoute default/two/0 1 a.example c.example ${to}`,
    `TLSRoute default/two/0 2 c.example ${to}`,
    `TLSRoute default/two/0 4 a.example c.example ${to}`,
    `TLSRoute default/rest/0 2 * ${to}`,
  ]);
  assert.deepEqual(findings, [
    "TLSRoute/default/two: connections to a.example are led by TLSRoute/default/one (test.yaml:7) already",
    "TLSRoute/default/again: connections to any other name are led by TLSRoute/default/rest (test.yaml:17) already",
    "TLSRoute/default/again: older routes have all its names at Service default/db",
    "TCPRoute/default/other: port 2 of Service default/db is routed by TLSRoute/default/one (test.yaml:7): a port has routes of one kind, the first of GRPCRoute, HTTPRoute, TLSRoute, TCPRoute",
  ]);
  const tcp = connections(at("TCPRoute", "a", { parent: ", port: 1" }), at("TCPRoute", "b", { parent: ", port: 1" }));
  assert.deepEqual(tcp.rules, [`TCPRoute default/a/0 1 ${to}`]);
  assert.deepEqual(tcp.findings, [
    "TCPRoute/default/b: port 1 of Service default/db is routed by TCPRoute/default/a (test.yaml:7): nothing tells the connections of two TCPRoutes apart",
  ]);
});
