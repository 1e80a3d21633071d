/** What a change costs, and that the sum of changes is the whole. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeResource, type ResourceKind } from "../xds/resources.ts";
import { ResourceCache } from "./cache.ts";
import type { CacheChange } from "./cache-change.ts";
import { buildState } from "./mesh/build.ts";
import { Mesh } from "./mesh/mesh.ts";
import type { Registration } from "./mesh/workload.ts";
import { RESOURCE_KINDS } from "./resource.ts";
import { intercepted, objectsOf, serviceYaml, workload } from "./testing/workloads.ts";
import { translate } from "./translate/translate.ts";

function registered(service: string, index = 1, parts: Parameters<typeof workload>[2] = {}): Registration {
  return { workload: workload(service, index, parts), servicePort: 8080, serving: true };
}

interface Fixture {
  readonly mesh: Mesh;
  readonly cache: ResourceCache;
  /** What `change` translated, and which names it touched. */
  readonly cost: (change: () => void) => {
    readonly translated: Partial<Record<ResourceKind, number>>;
    readonly touched: readonly string[];
  };
}

function fixture(manifests: string, sidecars = 3): Fixture {
  const mesh = new Mesh("cluster.local");
  mesh.setManifests(objectsOf(manifests));
  const cache = new ResourceCache(encodeResource, mesh.state);
  for (let index = 1; index <= sidecars; index++) {
    const registration = registered("service-0", index);
    mesh.setRegistration(registration.workload.id, registration);
    cache.addNode(registration.workload);
  }
  cache.update(mesh.state);
  return {
    mesh,
    cache,
    cost(change) {
      const before = { ...cache.translated };
      const touched: string[] = [];
      const stop = cache.subscribe((given) => touched.push(...namesOf(given)));
      change();
      cache.update(mesh.state);
      stop();
      const spent = RESOURCE_KINDS.map((kind) => [kind, cache.translated[kind] - before[kind]] as const);
      return { translated: Object.fromEntries(spent.filter(([, count]) => count > 0)), touched };
    },
  };
}

function namesOf({ shared, nodes }: CacheChange): readonly string[] {
  const flat = (kinds: ReadonlyMap<ResourceKind, ReadonlySet<string>>, prefix: string): string[] =>
    [...kinds].flatMap(([kind, names]) => [...names].map((name) => `${prefix}${kind} ${name}`));
  return [...flat(shared, ""), ...[...nodes].flatMap(([id, kinds]) => flat(kinds, `${id}: `))].sort();
}

const THOUSAND = Array.from({ length: 1000 }, (_, i) => serviceYaml(`service-${i}`)).join("");

describe("in a mesh of 1,000 services and three sidecars", () => {
  const big = fixture(THOUSAND);

  test("a new endpoint is one endpoint resource", () => {
    const account = { serviceAccount: "known" };
    big.mesh.setRegistration("service-7-1", registered("service-7", 1, account));
    big.cache.update(big.mesh.state);
    const { translated, touched } = big.cost(() => {
      big.mesh.setRegistration("service-7-2", registered("service-7", 2, account));
    });
    assert.deepEqual(translated, { endpoint: 1 });
    assert.deepEqual(touched, ["endpoint outbound|80||service-7.default"]);
  });

  test("an endpoint that leaves is one endpoint resource", () => {
    const { translated } = big.cost(() => big.mesh.setRegistration("service-7-2", undefined));
    assert.deepEqual(translated, { endpoint: 1 });
  });

  test("a registration that changes nothing costs nothing", () => {
    const revision = big.cache.revision;
    const again = registered("service-0", 1);
    const { translated, touched } = big.cost(() => big.mesh.setRegistration(again.workload.id, again));
    assert.deepEqual([translated, touched, big.cache.revision - revision], [{}, [], 0]);
  });

  test("a timeout is one route table, and one in what http_proxy names", () => {
    const { translated, touched } = big.cost(() => {
      big.mesh.setManifests(
        objectsOf(
          `${THOUSAND}---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: service-9 }], timeouts: { request: 1s } }\n`,
        ),
      );
    });
    // The cluster is translated too, because it names the policy that shaped it.
    assert.deepEqual(translated, { cluster: 1, route: 2 });
    assert.deepEqual(touched, [
      "cluster outbound|80||service-9.default",
      "route http_proxy.default",
      "route service-9.default:80",
    ]);
    big.mesh.setManifests(objectsOf(THOUSAND));
    big.cache.update(big.mesh.state);
  });

  test("a protocol that is declared is the service's cluster and listeners, and its workloads' applications", () => {
    const declared = THOUSAND.replace("port: 80", "port: 80, appProtocol: grpc");
    const { touched } = big.cost(() => big.mesh.setManifests(objectsOf(declared)));
    const own = touched.filter((name) => name.includes("inbound|"));
    assert.equal(own.length, 6, touched.join("\n"));
    assert.ok(touched.includes("cluster outbound|80||service-0.default"));
    assert.ok(touched.length < 20, touched.join("\n"));
    big.mesh.setManifests(objectsOf(THOUSAND));
    big.cache.update(big.mesh.state);
  });

  test("a new service is its own resources, and one listener per sidecar", () => {
    const { translated, touched } = big.cost(() => big.mesh.setManifests(objectsOf(THOUSAND + serviceYaml("zebra"))));
    assert.deepEqual(translated, { cluster: 1, endpoint: 1, listener: 3, route: 2 });
    assert.equal(touched.filter((name) => name.includes("listener outbound|80||zebra.default")).length, 3);
  });

  test("a further sidecar costs its own listeners and nothing that others share", () => {
    const { translated } = big.cost(() => big.cache.addNode(workload("service-0", 9)));
    assert.deepEqual(translated, { cluster: 1, listener: 1003 });
  });
});

