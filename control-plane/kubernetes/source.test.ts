import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { SILENT } from "../testing/test-mesh.ts";
import { intercepted } from "../testing/workloads.ts";
import { ApiError, type JsonObject } from "./api.ts";
import { KubernetesSource } from "./source.ts";
import { statusChanges } from "./status/changes.ts";
import { FakeApi } from "./testing/fake-api.ts";
import { closeAll, follow, shop } from "./testing/follow.ts";
import { httpRoute, pod, resiliencePolicy, service, serviceRef, slice } from "./testing/objects.ts";

afterEach(closeAll);

test("pods with a sidecar are called with mutual TLS under their account, others in plaintext, in their zone", async () => {
  const { api, clock, mesh, endpoints } = follow();
  shop(api);
  await clock.run(100);
  assert.deepEqual(
    endpoints("orders").map(({ host, port, mtls, zone, workload }) => [host, port, mtls, zone, workload]),
    [
      ["10.1.0.1", 8080, true, "zone-a", "orders-1"],
      ["10.1.0.2", 8080, false, "zone-a", "orders-2"],
    ],
  );
  const peers = mesh.state.services.get("shop/orders")?.peers;
  assert.deepEqual(peers, { identities: ["spiffe://cluster.local/ns/shop/sa/orders-sa"], plaintext: true });
});

test("nothing is given out until every kind was read once", async () => {
  const { api, clock, source, contents } = follow();
  shop(api);
  const forbidden = new ApiError(403, "Forbidden", "pods is forbidden");
  api.fault = (_, path) => (path.endsWith("/pods") ? forbidden : null);
  await clock.run(120_000, 200);
  assert.equal(contents.length, 0);
  assert.match(source.report().find(({ kind }) => kind === "Pod")?.error ?? "", /pods is forbidden/);
  api.fault = () => null;
  await clock.run(40_000, 200);
  assert.equal(contents.length, 1);
  assert.equal(contents[0]?.manifests.objects.size, 2);
});

test("kinds whose definitions are not installed hold nothing up", async () => {
  const { api, clock, contents, source } = follow();
  for (const kind of ["tlsroutes", "tcproutes", "meshpolicies"]) api.unknown.add(kind);
  shop(api);
  await clock.run(200);
  assert.equal(contents.length, 1);
  assert.deepEqual(
    source.report().flatMap(({ kind, phase }) => (phase === "missing" ? [kind] : [])),
    ["TLSRoute", "TCPRoute", "MeshPolicy"],
  );
});

test("a change of one endpoint tells that slice alone and leaves every other service as it is", async () => {
  const { api, clock, mesh, contents } = follow();
  shop(api);
  for (let index = 0; index < 30; index++) {
    api.put("Service", service(`other${index}`));
    api.put("EndpointSlice", slice(`other${index}-x`, `other${index}`, []));
  }
  await clock.run(200);
  const before = mesh.state;
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]));
  await clock.run(50);
  const change = contents.at(-1)?.change;
  assert.deepEqual([...(change?.objects ?? [])], ["EndpointSlice/shop/orders-x"]);
  assert.equal(contents.at(-1)?.manifests.objects, contents.at(-2)?.manifests.objects);
  const changed = [...mesh.state.services].filter(([key, state]) => before.services.get(key) !== state);
  assert.deepEqual(
    changed.map(([key]) => key),
    ["shop/orders"],
  );
  // Not rebuilt: what is made anew by each rebuild is still the same.
  assert.equal(mesh.state.findings, before.findings);
});

test("what changes within a moment is given out at once, and what means nothing is not given out", async () => {
  const { api, clock, contents } = follow();
  shop(api);
  await clock.run(200);
  const given = contents.length;
  api.put("Service", service("a"));
  api.put("Service", service("b"));
  api.put("Pod", pod("orders-1", "10.1.0.9", true));
  await clock.run(100);
  assert.equal(contents.length, given + 1);
  api.put("Pod", {
    ...pod("orders-1", "10.1.0.9", true),
    status: { ...(pod("orders-1", "10.1.0.9", true)["status"] as JsonObject), conditions: [{ type: "Ready" }] },
  });
  api.put("Service", { ...service("a"), status: { loadBalancer: { ingress: [] } } });
  await clock.run(100);
  assert.equal(contents.length, given + 1);
});

