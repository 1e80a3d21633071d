/** The ADS server over real gRPC, with sidecars of both variants. */
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { afterEach, describe, test } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { sleep, systemClock } from "../../core/clock.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import type { RouteTable } from "../../model/route.ts";
import { CERTIFICATE } from "../../xds/testing/pem.ts";
import { TestMesh } from "../testing/test-mesh.ts";
import { TestSidecar, type TestSidecarOptions } from "../testing/test-sidecar.ts";
import { until } from "../testing/until.ts";
import { intercepted, serviceYaml, workload } from "../testing/workloads.ts";
import { adsServiceDefinition } from "./service.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function start(manifests = ""): Promise<{ readonly mesh: TestMesh; readonly address: string }> {
  const mesh = new TestMesh();
  if (manifests !== "") mesh.apply(manifests);
  cleanups.push(() => mesh.close());
  return { mesh, address: await mesh.listen() };
}

function join(address: string, options: TestSidecarOptions): TestSidecar {
  const sidecar = new TestSidecar(options);
  sidecar.connect(address);
  cleanups.push(() => sidecar.disconnect());
  return sidecar;
}

/** Until nothing has been received for a while by sidecars that have received something, or were refused. */
async function quiet(...sidecars: TestSidecar[]): Promise<void> {
  await until("a first response", () => sidecars.every(({ responses, closed }) => responses > 0 || closed !== null));
  const count = (): number => sidecars.reduce((sum, { received }) => sum + received.length, 0);
  for (let before = -1; before !== count(); ) {
    before = count();
    const waited = sleep(systemClock, 80);
    let over = false;
    void waited.then(() => (over = true));
    await until("quiet", () => over);
  }
}

const STOCK = "outbound|80||stock.default";

function endpointsOf(sidecar: TestSidecar, name = STOCK): readonly string[] {
  const set = sidecar.held("endpoint").get(name) as EndpointSet | undefined;
  return set?.localities.flatMap(({ endpoints }) => endpoints.map(({ workload: id }) => id)) ?? [];
}

