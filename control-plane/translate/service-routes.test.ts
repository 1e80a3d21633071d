import assert from "node:assert/strict";
import { test } from "node:test";
import { buildState } from "../mesh/build.ts";
import { objectsOf, serviceYaml } from "../testing/workloads.ts";
import { serviceRoutes } from "./service-routes.ts";

test("shares of mirrors are carried as they are given, those that Envoy has no denominator for in millionths", () => {
  const mirror = (name: string, share: string) =>
    `{ type: RequestMirror, requestMirror: { backendRef: { name: ${name}, port: 80 }${share} } }`;
  const filters = [
    mirror("a", ""),
    mirror("b", ", percent: 7"),
    mirror("b", ", fraction: { numerator: 3 }"),
    mirror("b", ", fraction: { numerator: 3, denominator: 10000 }"),
    mirror("b", ", fraction: { numerator: 5, denominator: 1000 }"),
    mirror("b", ", fraction: { numerator: 1, denominator: 3 }"),
    mirror("b", ", fraction: { numerator: 2147483647, denominator: 2147483647 }"),
    mirror("gone", ""),
  ].join(", ");
  const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r }
spec: { parentRefs: [{ kind: Service, name: a }], rules: [{ filters: [${filters}], backendRefs: [{ name: a, port: 80 }] }] }
`;
  const objects = objectsOf(serviceYaml("a") + serviceYaml("b") + route);
  const state = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  const service = state.services.get("default/a");
  assert.ok(service);
  const actions = serviceRoutes(service, 80, null).flatMap(({ action }) => (action.kind === "forward" ? [action] : []));
  assert.ok(actions.length > 0);
  for (const { requestMirrors } of actions) {
    assert.deepEqual(
      requestMirrors.map(({ cluster, fraction }) => [
        cluster.split("|").at(-1),
        fraction && `${fraction.numerator}/${fraction.denominator}`,
      ]),
      [
        ["a.default", null],
        ["b.default", "7/100"],
        ["b.default", "3/100"],
        ["b.default", "3/10000"],
        ["b.default", "5000/1000000"],
        ["b.default", "333333/1000000"],
        ["b.default", "1000000/1000000"],
      ],
    );
  }
});
