/** Two routes that claim the same: the older wins, and the other one's findings say so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { objectsOf } from "../testing/workloads.ts";
import { buildState } from "./build.ts";

const SERVICES = ["stock", "orders"]
  .map(
    (name) => `---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { ports: [{ name: web, port: 80 }, { name: admin, port: 90 }] }
`,
  )
  .join("");

interface Parts {
  readonly kind?: "HTTPRoute" | "GRPCRoute";
  readonly namespace?: string;
  /** A year. */
  readonly born: number;
  readonly parents?: string;
  readonly rules: string;
}

const PORT_80 = "[{ kind: Service, name: stock, namespace: default, port: 80 }]";

function route(
  name: string,
  { kind = "HTTPRoute", namespace = "default", born, parents = PORT_80, rules }: Parts,
): string {
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}-01-01T00:00:00Z" }
spec: { parentRefs: ${parents}, rules: ${rules} }
`;
}

/** What is found, each with the parent that it fails at. */
function found(...routes: readonly string[]): readonly string[] {
  const objects = objectsOf(SERVICES + routes.join(""));
  const { findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  return findings.map(({ key, message, failure }) => {
    return `${key.split("/").at(-1)}: ${message}${failure ? ` [${failure.reason} ${failure.ref}]` : ""}`;
  });
}

const path = (...values: readonly string[]) =>
  `{ matches: [${values.map((value) => `{ path: { type: Exact, value: "${value}" } }`).join(", ")}] }`;

test("of two with the same matches the younger is in conflict, whichever is read first", () => {
  const rules = `[${path("/a")}]`;
  assert.deepEqual(found(route("young", { born: 2025, rules }), route("old", { born: 2020, rules })), [
    "young: rule 0 is never reached at Service default/stock: HTTPRoute/default/old (test.yaml:17) has the same matches [Conflicted 0]",
  ]);
});

test("one that has something left is told what it has lost", () => {
  const old = route("old", { born: 2020, rules: `[${path("/a", "/b")}]` });
  const rules = `[${path("/a")}, ${path("/b", "/c")}, ${path("/d")}]`;
  const by = "at Service default/stock: HTTPRoute/default/old (test.yaml:12) has the same matches";
  assert.deepEqual(found(old, route("young", { born: 2025, rules })), [
    `young: rule 0 is never reached ${by}`,
    `young: some requests never reach rule 1 ${by}`,
  ]);
});

test("a parent where all is lost fails alone", () => {
  const rules = `[${path("/a")}]`;
  const parents = "[{ kind: Service, name: orders }, { kind: Service, name: stock, port: 80 }]";
  assert.deepEqual(found(route("old", { born: 2020, rules }), route("young", { born: 2025, rules, parents })), [
    "young: rule 0 is never reached at Service default/stock: HTTPRoute/default/old (test.yaml:12) has the same matches [Conflicted 1]",
  ]);
});

test("other matches, ports and callers are no conflict, nor is a route with itself", () => {
  const rules = `[${path("/a")}]`;
  const header = `[{ matches: [{ path: { type: Exact, value: /a }, headers: [{ name: x, value: y }] }] }]`;
  const port90 = "[{ kind: Service, name: stock, port: 90 }]";
  const twice = "[{ kind: Service, name: orders }, { kind: Service, name: orders, port: 80 }]";
  assert.deepEqual(
    found(
      route("old", { born: 2020, rules }),
      route("header", { born: 2021, rules: header }),
      route("port", { born: 2022, rules, parents: port90 }),
      route("consumer", { born: 2023, rules, namespace: "other" }),
      route("twice", { born: 2024, rules: `[${path("/a")}, ${path("/a")}]`, parents: twice }),
    ),
    [],
  );
});

test("of GRPCRoutes with the same method the older wins", () => {
  const rules = "[{ matches: [{ method: { service: a.B, method: C } }] }]";
  const of = (name: string, born: number): string => route(name, { kind: "GRPCRoute", born, rules });
  assert.deepEqual(found(of("old", 2020), of("young", 2025)), [
    "young: rule 0 is never reached at Service default/stock: GRPCRoute/default/old (test.yaml:12) has the same matches [Conflicted 0]",
  ]);
});
