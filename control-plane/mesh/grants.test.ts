import assert from "node:assert/strict";
import { test } from "node:test";
import { objectsOf } from "../testing/workloads.ts";
import { buildState } from "./build.ts";
import { grantsOf } from "./grants.ts";

const GATEWAY = "gateway.networking.k8s.io";

function grant(name: string, from: string, to: string, namespace = "stock"): string {
  return `---
apiVersion: ${GATEWAY}/v1beta1
kind: ReferenceGrant
metadata: { name: ${name}, namespace: ${namespace} }
spec: { from: [{ group: ${GATEWAY}, ${from} }], to: [${to}] }
`;
}

const ANY_SERVICE = '{ group: "", kind: Service }';
const ONE_SERVICE = '{ group: "", kind: Service, name: v2 }';
const FROM_SHOP = "kind: HTTPRoute, namespace: shop";

test("a grant is for one kind of route of one namespace, and for the Services that it names, or all", () => {
  const permits = grantsOf(
    objectsOf(grant("a", FROM_SHOP, ONE_SERVICE) + grant("b", FROM_SHOP, ANY_SERVICE, "all")).values(),
  );
  const may = (kind: string, namespace: string, to: string): boolean => {
    const [at = "", name = ""] = to.split("/");
    return permits({ kind, namespace, service: { namespace: at, name } });
  };
  assert.equal(may("HTTPRoute", "shop", "stock/v2"), true);
  assert.equal(may("HTTPRoute", "shop", "stock/v1"), false);
  assert.equal(may("GRPCRoute", "shop", "stock/v2"), false);
  assert.equal(may("HTTPRoute", "web", "stock/v2"), false);
  assert.equal(may("HTTPRoute", "shop", "other/v2"), false);
  assert.equal(may("HTTPRoute", "shop", "all/anything"), true);
});

test("grants add up; what they say of other groups and kinds is for others", () => {
  const from = `${FROM_SHOP} }, { group: example.org, kind: GRPCRoute, namespace: shop`;
  const permits = grantsOf(
    objectsOf(
      grant("secrets", from, '{ group: "", kind: Secret }, { group: example.org, kind: Service }') +
        grant("one", FROM_SHOP, ONE_SERVICE) +
        grant("another", FROM_SHOP, '{ group: "", kind: Service, name: v3 }'),
    ).values(),
  );
  const may = (kind: string, name: string) =>
    permits({ kind, namespace: "shop", service: { namespace: "stock", name } });
  assert.deepEqual(
    ["v1", "v2", "v3"].map((name) => may("HTTPRoute", name)),
    [false, true, true],
  );
  assert.equal(may("GRPCRoute", "v2"), false);
});

const SERVICES = ["shop/front", "stock/v1", "stock/v2"]
  .map((key) => {
    const [namespace, name] = key.split("/");
    return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: [{ name: http, port: 80 }] }\n`;
  })
  .join("");

/** A route of `shop` with these backends of `stock`, and a mirror to one. */
function routeTo(parent: string, backends: readonly string[]): string {
  const refs = backends.map((name) => `{ name: ${name}, namespace: stock, port: 80 }`).join(", ");
  const mirror = "{ type: RequestMirror, requestMirror: { backendRef: { name: v2, namespace: stock, port: 80 } } }";
  return `---
apiVersion: ${GATEWAY}/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop }
spec: { parentRefs: [{ kind: Service, ${parent} }], rules: [{ filters: [${mirror}], backendRefs: [${refs}] }] }
`;
}

/** What becomes of its backends: clusters, and what is found. */
function routed(parent: string, backends: readonly string[], grants = "") {
  const objects = objectsOf(SERVICES + routeTo(parent, backends) + grants);
  const { services, findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  const rules = [...services.values()].flatMap(({ routing }) => routing.rules);
  return {
    clusters: rules.flatMap((rule) => [...rule.backends, ...rule.mirrors]),
    findings: findings.map(({ message, failure }) => [failure?.reason, message.split(":")[0]]),
  };
}

test("a route of another namespace needs a grant for its backends and its mirrors", () => {
  const refused = (name: string) => [
    "RefNotPermitted",
    `backend Service stock/${name} is in another namespace, in which no ReferenceGrant is for HTTPRoutes of shop`,
  ];
  const without = routed("name: front", ["v1", "v2"]);
  assert.deepEqual(without.clusters, [null, null, null]);
  assert.deepEqual(without.findings, [refused("v1"), refused("v2")]);
  const one = routed("name: front", ["v1", "v2"], grant("g", FROM_SHOP, ONE_SERVICE));
  assert.deepEqual(one.clusters, [null, "outbound|80||v2.stock", "outbound|80||v2.stock"]);
  assert.deepEqual(one.findings, [refused("v1")]);
  assert.deepEqual(routed("name: front", ["v1", "v2"], grant("g", FROM_SHOP, ANY_SERVICE)).findings, []);
});

test("a consumer's route needs none for the Service that it is for", () => {
  const { clusters, findings } = routed("name: v1, namespace: stock", ["v1", "v2"]);
  assert.deepEqual(clusters, ["outbound|80||v1.stock", null, null]);
  assert.deepEqual(
    findings.map(([reason]) => reason),
    ["RefNotPermitted"],
  );
});

test("that one is a consumer of a Service lets nobody send another Service's calls there", () => {
  const parents = "name: front }, { kind: Service, name: v1, namespace: stock";
  const objects = objectsOf(`${SERVICES}${routeTo(parents, ["v1"])}`);
  const { services, findings } = buildState({ trustDomain: "cluster.local", objects, registrations: [] });
  const backends = (key: string) => services.get(key)?.routing.rules.map((rule) => rule.backends);
  assert.deepEqual(backends("shop/front"), [[null]]);
  assert.deepEqual(backends("stock/v1"), [["outbound|80||v1.stock"]]);
  const refused = findings.filter(({ message }) => message.includes("v1"));
  assert.deepEqual(
    refused.map(({ failure }) => failure),
    [{ condition: "ResolvedRefs", reason: "RefNotPermitted", ref: 0 }],
  );
});
