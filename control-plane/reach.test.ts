import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeResource } from "../xds/resources.ts";
import { ResourceCache } from "./cache.ts";
import type { CacheChange } from "./cache-change.ts";
import { NO_MANIFESTS } from "./manifest/merge.ts";
import { Mesh } from "./mesh/mesh.ts";
import { intercepted, objectsOf } from "./testing/workloads.ts";
import { serviceOfResource } from "./translate/names.ts";

const SERVICES = ["shop/cart", "shop/orders", "bank/pay", "logs/sink"];

const manifests = SERVICES.map((key) => {
  const [namespace, name] = key.split("/");
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: [{ name: http, port: 80 }] }\n`;
}).join("");

const namespaceOfResource = (name: string): string | null => serviceOfResource(name)?.split("/")[0] ?? null;

function open() {
  const mesh = new Mesh("cluster.local");
  const cache = new ResourceCache(encodeResource, mesh.state);
  const objects = objectsOf(manifests);
  let revision = 0;
  const reach = (told: Readonly<Record<string, readonly string[]>>): void => {
    const sets = new Map(Object.entries(told).map(([namespace, names]) => [namespace, new Set(names)]));
    const cluster = { pods: new Map(), zones: new Map(), serviceAccounts: new Set<string>(), reach: sets };
    mesh.apply({ revision: ++revision, manifests: { ...NO_MANIFESTS, objects }, cluster, change: null });
    cache.update(mesh.state);
  };
  reach({});
  cache.addNode(intercepted("cart", 1, { namespace: "shop", pod: "cart-1" }));
  cache.addNode(intercepted("sink", 1, { namespace: "logs", pod: "sink-1" }));
  const told = (id: string): Readonly<Record<string, readonly (string | null)[]>> =>
    Object.fromEntries(
      (["cluster", "endpoint", "listener", "route"] as const).map((kind) => {
        const names = cache.names(id, kind);
        assert.ok(names.every((name) => cache.lookup(id, kind, name)));
        return [kind, [...new Set(names.map(namespaceOfResource))].filter((of) => of !== null).sort()];
      }),
    );
  return { cache, reach, told };
}

const kinds = (namespaces: readonly string[]) => ({
  cluster: namespaces,
  endpoint: namespaces,
  listener: namespaces,
  route: namespaces,
});

test("sidecars are told of what their namespace reaches, others of all", () => {
  const { cache, reach, told } = open();
  assert.deepEqual(told("cart-1"), kinds(["bank", "logs", "shop"]));
  const own = cache.names("cart-1", "cluster").filter((name) => namespaceOfResource(name) === null);
  reach({ shop: ["bank"] });
  assert.deepEqual(told("cart-1"), kinds(["bank", "shop"]));
  assert.deepEqual(told("sink-1"), kinds(["bank", "logs", "shop"]));
  assert.equal(cache.lookup("cart-1", "cluster", "outbound|80||sink.logs"), undefined);
  assert.deepEqual(
    cache.names("cart-1", "cluster").filter((name) => namespaceOfResource(name) === null),
    own,
  );
  reach({ shop: [] });
  assert.deepEqual(told("cart-1"), kinds(["shop"]));
});

test("a change of what is reached touches what comes and goes, for those whom it concerns", () => {
  const { cache, reach } = open();
  const changes: CacheChange[] = [];
  cache.subscribe((change) => changes.push(change));
  reach({ shop: ["bank"] });
  reach({ shop: ["bank"] });
  reach({});
  const touched = ["cluster", "endpoint", "listener"].map(
    (kind) => [kind, new Set(["outbound|80||sink.logs"])] as const,
  );
  const both = new Map([...touched, ["route", new Set(["sink.logs:80"])] as const]);
  assert.deepEqual(
    changes.map(({ nodes, shared }) => [nodes, shared]),
    [
      [new Map([["cart-1", both]]), new Map()],
      [new Map([["cart-1", both]]), new Map()],
    ],
  );
});

test("the service of a resource is in its name, if it has one", () => {
  const names = {
    "outbound|80||stock.default": "default/stock",
    "stock.default:80": "default/stock",
    "stock.default:80@shop": "default/stock",
    "stock.default": null,
    "on-demand|stock.default:80": null,
    "inbound|8080||": null,
    "http_proxy.default": null,
    PassthroughCluster: null,
    virtualOutbound: null,
  };
  for (const [name, service] of Object.entries(names)) assert.equal(serviceOfResource(name), service, name);
});