test("a sidecar to which no rules lead is called at its own port for the one that it stands before", async () => {
  const { api, clock, mesh } = follow();
  const ports = [80, 81].map((port) => ({ name: `p${port}`, port, targetPort: port + 8000, protocol: "TCP" }));
  api.put("Service", service("orders", { ports }));
  const status = JSON.stringify({ injector: "1", interception: "none", appPort: 8080 });
  const bare = pod("orders-1", "10.1.0.1", true);
  const metadata = { ...(bare["metadata"] as JsonObject), annotations: { "sidecar.outrigger.dev/status": status } };
  api.put("Pod", { ...bare, metadata });
  const targets = ports.map(({ name, targetPort }) => ({ name, port: targetPort, protocol: "TCP" }));
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }], { ports: targets }));
  await clock.run(100);
  const { endpoints, peers } = mesh.state.services.get("shop/orders") ?? {};
  assert.deepEqual(
    [80, 81].map((of) => endpoints?.get(of)?.map(({ port, mtls }) => [port, mtls])),
    [[[15006, true]], [[8081, false]]],
  );
  assert.equal(peers?.plaintext, true);
});

test("a port whose calls a pod's rules do not lead to its sidecar is called in plaintext", async () => {
  const { api, clock, mesh } = follow();
  const numbers = [8080, 9187, 9999];
  const ports = numbers.map((port) => ({ name: `p${port}`, port, targetPort: port, protocol: "TCP" }));
  const targets = ports.map(({ name, port }) => ({ name, port, protocol: "TCP" }));
  const spoken = async (name: string, status: JsonObject) => {
    api.put("Service", service(name, { ports }));
    const bare = pod(`${name}-1`, "10.1.0.1", true);
    const annotations = { "sidecar.outrigger.dev/status": JSON.stringify({ injector: "1", ...status }) };
    api.put("Pod", { ...bare, metadata: { ...(bare["metadata"] as JsonObject), annotations } });
    api.put("EndpointSlice", slice(`${name}-x`, name, [{ pod: `${name}-1`, address: "10.1.0.1" }], { ports: targets }));
    await clock.run(300);
    const { endpoints, peers } = mesh.state.services.get(`shop/${name}`) ?? {};
    return [...numbers.map((port) => endpoints?.get(port)?.map(({ mtls }) => mtls)), peers?.plaintext];
  };
  assert.deepEqual(await spoken("all", {}), [[true], [true], [true], false]);
  assert.deepEqual(await spoken("without", { excludeInboundPorts: [9187, 9999] }), [[true], [false], [false], true]);
  const some = { includeInboundPorts: [8080, 9187], excludeInboundPorts: [9187] };
  assert.deepEqual(await spoken("some", some), [[true], [false], [false], true]);
});

test("contents that take long are further apart, with all changes in the next one", async () => {
  const { api, clock, source, contents } = follow();
  shop(api);
  await clock.run(100);
  // As if a big mesh had taken 50 ms.
  source.content.subscribe(() => clock.advance(50));
  for (let index = 0; index < 100; index++) {
    api.put("Service", service(`other${index}`));
    await clock.run(10, 5);
  }
  await clock.run(300, 5);
  const given = contents.length - 1;
  assert.ok(given >= 4 && given <= 8, `${given} contents`);
  assert.equal(contents.at(-1)?.manifests.objects.size, 102);
});