describe("in a mesh of 1,000 services and three sidecars with interception", () => {
  const big = fixture("", 0);
  const manifests = THOUSAND + serviceYaml("db", 5432, "postgres");
  big.mesh.setManifests(objectsOf(manifests));
  big.cache.update(big.mesh.state);
  const nodes = [1, 2, 3].map((index) => intercepted(`front-${index}`, index));
  /** What each sidecar would be sent. */
  const fetchAll = (): void => {
    for (const { id } of nodes)
      for (const name of big.cache.names(id, "listener")) big.cache.lookup(id, "listener", name);
  };
  for (const node of nodes) big.cache.addNode(node);
  fetchAll();

  test("a further sidecar costs the listeners that are its own", () => {
    const { translated } = big.cost(() => {
      big.cache.addNode(intercepted("front-1", 9));
      for (const name of big.cache.names("front-1-9", "listener")) big.cache.lookup("front-1-9", "listener", name);
    });
    assert.deepEqual(translated, { listener: 2 });
    assert.equal(big.cache.names("front-1-9", "listener").length, 1003);
    big.cache.removeNode("front-1-9");
  });

  test("none has what only loopback addresses have use for, and the other way round", () => {
    big.cache.addNode(workload("shop", 1));
    const of = (id: string, kind: ResourceKind) => new Set(big.cache.names(id, kind));
    for (const name of ["http_proxy"])
      assert.ok(!of("front-1-1", "listener").has(name) && of("shop-1", "listener").has(name));
    for (const name of ["virtualOutbound", "virtualInbound"]) {
      assert.ok(of("front-1-1", "listener").has(name) && !of("shop-1", "listener").has(name));
    }
    for (const name of ["PassthroughCluster", "InboundPassthroughCluster"]) {
      assert.ok(of("front-1-1", "cluster").has(name) && !of("shop-1", "cluster").has(name));
    }
    assert.ok(!of("front-1-1", "cluster").has("BlackHoleCluster"));
    big.cache.removeNode("shop-1");
  });

  test("a new service is its own resources and one listener for all of them", () => {
    const { translated, touched } = big.cost(() => {
      big.mesh.setManifests(objectsOf(manifests + serviceYaml("zebra")));
      big.cache.update(big.mesh.state);
      fetchAll();
    });
    assert.deepEqual(translated, { cluster: 1, endpoint: 1, listener: 1, route: 1 });
    assert.deepEqual(
      touched.filter((name) => name.includes("listener")),
      nodes.map(({ id }) => `${id}: listener outbound|80||zebra.default`),
    );
    big.mesh.setManifests(objectsOf(manifests));
    big.cache.update(big.mesh.state);
  });

  test("a timeout of calls is no listener, an idle time of connections is one", () => {
    const policy = (timeouts: string, target: string): string =>
      `${manifests}---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: ${target} }], timeouts: ${timeouts} }\n`;
    const calls = big.cost(() => big.mesh.setManifests(objectsOf(policy("{ request: 1s, idle: 2s }", "service-9"))));
    assert.deepEqual(calls.translated, { cluster: 1, route: 1 });
    const connections = big.cost(() => big.mesh.setManifests(objectsOf(policy("{ idle: 2s }", "db"))));
    assert.deepEqual(connections.translated, { cluster: 2, listener: 1, route: 1 });
    big.mesh.setManifests(objectsOf(manifests));
    big.cache.update(big.mesh.state);
  });

  test("routes of a caller's namespace are a listener for that namespace", () => {
    big.cache.addNode(intercepted("guest", 1, { namespace: "guests" }));
    for (const name of big.cache.names("guest-1", "listener")) big.cache.lookup("guest-1", "listener", name);
    const consumer = (name: string, port: number, kind: string): string =>
      `---\napiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: c, namespace: guests }\nspec: { parentRefs: [{ kind: Service, name: ${name}, namespace: default }], rules: [{ backendRefs: [{ name: x, port: ${port} }] }] }\n`;
    for (const [name, port, kind] of [
      ["service-3", 80, "HTTPRoute"],
      ["db", 5432, "TCPRoute"],
    ] as const) {
      const listener = `outbound|${port}||${name}.default`;
      const before = big.cache.lookup("guest-1", "listener", listener);
      const { translated } = big.cost(() => {
        big.mesh.setManifests(objectsOf(manifests + consumer(name, port, kind)));
        big.cache.update(big.mesh.state);
        fetchAll();
        big.cache.lookup("guest-1", "listener", listener);
      });
      assert.ok((translated.listener ?? 0) <= 3, JSON.stringify(translated));
      const [own, others] = ["guest-1", "front-1-1"].map((id) => big.cache.lookup(id, "listener", listener)?.version);
      assert.notEqual(own, others);
      assert.equal(others, before?.version);
    }
    big.cache.removeNode("guest-1");
    big.mesh.setManifests(objectsOf(manifests));
    big.cache.update(big.mesh.state);
  });

  test("a mode of mutual TLS is the listener of those whose port it is, and their callers' cluster and endpoints", () => {
    const front = nodes[0];
    assert.ok(front);
    big.mesh.setRegistration(front.id, { workload: front, servicePort: 8080, serving: true });
    big.cache.update(big.mesh.state);
    const { touched } = big.cost(() => {
      big.mesh.setManifests(
        objectsOf(
          `${manifests}---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: m }\nspec: { targetRefs: [{ kind: Service, name: front-1 }], mtls: { mode: DISABLE } }\n`,
        ),
      );
    });
    assert.deepEqual(touched, [
      "cluster outbound|8080||front-1.default",
      "endpoint outbound|8080||front-1.default",
      "front-1-1: listener virtualInbound",
    ]);
    big.mesh.setManifests(objectsOf(manifests));
    big.mesh.setRegistration(front.id, undefined);
    big.cache.update(big.mesh.state);
  });

  test("calls that may leave no more are one listener and one cluster of each", () => {
    const { touched } = big.cost(() => {
      big.mesh.setManifests(
        objectsOf(
          `${manifests}---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: m }\nspec: { egress: { mode: RegistryOnly } }\n`,
        ),
      );
    });
    const first = touched.filter((name) => name.startsWith("front-1-1: ") && !name.includes("outbound|"));
    assert.deepEqual(first, [
      "front-1-1: cluster BlackHoleCluster",
      "front-1-1: cluster PassthroughCluster",
      "front-1-1: listener virtualOutbound",
    ]);
  });
});

