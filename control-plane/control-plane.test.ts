/** The control plane as a whole: ports, certificates, restart, status. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { Client, credentials as grpc, Metadata, type ServiceError } from "@grpc/grpc-js";
import { createCsr } from "../certs/csr.ts";
import { generateKeyPair, privateKeyToPem } from "../certs/key.ts";
import { UserError } from "../core/errors.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import { formatIdentity, type Identity } from "../model/identity.ts";
import { caServiceDefinition } from "./ca/ca-service.ts";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "./control-plane.ts";
import { SILENT } from "./testing/test-mesh.ts";
import { TestSidecar, type TestSidecarOptions } from "./testing/test-sidecar.ts";
import { until } from "./testing/until.ts";
import { serviceYaml, workload } from "./testing/workloads.ts";

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function directory(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), "outrigger-control-plane-"));
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function start(options: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
  const ports = { xdsPort: 0, xdsTlsPort: 0, statusPort: 0 };
  const stateDir = options.stateDir ?? path.join(directory(), "state");
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const plane = await startControlPlane({ configDir: null, log: SILENT, ...ports, ...options, stateDir });
  cleanups.push(() => plane.close());
  return plane;
}

function join(address: string, options: TestSidecarOptions): TestSidecar {
  const sidecar = new TestSidecar(options);
  sidecar.connect(address);
  cleanups.push(() => sidecar.disconnect());
  return sidecar;
}

const SHOP: Identity = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "shop" };

/** Client credentials with a certificate of the mesh for `identity`. */
function mutualTls({ ca }: ControlPlane, identity: Identity) {
  const keys = generateKeyPair();
  const { chainPem } = ca.issue(keys.publicKey, [{ type: "uri", value: formatIdentity(identity) }], null);
  const roots = Buffer.from(ca.bundle.get() ?? "");
  return grpc.createSsl(roots, Buffer.from(privateKeyToPem(keys.privateKey)), Buffer.from(chainPem));
}

test("over TLS a sidecar is who its certificate says, and nobody else", async () => {
  const plane = await start();
  const { xdsTls } = plane.addresses;
  const shop = join(xdsTls, { variant: "delta", workload: workload("shop"), credentials: mutualTls(plane, SHOP) });
  await until("configuration", () => shop.held("route").size > 0);

  const credentials = mutualTls(plane, { ...SHOP, serviceAccount: "thief" });
  const thief = join(xdsTls, { variant: "delta", workload: workload("shop", 2), credentials });
  await until("refusal", () => thief.closed !== null);
  assert.match(
    (thief.closed as ServiceError).message,
    /the certificate is for spiffe:\/\/cluster.local\/ns\/default\/sa\/thief, the sidecar claims to be .*\/sa\/shop/,
  );

  const anonymous = grpc.createSsl(Buffer.from(plane.ca.bundle.get() ?? ""));
  const nobody = join(xdsTls, { variant: "sotw", workload: workload("shop", 3), credentials: anonymous });
  await until("refusal", () => nobody.closed !== null);
  assert.match((nobody.closed as ServiceError).message, /a client certificate of this mesh is required/);
  assert.deepEqual(
    plane.status().workloads.map(({ node }) => node),
    ["shop-1"],
  );
});

test("a certificate of another mesh opens nothing", async () => {
  const [plane, other] = [await start(), await start()];
  const keys = generateKeyPair();
  const { chainPem } = other.ca.issue(keys.publicKey, [{ type: "uri", value: formatIdentity(SHOP) }], null);
  const credentials = grpc.createSsl(
    Buffer.from(plane.ca.bundle.get() ?? ""),
    Buffer.from(privateKeyToPem(keys.privateKey)),
    Buffer.from(chainPem),
  );
  const shop = join(plane.addresses.xdsTls, { variant: "delta", workload: workload("shop"), credentials });
  await until("refusal", () => shop.closed !== null);
  assert.match((shop.closed as ServiceError).message, /client certificate of this mesh is required/);
});