test("a slice that comes before its pod is not called until it is known how", async () => {
  const { api, clock, mesh, endpoints } = follow();
  api.put("Service", service("orders"));
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]));
  await clock.run(100);
  assert.deepEqual(endpoints("orders"), []);
  assert.equal(mesh.state.services.get("shop/orders")?.peers.plaintext, false);
  api.put("Pod", pod("orders-1", "10.1.0.1", true));
  await clock.run(100);
  assert.deepEqual(
    endpoints("orders").map(({ mtls }) => mtls),
    [true],
  );
});

test("objects that come before what they refer to are found to lack it, and then not", async () => {
  const { api, clock, mesh } = follow();
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-1", address: "10.1.0.1" }]));
  api.put("HTTPRoute", httpRoute("r", serviceRef("orders"), serviceRef("orders")));
  await clock.run(100);
  assert.deepEqual(mesh.state.findings.map(({ key }) => key).sort(), [
    "EndpointSlice/shop/orders-x",
    "HTTPRoute/shop/r",
    "HTTPRoute/shop/r",
  ]);
  api.put("Service", service("orders"));
  await clock.run(100);
  assert.deepEqual(mesh.state.findings, []);
});

test("instances that leave are called only when no other is left; those that don't serve are not", async () => {
  const { api, clock, endpoints } = follow();
  shop(api);
  const leaving = { pod: "orders-1", address: "10.1.0.1", ready: false, serving: true, terminating: true };
  const hosts = () => endpoints("orders").map(({ host }) => host);
  api.put("EndpointSlice", slice("orders-x", "orders", [leaving, { pod: "orders-2", address: "10.1.0.2" }]));
  await clock.run(100);
  assert.deepEqual(hosts(), ["10.1.0.2"]);
  api.put(
    "EndpointSlice",
    slice("orders-x", "orders", [leaving, { pod: "orders-2", address: "10.1.0.2", ready: false }]),
  );
  await clock.run(100);
  assert.deepEqual(hosts(), ["10.1.0.1"]);
  api.put("EndpointSlice", slice("orders-x", "orders", [{ ...leaving, serving: false }]));
  await clock.run(100);
  assert.deepEqual(hosts(), []);
});

test("both addresses of a pod are one instance", async () => {
  const { api, clock, endpoints } = follow();
  shop(api);
  api.put(
    "EndpointSlice",
    slice("orders-6", "orders", [{ pod: "orders-1", address: "fd00::1" }], { addressType: "IPv6" }),
  );
  await clock.run(100);
  assert.deepEqual(
    endpoints("orders").map(({ host, additionalHosts }) => [host, additionalHosts]),
    [
      ["10.1.0.1", ["fd00::1"]],
      ["10.1.0.2", []],
    ],
  );
});

test("instances are in the order of their slices' names, whichever of these changed last", async () => {
  const { api, clock, endpoints } = follow();
  shop(api);
  await clock.run(100);
  api.put("Pod", pod("orders-3", "10.1.0.3", true));
  api.put("EndpointSlice", slice("orders-a", "orders", [{ pod: "orders-3", address: "10.1.0.3" }]));
  await clock.run(100);
  assert.deepEqual(
    endpoints("orders").map(({ host }) => host),
    ["10.1.0.3", "10.1.0.1", "10.1.0.2"],
  );
});

test("what the mesh does not carry is left out without a word", async () => {
  const { api, clock, mesh, contents } = follow();
  api.put("Service", service("names", { type: "ExternalName", externalName: "example.com", ports: [] }));
  api.put(
    "Service",
    service("dns", {
      clusterIP: "None",
      clusterIPs: ["None"],
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP", appProtocol: "example.com/dns" },
      ],
    }),
  );
  api.put("EndpointSlice", slice("udp", "dns", [], { ports: [{ name: "dns", port: 53, protocol: "UDP" }] }));
  api.put("EndpointSlice", slice("none", "dns", [], { endpoints: null, ports: null }));
  const gateway = { group: "gateway.networking.k8s.io", kind: "Gateway", name: "front" };
  const route = httpRoute("front", gateway, serviceRef("dns", 53));
  api.put("HTTPRoute", { ...route, spec: { ...(route["spec"] as JsonObject), hostnames: ["a.example"] } });
  await clock.run(100);
  assert.deepEqual(contents.at(-1)?.manifests.rejections, []);
  assert.deepEqual([...mesh.state.services.keys()], ["shop/dns"]);
  const definition = mesh.state.services.get("shop/dns")?.definition;
  assert.equal(definition?.headless, true);
  assert.deepEqual(
    definition?.ports.map(({ name, protocol }) => [name, protocol]),
    [["dns-tcp", "detected"]],
  );
});