/** Steps that a mesh may take. */
type Step =
  | {
      readonly kind: "register";
      readonly service: number;
      readonly index: number;
      readonly serving: boolean;
      readonly account: number;
    }
  | { readonly kind: "forget"; readonly service: number; readonly index: number }
  | { readonly kind: "manifests"; readonly parts: readonly number[] };

const PARTS: readonly string[] = [
  serviceYaml("s0"),
  serviceYaml("s1", 81),
  serviceYaml("s0", 82).replace("spec: {", "spec: { selector: { tier: x },"),
  `---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: r }\nspec: { parentRefs: [{ kind: Service, name: s0 }], rules: [{ backendRefs: [{ name: s1, port: 81 }, { name: s2, port: 8080 }] }] }\n`,
  `---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: c, namespace: other }\nspec: { parentRefs: [{ kind: Service, name: s0, namespace: default }], rules: [{}] }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: s1 }], limits: { requests: 7 } }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: AccessPolicy\nmetadata: { name: a }\nspec: { targetRefs: [{ kind: Service, name: s0 }], rules: [{ from: [{ serviceAccounts: [x] }] }] }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: m }\nspec: { telemetry: { accessLog: { mode: "On" }, tracing: { otlp: { endpoint: "http://127.0.0.1:4318/v1/traces" } } } }\n`,
  serviceYaml("s2", 83, "web"),
  serviceYaml("s3", 84, "redis"),
  `---\napiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\nmetadata: { name: t }\nspec: { parentRefs: [{ kind: Service, name: s3 }], rules: [{ backendRefs: [{ name: s2, port: 83 }] }] }\n`,
  `---\napiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: { name: u, namespace: other }\nspec: { parentRefs: [{ kind: Service, name: s2, namespace: default }], rules: [{}] }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: q }\nspec: { targetRefs: [{ kind: Service, name: s3 }], timeouts: { idle: 7s } }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: n }\nspec: { mtls: { mode: PERMISSIVE, ports: [{ port: 84, mode: DISABLE }] }, egress: { mode: RegistryOnly } }\n`,
  `---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: o }\nspec: { targetRefs: [{ kind: Service, name: s1 }], mtls: { mode: DISABLE } }\n`,
  `---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: e, labels: { kubernetes.io/service-name: s1 } }\naddressType: IPv4\nendpoints: [{ addresses: [10.0.0.1] }]\nports: [{ port: 80 }]\n`,
];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("register" as const),
    service: fc.nat(3),
    index: fc.integer({ min: 1, max: 3 }),
    serving: fc.boolean(),
    account: fc.nat(1),
  }),
  fc.record({ kind: fc.constant("forget" as const), service: fc.nat(3), index: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant("manifests" as const), parts: fc.subarray([...PARTS.keys()]) }),
);

