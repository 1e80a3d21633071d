/** What a sidecar is told of that asks for what it calls: at its start, by use, and after that. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeResource, type ResourceKind } from "../xds/resources.ts";
import { ResourceCache } from "./cache.ts";
import type { CacheChange } from "./cache-change.ts";
import { Mesh } from "./mesh/mesh.ts";
import type { Workload } from "./mesh/workload.ts";
import { intercepted, objectsOf, workload } from "./testing/workloads.ts";
import { serviceOfResource } from "./translate/names.ts";

const POLICY = `---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh, namespace: outrigger-system }
spec: { reach: { mode: OnDemand } }
`;

const service = (key: string, address: string, ports = "[{ name: http, port: 80 }]"): string => {
  const [namespace, name] = key.split("/");
  const ip = address === "" ? "" : `clusterIP: ${address}, `;
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ${ip}ports: ${ports} }\n`;
};

const slice = (key: string, address: string): string => {
  const [namespace, name] = key.split("/");
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [{ addresses: ["${address}"] }]
ports: [{ name: http, port: 8080 }]
`;
};

const MESH = [
  service("shop/cart", "10.96.0.1"),
  service("shop/orders", "10.96.0.2"),
  service("bank/pay", "10.96.0.3", "[{ name: http, port: 80 }, { name: tcp-ledger, port: 9000 }]"),
  slice("bank/pay", "10.1.0.3"),
  service("logs/sink", "10.96.0.4"),
].join("");

class World {
  readonly mesh = new Mesh("cluster.local");
  readonly cache: ResourceCache;
  touched: string[] = [];

  constructor(manifests = POLICY + MESH) {
    this.mesh.setManifests(objectsOf(manifests));
    this.cache = new ResourceCache(encodeResource, this.mesh.state);
    this.cache.subscribe((change) => this.touched.push(...namesOf(change)));
  }

  apply(manifests: string): void {
    this.mesh.setManifests(objectsOf(manifests));
    this.cache.update(this.mesh.state);
  }

  add(of: Workload): string {
    this.cache.addNode(of);
    this.touched = [];
    return of.id;
  }

  /** Services whose resources of a kind a sidecar is told of. */
  told(id: string, kind: ResourceKind): readonly string[] {
    const names = this.cache.names(id, kind);
    for (const name of names) assert.ok(this.cache.lookup(id, kind, name), `${kind} ${name}`);
    return [...new Set(names.map(serviceOfResource))].filter((key) => key !== null).sort();
  }

  tableOf(id: string, namespace: string): string {
    const bytes = this.cache.lookup(id, "route", `http_proxy.${namespace}`)?.bytes ?? new Uint8Array();
    return Buffer.from(bytes).toString("latin1");
  }
}

function namesOf({ shared, nodes }: CacheChange): readonly string[] {
  const flat = (kinds: CacheChange["shared"], prefix: string): string[] =>
    [...kinds].flatMap(([kind, names]) => [...names].map((name) => `${prefix}${kind} ${name}`));
  return [...flat(shared, ""), ...[...nodes].flatMap(([id, kinds]) => flat(kinds, `${id}: `))].sort();
}

const asking = (name: string, index = 1): Workload => intercepted(name, index, { namespace: "shop", onDemand: true });