test("an object that breaks its schema is refused alone, and its last good version stays", async () => {
  const { api, clock, contents } = follow();
  shop(api);
  api.put("ResiliencePolicy", resiliencePolicy("good", "orders", { timeouts: { request: "1s" } }));
  await clock.run(100);
  api.put("ResiliencePolicy", resiliencePolicy("good", "orders", { timeouts: { request: "never" } }));
  api.put("ResiliencePolicy", resiliencePolicy("bad", "orders", { timouts: {} }));
  api.put("ResiliencePolicy", { metadata: { namespace: "shop", name: "empty" } });
  api.put("Service", service("other"));
  await clock.run(100);
  const manifests = contents.at(-1)?.manifests;
  assert.deepEqual(
    manifests?.rejections.map(({ key, inForce }) => [key, inForce]),
    [
      ["ResiliencePolicy/shop/good", "last good version"],
      ["ResiliencePolicy/shop/bad", "nothing"],
      ["ResiliencePolicy/shop/empty", "nothing"],
    ],
  );
  const good = manifests?.objects.get("ResiliencePolicy/shop/good");
  assert.equal(good?.kind === "ResiliencePolicy" && good.value.spec.timeouts?.request, 1000);
  assert.ok(manifests?.objects.has("Service/shop/other"));
});

test("of two that claim the same the older wins, in whatever order they come", async () => {
  const { api, clock, contents } = follow();
  const at = (name: string, creationTimestamp: string): JsonObject => {
    const policy = resiliencePolicy(name, "orders", {});
    return { ...policy, metadata: { ...(policy["metadata"] as JsonObject), creationTimestamp } };
  };
  api.put("ResiliencePolicy", at("young", "2026-03-01T00:00:00Z"));
  api.put("ResiliencePolicy", at("b", "2026-02-01T00:00:00Z"));
  await clock.run(100);
  api.put("ResiliencePolicy", at("a", "2026-02-01T00:00:00Z"));
  api.put("ResiliencePolicy", at("old", "2026-01-01T00:00:00Z"));
  await clock.run(100);
  const keys = [...(contents.at(-1)?.manifests.objects.keys() ?? [])].map((key) => key.split("/")[2]);
  assert.deepEqual(keys, ["old", "a", "b", "young"]);
});

test("a workload that registers is described by its pod, once that is known", async () => {
  const { api, clock, source } = follow();
  await clock.run(100);
  const registered = intercepted("orders", 1, { namespace: "shop", address: "10.1.0.1", labels: { own: "1" } });
  const unknown = source.describe(registered);
  assert.deepEqual([unknown.pod, unknown.labels, unknown.namedPorts], ["orders-1", { own: "1" }, {}]);
  api.put("Pod", { ...pod("done-1", "10.1.0.1", true), status: { phase: "Succeeded", podIP: "10.1.0.1" } });
  api.put("Pod", pod("orders-abc", "10.1.0.1", true));
  await clock.run(100);
  const known = source.describe(unknown);
  assert.deepEqual([known.pod, known.labels, known.namedPorts], ["orders-abc", { app: "orders" }, { web: 8080 }]);
  assert.equal(source.describe({ ...registered, namespace: "elsewhere" }).pod, registered.id);
});