for (const variant of ["delta", "sotw"] as const) {
  describe(variant, () => {
    test("a sidecar gets clusters, endpoints, listeners and routes, in that order", async () => {
      const { address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop") });
      await until("routes", () => shop.held("route").size === 3);
      const first = (kind: string): number => shop.received.findIndex((received) => received.kind === kind);
      assert.ok(first("cluster") < first("endpoint"));
      assert.ok(first("endpoint") < first("listener"));
      assert.ok(first("listener") < first("route"));
      const services = [STOCK, "outbound|8080||shop.default"];
      assert.deepEqual([...shop.held("cluster").keys()].sort(), ["inbound|8080||", ...services].sort());
      assert.deepEqual([...shop.held("listener").keys()].sort(), ["http_proxy", "inbound|8080||", ...services].sort());
    });

    test("a workload that joins is one endpoint resource for those who wait for it", async () => {
      const { mesh, address } = await start(serviceYaml("stock") + serviceYaml("orders") + serviceYaml("shop"));
      const shop = join(address, { variant, workload: workload("shop") });
      const stock = join(address, { variant, workload: workload("stock") });
      await quiet(shop, stock);
      shop.received.length = 0;
      const translated = { ...mesh.cache.translated };
      // The same service account: only the endpoints change.
      const second = join(address, { variant, workload: workload("stock", 2) });
      await until("the new endpoint", () => endpointsOf(shop).length === 2);
      await quiet(shop, second);
      assert.deepEqual(shop.received, [{ kind: "endpoint", names: [STOCK], removed: [] }]);
      assert.equal(mesh.cache.translated.endpoint - translated.endpoint, 1);
      assert.equal(mesh.cache.translated.cluster - translated.cluster, 1, "its own application's");
      assert.equal(mesh.cache.translated.route - translated.route, 0);
    });

    test("peers learn an identity before the endpoint that uses it, and both only once it can answer", async () => {
      const { mesh, address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop") });
      await quiet(shop);
      shop.received.length = 0;
      const refuse = new Map([["listener", "not today"]] as const);
      const stock = join(address, { variant, workload: workload("stock"), refuse });
      await until("the refusal", () => mesh.counts.nacks === 1);
      await quiet(shop, stock);
      assert.deepEqual(endpointsOf(shop), []);
      assert.match(JSON.stringify(shop.held("cluster").get(STOCK)), /sa\/stock/);
      stock.refuse.clear();
      mesh.apply(serviceYaml("stock") + serviceYaml("more"));
      await until("the endpoint", () => endpointsOf(shop).includes("stock-1"));
      const cluster = shop.received.findIndex(({ kind, names }) => kind === "cluster" && names.includes(STOCK));
      const endpoint = shop.received.findLastIndex(({ kind }) => kind === "endpoint");
      assert.ok(cluster < endpoint);
    });

    test("a new service arrives whole, and goes listener first, cluster last", async () => {
      const { mesh, address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop") });
      await quiet(shop);
      shop.received.length = 0;
      mesh.apply(serviceYaml("stock") + serviceYaml("orders"));
      await quiet(shop);
      const name = "outbound|80||orders.default";
      const has = (kind: string, wanted: string) => (received: (typeof shop.received)[number]) =>
        received.kind === kind && received.names.includes(wanted);
      const [cluster, endpoint, listener, route] = [
        shop.received.findIndex(has("cluster", name)),
        shop.received.findIndex(has("endpoint", name)),
        shop.received.findIndex(has("listener", name)),
        shop.received.findIndex(has("route", "orders.default:80")),
      ];
      assert.ok(
        0 <= cluster && cluster < endpoint && endpoint < listener && listener < route,
        JSON.stringify(shop.received),
      );
      shop.received.length = 0;
      mesh.apply(serviceYaml("stock"));
      await quiet(shop);
      const gone = (kind: string): number =>
        shop.received.findIndex((received) => received.kind === kind && received.removed.includes(name));
      assert.ok(gone("listener") >= 0);
      assert.ok(gone("listener") < gone("cluster"), JSON.stringify(shop.received));
    });

    test("a client that acknowledges clusters only once they are warm, as Envoy does, is not waited for", async () => {
      const { mesh, address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop"), lateClusterAck: true });
      await until("listeners", () => shop.held("listener").size === 4);
      mesh.apply(serviceYaml("stock") + serviceYaml("orders"));
      await until("the new listener", () => shop.held("listener").has("outbound|80||orders.default"));
    });

    test("a refusal is recorded and not argued with; the next change is sent again", async () => {
      const { mesh, address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop") });
      await quiet(shop);
      const before = shop.held("route").get("stock.default:80") as RouteTable;
      shop.refuse.set("route", "route stock.default:80: no such thing");
      const policy = (seconds: number): string =>
        `---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: { targetRefs: [{ kind: Service, name: stock }], timeouts: { request: ${seconds}s } }\n`;
      mesh.apply(serviceYaml("stock") + policy(1));
      await until("the refusal", () => mesh.counts.nacks > 0);
      await quiet(shop);
      const [session] = mesh.ads.sessions();
      const status = session?.status().find(({ kind }) => kind === "route");
      assert.equal(status?.nack?.message, "route stock.default:80: no such thing");
      assert.equal(mesh.counts.nacks, 1, "the same content is not sent twice");
      assert.equal(shop.held("route").get("stock.default:80"), before);
      assert.ok((session?.appliedRevision ?? 0) < mesh.cache.revision);
      shop.refuse.clear();
      mesh.apply(serviceYaml("stock") + policy(2));
      await until("the mended route", () => shop.held("route").get("stock.default:80") !== before);
      await until("it is in force", () => session?.appliedRevision === mesh.cache.revision);
      assert.equal(session?.status().find(({ kind }) => kind === "route")?.nack, null);
    });

    test("a sidecar that comes back with what it holds is sent only what changed meanwhile", async () => {
      const { mesh, address } = await start(serviceYaml("stock") + serviceYaml("orders") + serviceYaml("shop"));
      const shop = join(address, { variant, workload: workload("shop") });
      await quiet(shop);
      shop.disconnect();
      await until("the server knows", () => mesh.counts.connected === 0);
      shop.received.length = 0;
      shop.connect(address);
      await quiet(shop);
      assert.deepEqual(shop.received, []);
      shop.disconnect();
      await until("the server knows", () => mesh.counts.connected === 0);
      const stock = join(address, { variant, workload: workload("stock", 1, { serviceAccount: "x" }) });
      await quiet(stock);
      shop.connect(address);
      await until("the endpoint", () => endpointsOf(shop).length === 1);
      await quiet(shop);
      if (variant === "delta") {
        const names = shop.received.map(({ kind, names }) => `${kind} ${names}`);
        assert.deepEqual(new Set(names), new Set([`cluster ${STOCK}`, `endpoint ${STOCK}`]));
      }
    });

    test("goodbye takes the endpoint away at once; a broken connection only after its grace", async () => {
      const { mesh, address } = await start(serviceYaml("stock"));
      const shop = join(address, { variant, workload: workload("shop") });
      const polite = join(address, { variant, workload: workload("stock", 1) });
      const rude = join(address, { variant, workload: workload("stock", 2) });
      await until("both endpoints", () => endpointsOf(shop).length === 2);
      polite.leave();
      await until("one endpoint", () => endpointsOf(shop).length === 1);
      rude.disconnect();
      await until("the server knows", () => mesh.counts.connected === 1);
      await quiet(shop);
      assert.deepEqual(endpointsOf(shop), ["stock-2"]);
      mesh.clock.advance(2999);
      rude.connect(address);
      await until("it is back", () => mesh.counts.connected === 2);
      mesh.clock.advance(60_000);
      await quiet(shop);
      assert.deepEqual(endpointsOf(shop), ["stock-2"], "it came back in time");
      rude.disconnect();
      await until("the server knows", () => mesh.counts.connected === 1);
      mesh.clock.advance(3000);
      await until("no endpoint", () => endpointsOf(shop).length === 0);
    });

    test("a stream without a workload, or of another trust domain, is refused with the reason", async () => {
      const { mesh, address } = await start();
      const stranger = join(address, { variant, workload: workload("a"), metadata: {} });
      await until("refusal", () => stranger.closed !== null);
      assert.match(String((stranger.closed as Error).message), /OUTRIGGER: is required/);
      const foreign = join(address, { variant, workload: workload("b", 1, { trustDomain: "other" }) });
      await until("refusal", () => foreign.closed !== null);
      assert.match(String((foreign.closed as Error).message), /trust domain "other", this mesh is "cluster.local"/);
      assert.deepEqual(mesh.registry.views(), []);
      assert.equal(mesh.counts.refused, 2);
    });

    test("a second stream of the same sidecar takes the first one's place", async () => {
      const { mesh, address } = await start();
      const first = join(address, { variant, workload: workload("shop") });
      await quiet(first);
      const second = join(address, { variant, workload: workload("shop") });
      await until("the first is closed", () => first.closed !== null);
      await quiet(second);
      assert.equal(mesh.ads.sessions().length, 1);
      assert.equal(mesh.registry.get("shop-1")?.serving, true);
      assert.ok(second.held("listener").size > 0);
    });
  });
}

test("in a mesh of 1,000 services a new endpoint is sent to those who want it, and to nobody else", async () => {
  const many = Array.from({ length: 1000 }, (_, i) => serviceYaml(`service-${i}`)).join("");
  const { mesh, address } = await start(many);
  const wants = join(address, { variant: "delta", workload: workload("service-1") });
  await until("everything", () => wants.held("route").size === 1001);
  const indifferent = join(address, { variant: "delta", workload: workload("service-2") });
  await until("everything", () => indifferent.held("route").size === 1001);
  const first = workload("service-7", 1);
  mesh.registry.join(first, first);
  await quiet(wants, indifferent);
  indifferent.unsubscribe("endpoint", ["outbound|80||service-7.default"]);
  await quiet(wants, indifferent);
  for (const sidecar of [wants, indifferent]) sidecar.received.length = 0;
  const [translated, pushes] = [{ ...mesh.cache.translated }, mesh.counts.pushes];
  mesh.registry.ready(first.id, first);
  await until("the endpoint", () => wants.received.length > 0);
  await quiet(wants, indifferent);
  assert.deepEqual(wants.received, [{ kind: "endpoint", names: ["outbound|80||service-7.default"], removed: [] }]);
  assert.deepEqual(indifferent.received, []);
  assert.equal(mesh.counts.pushes - pushes, 1);
  assert.deepEqual({ ...mesh.cache.translated }, { ...translated, endpoint: translated.endpoint + 1 });
});

test("delta: a name that does not exist is answered as removed, and sent once it does", async () => {
  const { mesh, address } = await start();
  const shop = join(address, { variant: "delta", workload: workload("shop") });
  await quiet(shop);
  shop.subscribe("endpoint", [STOCK]);
  await until("the answer", () => shop.received.some(({ removed }) => removed.includes(STOCK)));
  mesh.apply(serviceYaml("stock"));
  await until("the endpoints", () => shop.held("endpoint").has(STOCK));
});

test("delta: asking again for a held resource sends it again", async () => {
  const { address } = await start(serviceYaml("stock"));
  const shop = join(address, { variant: "delta", workload: workload("shop") });
  await quiet(shop);
  shop.received.length = 0;
  shop.subscribe("endpoint", [STOCK]);
  await quiet(shop);
  assert.deepEqual(shop.received, [{ kind: "endpoint", names: [STOCK], removed: [] }]);
});

test("the mesh's roots are a secret of their own; a workload's certificate is not served", async () => {
  const { mesh, address } = await start();
  mesh.cache.setRoots(CERTIFICATE);
  const shop = join(address, { variant: "delta", workload: workload("shop") });
  await quiet(shop);
  shop.received.length = 0;
  shop.subscribe("secret", ["ROOTCA", "default"]);
  await until("the roots", () => shop.received.length > 0);
  await quiet(shop);
  assert.deepEqual(shop.received, [{ kind: "secret", names: ["ROOTCA"], removed: [] }]);
});

test("messages that are none of the protocol's do no harm", async () => {
  const { mesh, address } = await start(serviceYaml("stock"));
  for (const { path } of Object.values(adsServiceDefinition)) {
    for (const bytes of [[255, 255, 255], [10, 200], [18, 1, 0, 26, 2, 255, 254], []]) {
      const client = new Client(address, credentials.createInsecure());
      cleanups.push(() => client.close());
      const call = client.makeBidiStreamRequest(
        path,
        (given: Buffer) => given,
        (given) => given,
      );
      const ended = new Promise((resolve) => call.on("status", resolve));
      call.on("error", () => {});
      call.on("data", () => assert.fail("there is nothing to be answered"));
      call.write(Buffer.from(bytes));
      await ended;
    }
  }
  const shop = join(address, { variant: "delta", workload: workload("shop") });
  await until("service goes on", () => shop.held("route").size > 0);
  assert.deepEqual(
    mesh.registry.views().map(({ workload: { id } }) => id),
    ["shop-1"],
  );
});

test("bytes that are no gRPC do no harm", async () => {
  const { mesh, address } = await start();
  const [host, port] = address.split(":");
  const socket = connectTcp(Number(port), host);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write("GET / HTTP/1.1\r\n\r\n");
  socket.on("error", () => {});
  cleanups.push(() => socket.destroy());
  const shop = join(address, { variant: "delta", workload: workload("shop") });
  await until("service goes on", () => mesh.ads.sessions().length === 1 && shop.held("cluster").size > 0);
});

describe("on demand", () => {
  const POLICY =
    "---\napiVersion: outrigger.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: mesh }\nspec: { reach: { mode: OnDemand } }\n";
  const other = (name: string, address: string): string =>
    `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: other }\nspec: { clusterIP: ${address}, ports: [{ name: http, port: 80 }] }\n`;
  const MESH = POLICY + serviceYaml("stock") + other("pay", "10.96.0.1") + other("sink", "10.96.0.2");
  const asking = intercepted("shop", 1, { onDemand: true });
  const PAY = "outbound|80||pay.other";

  test("a listener that is asked for by an address comes with its alias, after its cluster; one that is not there is removed", async () => {
    const { address } = await start(MESH);
    const shop = join(address, { variant: "delta", workload: asking });
    await quiet(shop);
    assert.equal(shop.held("listener").has(PAY), false);
    shop.received.length = 0;
    shop.subscribe("listener", ["on-demand|10.96.0.1:80", "on-demand|10.96.0.9:80"]);
    await until("its routes", () => shop.held("route").has("pay.other:80"));
    await quiet(shop);
    assert.deepEqual(shop.aliases.get("on-demand|10.96.0.1:80"), PAY);
    const removed = shop.received.flatMap((received) => received.removed);
    assert.deepEqual(removed, ["on-demand|10.96.0.9:80"]);
    const first = (kind: string): number =>
      shop.received.findIndex((received) => received.kind === kind && received.names.length > 0);
    assert.ok(first("cluster") >= 0 && first("cluster") < first("listener"));
    const listeners = shop.received.filter(({ kind }) => kind === "listener").flatMap(({ names }) => names);
    assert.deepEqual(listeners, [PAY], "once, and nothing besides");
    // Whoever asks again is answered again.
    shop.received.length = 0;
    shop.subscribe("listener", ["on-demand|10.96.0.1:80", "on-demand|10.96.0.9:80"]);
    await quiet(shop);
    assert.deepEqual(shop.received, [{ kind: "listener", names: [PAY], removed: ["on-demand|10.96.0.9:80"] }]);
  });

  test("what comes later is told, to whoever asks", async () => {
    const { mesh, address } = await start(MESH);
    const shop = join(address, { variant: "delta", workload: asking });
    await quiet(shop);
    shop.subscribe("listener", ["on-demand|10.96.0.9:80"]);
    await quiet(shop);
    mesh.apply(MESH + other("late", "10.96.0.9"));
    await until("its listener", () => shop.aliases.get("on-demand|10.96.0.9:80") === "outbound|80||late.other");
    shop.unsubscribe("listener", ["on-demand|10.96.0.9:80"]);
    await quiet(shop);
    assert.equal(shop.held("listener").has("outbound|80||late.other"), true, "it is used");
  });

  test("a sidecar that comes back says what it has asked for", async () => {
    const { mesh, address } = await start(MESH);
    const shop = join(address, { variant: "delta", workload: asking });
    await quiet(shop);
    shop.subscribe("listener", ["*", "on-demand|10.96.0.1:80"]);
    await until("its listener", () => shop.held("listener").has(PAY));
    shop.disconnect();
    mesh.close();
    // Another control plane, which has heard of nothing.
    const next = await start(MESH);
    shop.connect(next.address);
    await quiet(shop);
    assert.equal(shop.held("listener").has(PAY), true);
    assert.equal(shop.received.flatMap((received) => received.removed).includes(PAY), false);
  });

  test("state of the world is told of everything", async () => {
    const { address } = await start(MESH);
    const shop = join(address, { variant: "sotw", workload: intercepted("shop") });
    await until("everything", () => shop.held("listener").has(PAY));
  });
});