describe("with reach OnDemand", () => {
  test("a sidecar is told of its namespace, and of a service once it has asked by an address of it", () => {
    const world = new World();
    const id = world.add(asking("cart"));
    for (const kind of ["cluster", "endpoint", "listener", "route"] as const) {
      assert.deepEqual(world.told(id, kind), ["shop/cart", "shop/orders"], kind);
    }
    assert.equal(world.cache.lookup(id, "listener", "on-demand|10.96.0.3:80")?.name, undefined);
    world.cache.ask(id, "on-demand|10.96.0.3:80");
    assert.deepEqual(world.touched, [
      "cart-1: cluster outbound|80||pay.bank",
      "cart-1: cluster outbound|9000||pay.bank",
      "cart-1: endpoint outbound|80||pay.bank",
      "cart-1: endpoint outbound|9000||pay.bank",
      "cart-1: listener outbound|80||pay.bank",
      "cart-1: listener outbound|9000||pay.bank",
      "cart-1: route pay.bank:80",
      "cart-1: route pay.bank:9000",
    ]);
    for (const kind of ["cluster", "endpoint", "listener", "route"] as const) {
      assert.deepEqual(world.told(id, kind), ["bank/pay", "shop/cart", "shop/orders"], kind);
    }
    assert.equal(world.cache.lookup(id, "listener", "on-demand|10.96.0.3:80")?.name, "outbound|80||pay.bank");
    assert.equal(world.cache.lookup(id, "listener", "on-demand|10.96.0.3:9000")?.name, "outbound|9000||pay.bank");
    world.touched = [];
    world.cache.ask(id, "on-demand|10.96.0.3:9000");
    assert.deepEqual(world.touched, []);
  });

  test("an endpoint's own address is its service's", () => {
    const world = new World();
    const id = world.add(asking("cart"));
    world.cache.ask(id, "on-demand|10.1.0.3:8080");
    assert.equal(world.cache.lookup(id, "listener", "on-demand|10.1.0.3:8080")?.name, "outbound|80||pay.bank");
  });

  test("what does not exist widens nothing", () => {
    const world = new World();
    const id = world.add(asking("cart"));
    for (const place of [
      "10.96.0.9:80",
      "10.96.0.3:81",
      "10.1.0.3:80",
      "pay",
      "pay.nowhere",
      "",
      "[::1]:80",
      "pay.bank.x",
    ]) {
      world.cache.ask(id, `on-demand|${place}`);
      assert.equal(world.cache.lookup(id, "listener", `on-demand|${place}`), undefined, place);
    }
    world.cache.ask(id, "outbound|80||pay.bank");
    assert.deepEqual(world.touched, []);
    assert.deepEqual(world.told(id, "cluster"), ["shop/cart", "shop/orders"]);
  });

  test("a name that was asked for in vain is told of when there is such a service, or endpoint", () => {
    const world = new World();
    const id = world.add(asking("cart"));
    world.cache.ask(id, "on-demand|10.96.0.9:80");
    world.cache.ask(id, "on-demand|10.1.0.9:8080");
    world.apply(POLICY + MESH + service("bank/new", "10.96.0.9"));
    assert.ok(world.touched.includes("cart-1: listener on-demand|10.96.0.9:80"));
    assert.equal(world.cache.lookup(id, "listener", "on-demand|10.96.0.9:80")?.name, "outbound|80||new.bank");
    assert.deepEqual(world.told(id, "cluster"), ["bank/new", "shop/cart", "shop/orders"]);
    world.touched = [];
    world.apply(POLICY + MESH + service("bank/new", "10.96.0.9") + slice("logs/sink", "10.1.0.9"));
    assert.ok(world.touched.includes("cart-1: listener on-demand|10.1.0.9:8080"));
    assert.deepEqual(world.told(id, "cluster"), ["bank/new", "logs/sink", "shop/cart", "shop/orders"]);
    // Nobody asks any more: nobody is told.
    world.cache.unask(id, "on-demand|10.96.0.9:80");
    world.touched = [];
    world.apply(POLICY + MESH + service("bank/other", "10.96.0.9"));
    assert.equal(world.touched.includes("cart-1: listener on-demand|10.96.0.9:80"), false);
  });

  test("what one sidecar of a workload uses the others are told of, those of today and of later", () => {
    const world = new World();
    const first = world.add(asking("cart"));
    const second = world.add(asking("cart", 2));
    const other = world.add(asking("orders"));
    world.cache.ask(first, "on-demand|10.96.0.4:80");
    assert.deepEqual(world.told(second, "cluster"), ["logs/sink", "shop/cart", "shop/orders"]);
    assert.deepEqual(world.told(other, "cluster"), ["shop/cart", "shop/orders"]);
    for (const id of [first, second]) world.cache.removeNode(id);
    const later = world.add(asking("cart", 3));
    assert.deepEqual(world.told(later, "listener"), ["logs/sink", "shop/cart", "shop/orders"]);
  });

  test("what a sidecar holds that comes back it has used, unless it was told of everything", () => {
    const world = new World();
    const id = world.add(asking("cart"));
    world.cache.keep(id, [
      "outbound|80||sink.logs",
      "outbound|80||gone.logs",
      "outbound|80||orders.shop",
      "virtualOutbound",
    ]);
    assert.deepEqual(world.told(id, "listener"), ["logs/sink", "shop/cart", "shop/orders"]);
    const many = Array.from({ length: 300 }, (_, i) => service(`many/m-${i}`, `10.97.${i >> 8}.${i & 255}`)).join("");
    const big = new World(POLICY + MESH + many);
    const other = big.add(asking("cart"));
    const all = [...big.mesh.state.services.keys()].map((key) => `outbound|80||${key.split("/").reverse().join(".")}`);
    big.cache.keep(other, all);
    assert.deepEqual(big.told(other, "cluster"), ["shop/cart", "shop/orders"]);
    big.cache.keep(other, all.slice(0, 150));
    assert.ok(big.told(other, "cluster").length > 140);
  });

  test("those that don't ask are told of everything, and nobody is held where the mesh does not say so", () => {
    const world = new World();
    const envoy = world.add(intercepted("cart", 7, { namespace: "shop" }));
    assert.deepEqual(world.told(envoy, "cluster"), ["bank/pay", "logs/sink", "shop/cart", "shop/orders"]);
    const id = world.add(asking("cart"));
    const virtual = (of: string): string =>
      Buffer.from(world.cache.lookup(of, "listener", "virtualOutbound")?.bytes ?? []).toString("latin1");
    assert.equal(virtual(envoy).includes("on_demand"), false);
    assert.equal(virtual(id).includes("on_demand"), true);
    world.apply(MESH);
    assert.equal(virtual(id).includes("on_demand"), false);
    assert.deepEqual(world.told(id, "cluster"), ["bank/pay", "logs/sink", "shop/cart", "shop/orders"]);
    assert.ok(world.touched.includes("cart-1: listener outbound|80||sink.logs"));
    world.apply(POLICY + MESH);
    assert.deepEqual(world.told(id, "cluster"), ["shop/cart", "shop/orders"]);
  });

  test("backends of what is told come with it, without their listeners", () => {
    const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ backendRefs: [{ name: pay, namespace: bank, port: 80 }] }]
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: shop, namespace: bank }
spec:
  from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop }]
  to: [{ group: "", kind: Service }]