test("ten minutes without an API server change nothing, and then all is made up for", async () => {
  const { api, clock, contents, endpoints } = follow();
  shop(api);
  await clock.run(100);
  const given = contents.length;
  api.fault = () => new Error("connect ECONNREFUSED");
  api.endWatches(new Error("reset"));
  await clock.run(600_000, 500);
  assert.equal(contents.length, given);
  assert.equal(endpoints("orders").length, 2);
  api.put("EndpointSlice", slice("orders-x", "orders", [{ pod: "orders-2", address: "10.1.0.2" }]));
  api.delete("Pod", "shop/orders-1");
  api.compact();
  api.fault = () => null;
  await clock.run(40_000, 500);
  assert.deepEqual(
    endpoints("orders").map(({ host }) => host),
    ["10.1.0.2"],
  );
});

test("a content that cannot be applied leaves what was before, and the next is applied as a whole", async () => {
  const { api, clock, mesh } = follow();
  shop(api);
  await clock.run(100);
  const before = mesh.state;
  const apply = mesh.apply.bind(mesh);
  mesh.apply = () => {
    throw new Error("a fault of ours");
  };
  api.put("Service", service("other"));
  await clock.run(100);
  assert.equal(mesh.state, before);
  mesh.apply = apply;
  api.put("EndpointSlice", slice("other-x", "other", [{ pod: "orders-1", address: "10.1.0.1" }]));
  await clock.run(100);
  assert.deepEqual([...mesh.state.services.keys()], ["shop/orders", "shop/other"]);
});

test("statuses that are written as they come out settle, each written once for each thing that happens", async () => {
  const { api, clock, source, mesh, contents } = follow();
  const writes: string[] = [];
  const stored = new Map<string, JsonObject>();
  const put = (kind: "HTTPRoute" | "ResiliencePolicy", object: JsonObject): void => {
    stored.set(`${kind}/shop/${(object["metadata"] as JsonObject)["name"]}`, object);
    api.put(kind, object);
  };
  source.moments.subscribe(() => {
    const findings = mesh.state.findings;
    for (const { kind, key, status } of statusChanges((of) => source.entries(of), findings, clock.wallTime())) {
      writes.push(key);
      put(kind as "HTTPRoute", { ...stored.get(key), status });
    }
  });
  shop(api);
  put("HTTPRoute", httpRoute("r", serviceRef("orders"), serviceRef("none")));
  put("ResiliencePolicy", resiliencePolicy("p", "orders", { timeouts: { request: "1s" } }));
  await clock.run(300, 5);
  const given = contents.length;
  assert.deepEqual(writes.splice(0).sort(), ["HTTPRoute/shop/r", "ResiliencePolicy/shop/p"]);
  api.put("Service", service("none"));
  await clock.run(300, 5);
  assert.deepEqual(writes.splice(0), ["HTTPRoute/shop/r"]);
  // Someone else's hand.
  put("ResiliencePolicy", { ...stored.get("ResiliencePolicy/shop/p"), status: {} });
  await clock.run(300, 5);
  assert.deepEqual(writes.splice(0), ["ResiliencePolicy/shop/p"]);
  // A generation that changes nothing is yet to be seen as observed.
  const policy = stored.get("ResiliencePolicy/shop/p") ?? {};
  put("ResiliencePolicy", { ...policy, metadata: { ...(policy["metadata"] as JsonObject), generation: 2 } });
  await clock.run(300, 5);
  assert.deepEqual(writes.splice(0), ["ResiliencePolicy/shop/p"]);
  // The service alone was a change of the mesh.
  assert.equal(contents.length, given + 1);
});

test("a source that is closed before it was ready ends its start", async () => {
  const api = new FakeApi();
  api.fault = () => new Error("unreachable");
  const clock = new SimulatedClock();
  const source = new KubernetesSource({ api, clock, random: seededRandom(7), log: SILENT });
  const started = source.start();
  await clock.run(100);
  await source.close();
  await started;
  assert.equal(source.content.get(), undefined);
});