test("a join token gets a certificate on the TLS port, and none on the plaintext port", async () => {
  const plane = await start();
  const ask = async (address: string, secure: boolean): Promise<readonly string[] | ServiceError> => {
    const channel = secure ? grpc.createSsl(Buffer.from(plane.ca.bundle.get() ?? "")) : grpc.createInsecure();
    const client = new Client(address, channel, { "grpc.ssl_target_name_override": "localhost" });
    cleanups.push(() => client.close());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${plane.joinTokens.mint(SHOP, 60_000, plane.ca.pins())}`);
    const csr = createCsr(generateKeyPair(), [{ type: "uri", value: formatIdentity(SHOP) }]);
    const { path: method, requestSerialize, responseDeserialize } = caServiceDefinition.createCertificate;
    const request = { $typeName: "istio.v1.auth.IstioCertificateRequest" as const, csr, validityDuration: 0n };
    return new Promise((resolve) => {
      client.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, metadata, (error, response) =>
        resolve(error ?? response?.certChain ?? []),
      );
    });
  };
  const chain = await ask(plane.addresses.xdsTls, true);
  assert.ok(Array.isArray(chain) && chain.length === 2, String(chain));
  assert.ok((await ask(plane.addresses.xds, false)) instanceof Error);
});

test("after a restart nobody's endpoints vanish while the sidecars come back one by one", async () => {
  const stateDir = path.join(directory(), "state");
  mkdirSync(stateDir, { mode: 0o700 });
  const first = await start({ stateDir });
  const shop = join(first.addresses.xds, { variant: "delta", workload: workload("shop") });
  const stock = join(first.addresses.xds, { variant: "delta", workload: workload("stock") });
  const name = "outbound|8080||stock.default";
  const seen = (): number =>
    (shop.held("endpoint").get(name) as EndpointSet | undefined)?.localities.flatMap((l) => l.endpoints).length ?? -1;
  await until("the endpoint", () => seen() === 1 && shop.held("route").size === 3);
  await until("in force", () => first.status().workloads.every(({ stream }) => stream?.upToDate));
  await first.close();
  await until("streams end", () => shop.closed !== null && stock.closed !== null);

  const second = await start({ stateDir, leaseMs: 300, graceMs: 50 });
  assert.deepEqual(
    second.status().workloads.map(({ stage }) => stage),
    ["restored", "restored"],
  );
  shop.received.length = 0;
  shop.connect(second.addresses.xds);
  await until("shop is back", () => second.status().workloads.some(({ stage }) => stage === "serving"));
  assert.equal(seen(), 1, "stock has not come back yet and is still there");
  // Stock never does: its lease ends.
  await until("the lease ends", () => seen() === 0);
  const changed = shop.received.flatMap(({ kind, names, removed }) =>
    [...names, ...removed].map((n) => `${kind} ${n}`),
  );
  assert.deepEqual(changed, [`endpoint ${name}`], "and nothing else was sent");
});

test("manifests are live, a broken one is refused alone and its last good version stays", async () => {
  const configDir = directory();
  writeFileSync(path.join(configDir, "a.yaml"), serviceYaml("stock", 80));
  const plane = await start({ configDir });
  const shop = join(plane.addresses.xds, { variant: "sotw", workload: workload("shop") });
  await until("stock", () => shop.held("listener").has("outbound|80||stock.default"));
  writeFileSync(path.join(configDir, "a.yaml"), serviceYaml("stock", 80).replace("port: 80", "prot: 80"));
  writeFileSync(path.join(configDir, "b.yaml"), serviceYaml("orders", 81));
  await until("orders", () => shop.held("listener").has("outbound|81||orders.default"));
  assert.ok(shop.held("listener").has("outbound|80||stock.default"));
  const { rejected } = plane.status().manifests;
  assert.deepEqual(
    rejected.map(({ file, key, inForce }) => ({ file, key, inForce })),
    [{ file: "a.yaml", key: "Service/default/stock", inForce: "last good version" }],
  );
  assert.match(rejected[0]?.problems[0]?.message ?? "", /unknown field \(did you mean "port"\?\)/);
});

test("status and metrics are there for machines", async () => {
  const plane = await start();
  const shop = join(plane.addresses.xds, { variant: "delta", workload: workload("shop") });
  await until("in force", () => plane.status().workloads[0]?.stream?.upToDate === true && shop.held("route").size > 0);
  const get = async (url: string): Promise<string> => (await fetch(`http://${plane.addresses.status}${url}`)).text();
  const status = JSON.parse(await get("/status")) as ReturnType<ControlPlane["status"]>;
  assert.equal(status.workloads[0]?.node, "shop-1");
  assert.equal(status.workloads[0]?.stream?.appliedRevision, status.revision);
  const metrics = await get("/metrics");
  assert.match(metrics, /^outrigger_control_plane_sidecars_connected 1$/m);
  assert.match(metrics, /^outrigger_control_plane_workloads\{stage="serving"\} 1$/m);
  assert.match(metrics, /^outrigger_control_plane_xds_pushes_total\{kind="cluster",variant="delta"\} \d+$/m);
  assert.equal((await fetch(`http://${plane.addresses.status}/nothing`)).status, 404);
  assert.equal((await fetch(`http://${plane.addresses.status}/status`, { method: "POST" })).status, 405);
});

test("what can't be had is said in one sentence, and nothing is left open", async () => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => blocker.once("listening", resolve));
  cleanups.push(() => void blocker.close());
  const { port } = blocker.address() as AddressInfo;
  await assert.rejects(
    start({ xdsTlsPort: port }),
    (error) => error instanceof UserError && /xDS port/.test(error.message),
  );
  await assert.rejects(
    start({ statusPort: port }),
    (error) => error instanceof UserError && /is in use/.test(error.message),
  );
  await assert.rejects(
    start({ configDir: "/nonexistent/manifests" }),
    (error) =>
      error instanceof UserError && error.message === "manifest directory /nonexistent/manifests: does not exist",
  );
});