function manifestsOf(parts: readonly number[]): string {
  // Two manifests of one Service would be a conflict, which is not what this is about.
  return parts
    .filter((part) => part !== 2 || !parts.includes(0))
    .map((part) => PARTS[part])
    .join("");
}

test("step by step or all at once: the state, the resources and the announced changes are the same", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const mesh = new Mesh("cluster.local");
      const cache = new ResourceCache(encodeResource, mesh.state);
      const nodes = [
        workload("s0", 1),
        workload("front", 1, { namespace: "other", labels: { tier: "x" } }),
        intercepted("s1", 1, { probes: [{ port: 81, path: "/healthz" }] }),
        intercepted("guest", 1, {
          namespace: "other",
          interception: { inbound: "none", networkNamespace: "/n", ipv6: true },
        }),
      ];
      for (const node of nodes) cache.addNode(node);
      const announced = new Map(nodes.map(({ id }) => [id, new Map<string, string | undefined>()]));
      const versionsOf = (id: string, given: ResourceCache): Map<string, string | undefined> =>
        new Map(
          RESOURCE_KINDS.flatMap((kind) =>
            given.names(id, kind).map((name) => [`${kind} ${name}`, given.lookup(id, kind, name)?.version] as const),
          ),
        );
      for (const { id } of nodes) announced.set(id, versionsOf(id, cache));
      cache.subscribe(({ shared, nodes: own }) => {
        for (const [id, held] of announced) {
          for (const kinds of [shared, own.get(id)]) {
            for (const [kind, names] of kinds ?? []) {
              for (const name of names) {
                const version = cache.lookup(id, kind, name)?.version;
                if (version === undefined) held.delete(`${kind} ${name}`);
                else held.set(`${kind} ${name}`, version);
              }
            }
          }
        }
      });
      const registrations = new Map<string, Registration>();
      let objects = objectsOf("");
      for (const given of steps) {
        if (given.kind === "manifests") {
          objects = objectsOf(manifestsOf(given.parts));
          mesh.setManifests(objects);
        } else {
          const id = `s${given.service}-${given.index}`;
          if (given.kind === "register") {
            const labels = { tier: given.index === 1 ? "x" : "y" };
            const make = given.account === 1 && given.index === 2 ? intercepted : workload;
            const made = make(`s${given.service}`, given.index, { labels, serviceAccount: `sa${given.account}` });
            const registration: Registration = { workload: made, servicePort: 8080, serving: given.serving };
            registrations.set(id, registration);
            mesh.setRegistration(id, registration);
          } else {
            registrations.delete(id);
            mesh.setRegistration(id, undefined);
          }
        }
        cache.update(mesh.state);
      }
      const whole = buildState({ trustDomain: "cluster.local", objects, registrations: [...registrations.values()] });
      assert.deepEqual(mesh.state, whole);
      const fresh = new ResourceCache(encodeResource, whole);
      for (const node of nodes) fresh.addNode(node);
      for (const node of nodes) {
        const [now, anew] = [versionsOf(node.id, cache), versionsOf(node.id, fresh)];
        assert.deepEqual(new Map([...now].sort()), new Map([...anew].sort()));
        assert.deepEqual(new Map([...(announced.get(node.id) ?? [])].sort()), new Map([...now].sort()));
        const all = translate(whole, node);
        const listeners = fresh.names(node.id, "listener");
        assert.deepEqual([...listeners].sort(), all.listeners.map(({ name }) => name).sort());
        assert.deepEqual([...fresh.names(node.id, "cluster")].sort(), all.clusters.map(({ name }) => name).sort());
        for (const [kind, values] of [
          ["route", all.routes],
          ["listener", all.listeners],
          ["cluster", all.clusters],
        ] as const) {
          for (const value of values) {
            const bytes = encodeResource(kind, value as never).value;
            assert.deepEqual(
              Buffer.from(fresh.lookup(node.id, kind, value.name)?.bytes ?? []),
              Buffer.from(bytes),
              `${kind} ${value.name}`,
            );
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});