`;
    const world = new World(POLICY + MESH + route);
    const id = world.add(asking("cart"));
    assert.deepEqual(world.told(id, "cluster"), ["bank/pay", "shop/cart", "shop/orders"]);
    assert.deepEqual(world.told(id, "endpoint"), ["bank/pay", "shop/cart", "shop/orders"]);
    assert.deepEqual(world.told(id, "listener"), ["shop/cart", "shop/orders"]);
    assert.equal(world.cache.lookup(id, "cluster", "outbound|9000||pay.bank"), undefined);
    world.apply(POLICY + MESH);
    assert.deepEqual(world.told(id, "cluster"), ["shop/cart", "shop/orders"]);
  });
});

describe("without interception", () => {
  const proxied = (name: string, index = 1): Workload => workload(name, index, { namespace: "shop", onDemand: true });

  test("routes for http_proxy are those of what is told, found by each of a host's names", () => {
    const world = new World();
    const id = world.add(proxied("cart"));
    assert.equal(world.tableOf(id, "shop").includes("orders.shop.svc"), true);
    assert.equal(world.tableOf(id, "shop").includes("pay.bank"), false);
    const hosts = [
      "pay.bank",
      "pay.bank:80",
      "pay.bank.svc",
      "pay.bank.svc.cluster.local",
      "pay.bank.svc.cluster.local.:80",
    ];
    for (const host of hosts) {
      world.cache.ask(id, `on-demand|${host}`);
      assert.equal(world.cache.lookup(id, "listener", `on-demand|${host}`)?.name, "http_proxy", host);
    }
    assert.equal(world.tableOf(id, "shop").includes("pay.bank.svc"), true);
    assert.ok(world.touched.includes("cart-1: route http_proxy.shop"));
    assert.equal(world.cache.lookup(id, "listener", "on-demand|orders")?.name, "http_proxy");
    assert.equal(world.cache.lookup(id, "listener", "on-demand|pay"), undefined);
  });

  test("those that are told of everything keep their namespace's table", () => {
    const world = new World();
    const all = world.add(workload("cart", 2, { namespace: "shop" }));
    const id = world.add(proxied("cart"));
    assert.equal(world.tableOf(all, "shop").includes("pay.bank"), true);
    assert.equal(world.tableOf(id, "shop").includes("pay.bank"), false);
    world.apply(MESH);
    assert.equal(world.tableOf(id, "shop").includes("pay.bank"), true);
    world.apply(POLICY + MESH);
    assert.equal(world.tableOf(id, "shop").includes("pay.bank"), false);
    assert.equal(world.tableOf(all, "shop").includes("pay.bank"), true);
    world.cache.removeNode(all);
    assert.equal(world.cache.names("nobody", "route").includes("http_proxy.shop"), false);
  });
});
