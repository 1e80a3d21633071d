/** A mesh in which sidecars ask for what they call: what they are told before and after, and what becomes of other calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Daemon } from "./daemon.ts";
import { Mesh, sidecarPage } from "./mesh.ts";
import { type Host, Network } from "./network.ts";
import { requirePrograms } from "./pair.ts";
import { startApp } from "./servers.ts";

const OTHERS = 300;

function policy(egress: string): string {
  return `
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec:
  egress: { mode: ${egress} }
  reach: { mode: OnDemand }
`;
}

function service(name: string, address: string): string {
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: others }
spec: { clusterIP: ${address}, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
}

const ADDRESS = "10.96.200.1";
const mesh300 = Array.from({ length: OTHERS }, (_, i) =>
  service(`other-${i}`, `10.97.${i >> 7}.${1 + (i & 127)}`),
).join("");

function behind(host: Host): string {
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: others, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: [{ addresses: ["${host.addresses.outside[4]}"] }]
ports: [{ name: http, port: 8080 }]
`;
}

/** What a sidecar holds, and the bytes of configuration that it has been sent. */
async function told(host: Host): Promise<{ readonly web: boolean; readonly clusters: number; readonly bytes: number }> {
  const [clusters, metrics] = [await sidecarPage(host, "15000/listeners"), await sidecarPage(host, "15020/metrics")];
  const names = clusters.split("\n").filter((line) => line.includes(".others"));
  const bytes = /^outrigger_xds_bytes_total\{direction="received"\} (\d+)/m.exec(metrics)?.[1];
  return { web: clusters.includes("web.others"), clusters: names.length, bytes: Number(bytes) };
}

function outcomes(metrics: string, outcome: string): number {
  return Number(new RegExp(`^outrigger_on_demand_total\\{outcome="${outcome}"\\} (\\d+)`, "m").exec(metrics)?.[1] ?? 0);
}

test("a sidecar is told of what its program calls, and of nothing else", { timeout: 180_000 }, async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, outside] = [network.host("client"), network.host("outside")];
  await startApp(outside, "name:8080:web");
  const mesh = await Mesh.start(network, {
    policy: policy("RegistryOnly"),
    mesh: service("web", ADDRESS) + behind(outside) + mesh300,
  });
  const workload = { host: client, service: "client", port: 1, sidecar: ["--concurrency", "2"] };
  let [sidecar] = await mesh.join(workload);
  const get = (host: string) => client.call(["curl", "-sS", "--max-time", "20", `http://${host}/a`]);
  const metrics = (): Promise<string> => sidecarPage(client, "15020/metrics");
  const restart = async (): Promise<Daemon | undefined> => {
    sidecar?.signal("SIGTERM");
    await sidecar?.ended();
    const next = await mesh.sidecar(workload);
    await mesh.untilServing([workload]);
    return next;
  };

  const before = await told(client);
  assert.deepEqual([before.web, before.clusters], [false, 0]);
  assert.ok(before.bytes > 0 && before.bytes < 50_000, `${before.bytes} bytes before anything was called`);

  await t.test("the first call to a service works, the next ones are local", async () => {
    assert.equal((await get(ADDRESS)).stdout, "web /a \n");
    const after = await told(client);
    assert.deepEqual([after.web, after.clusters], [true, 1]);
    assert.ok(after.bytes - before.bytes < 20_000, `${after.bytes - before.bytes} bytes for one service`);
    assert.equal(outcomes(await metrics(), "found"), 1);
    assert.equal((await get(ADDRESS)).stdout, "web /a \n");
    assert.equal(outcomes(await metrics(), "found"), 1);
    assert.equal((await told(client)).bytes, after.bytes);
  });

  await t.test("what does not exist is refused at once, as always", async () => {
    const { code, stderr } = await get("10.99.0.1");
    assert.ok([52, 56].includes(code ?? 0), stderr);
    assert.equal(outcomes(await metrics(), "absent"), 1);
    assert.match(sidecar?.output ?? "", /10\.99\.0\.1:80 is no service of the mesh/);
    const { bytes } = await told(client);
    await get("10.99.0.1");
    assert.equal((await told(client)).bytes, bytes, "it is known by now");
  });

  await t.test("until there is such a service", async () => {
    await mesh.apply("later", service("later", "10.99.0.1") + behind(outside).replaceAll("web", "later"));
    assert.equal((await get("10.99.0.1")).stdout, "web /a \n");
  });

  await t.test("a sidecar that starts again is told of what was used", async () => {
    sidecar = await restart();
    const again = await told(client);
    assert.deepEqual([again.web, again.clusters], [true, 2]);
    assert.equal((await get(ADDRESS)).stdout, "web /a \n");
    assert.equal(outcomes(await metrics(), "found"), 0);
  });

  await t.test("without a control plane the egress policy decides, and the refusal says why", async () => {
    mesh.controlPlane.signal("SIGKILL");
    await mesh.controlPlane.ended();
    assert.equal((await get(ADDRESS)).stdout, "web /a \n");
    assert.ok([52, 56].includes((await get("10.97.0.5")).code ?? 0));
    assert.equal(outcomes(await metrics(), "unanswered"), 1);
    assert.match(sidecar?.output ?? "", /the control plane has not said in time whether 10\.97\.0\.5:80 is a service/);
  });
});

test("host names of calls by http_proxy are asked for, too", { timeout: 180_000 }, async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, outside] = [network.host("client"), network.host("outside")];
  await startApp(outside, "name:8080:web");
  const mesh = await Mesh.start(network, {
    policy: policy("AllowAny"),
    mesh: service("web", ADDRESS) + behind(outside) + mesh300,
  });
  const sidecar = ["--interception", "none", "--address", client.addresses.mesh[4]];
  await mesh.sidecar({ host: client, service: "client", port: 1, sidecar });
  await mesh.untilServing([{ host: client, service: "client", port: 1 }]);
  const get = (url: string) => client.call(["curl", "-sS", "-x", "http://127.0.0.1:15001", "--max-time", "20", url]);
  const clusters = async () => (await sidecarPage(client, "15000/clusters")).match(/[a-z0-9-]+\.others/g) ?? [];
  assert.deepEqual(await clusters(), []);
  assert.equal((await get("http://web.others/a")).stdout, "web /a \n");
  assert.deepEqual([...new Set(await clusters())], ["web.others"]);
  const unknown = await get("http://nobody.others/a");
  assert.match(unknown.stdout, /no service of this name is in the mesh/);
  mesh.controlPlane.signal("SIGKILL");
  await mesh.controlPlane.ended();
  assert.equal((await get("http://web.others/a")).stdout, "web /a \n");
  assert.match((await get("http://other-7.others/a")).stdout, /the control plane has not said in time/);
});
