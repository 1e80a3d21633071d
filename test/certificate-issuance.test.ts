/** Certificates over the wire: a workload joins with a token, renews with its certificate, and follows the roots. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { CertificateAuthority } from "../certs/ca.ts";
import { createCsr, parseCsr } from "../certs/csr.ts";
import { inspectCertificates, parseCertificates } from "../certs/inspect.ts";
import { JoinTokens, readRootPins } from "../certs/join-token.ts";
import { generateKeyPair } from "../certs/key.ts";
import { WorkloadIdentity } from "../certs/rotation.ts";
import { issuedCertificate, type WorkloadCertificate } from "../certs/workload-certificate.ts";
import { type CaClientOptions, caIssuer } from "../control-client/ca/ca-client.ts";
import { CaService, caServiceDefinition } from "../control-plane/ca/ca-service.ts";
import { bindGrpc, type GrpcPort } from "../control-plane/grpc-ports.ts";
import { type ServerIdentity, serverIdentity } from "../control-plane/server-credentials.ts";
import { systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { nextValue } from "../core/watch.ts";
import { controlPlaneIdentity, formatIdentity } from "../model/identity.ts";
import { requireTool } from "./support/tools.ts";

const IDENTITY = { trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" };
const SPIFFE = formatIdentity(IDENTITY);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Plane {
  readonly dir: string;
  readonly ca: CertificateAuthority;
  readonly tokens: JoinTokens;
  readonly port: GrpcPort;
  readonly identity: ServerIdentity;
}

async function startPlane(intermediate: boolean): Promise<Plane> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-issuance-"));
  const ca = new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock: systemClock, intermediate });
  const tokens = new JoinTokens(dir, systemClock);
  const service = new CaService({ ca, joinTokens: tokens, clock: systemClock, log: quiet });
  const identity = await serverIdentity(ca, systemClock, systemRandom, quiet);
  const services = [{ definition: caServiceDefinition, implementation: service.implementation }];
  return { dir, ca, tokens, identity, port: await bindGrpc("127.0.0.1", 0, identity.credentials, services) };
}

let plane: Plane;
beforeEach(async () => {
  plane = await startPlane(true);
});
afterEach(() => {
  plane.port.close();
  plane.identity.stop();
  fs.rmSync(plane.dir, { recursive: true, force: true });
});

function client(more: Partial<CaClientOptions>) {
  return caIssuer({
    host: "127.0.0.1",
    port: plane.port.port,
    spiffeId: formatIdentity(controlPlaneIdentity("mesh.test")),
    token: () => null,
    roots: () => null,
    certificate: () => undefined,
    clock: systemClock,
    timeoutMs: 3000,
    ...more,
  });
}

const mint = (identity = IDENTITY): string => plane.tokens.mint(identity, 60_000, plane.ca.pins());
const csrOf = (keys = generateKeyPair(), uri = SPIFFE): string => createCsr(keys, [{ type: "uri", value: uri }]);

/** A certificate of this mesh as a workload holds it. */
function holding(lifetimeMs: number | null = null, spiffeId = SPIFFE): WorkloadCertificate {
  const keys = generateKeyPair();
  const issued = plane.ca.issue(keys.publicKey, [{ type: "uri", value: spiffeId }], lifetimeMs);
  return issuedCertificate(issued.chainPem, plane.ca.bundle.get() ?? "", keys, spiffeId);
}

test("a workload that knows only its token joins: roots by their pin, then the certificate", async () => {
  const token = mint();
  const { chain, roots } = await client({ token: () => token })(csrOf(), 90_000);
  const [leaf, intermediate, ...rest] = inspectCertificates(chain);
  assert.deepEqual(leaf?.uris, [SPIFFE]);
  assert.equal(intermediate?.isCa, true);
  assert.equal(rest.length, 0);
  assert.ok(Math.abs((leaf?.notAfter ?? 0) - Date.now() - 90_000) < 10_000);
  assert.equal(roots, plane.ca.bundle.get());
});

test("a used token is refused to another key, and repeated for the same one: an answer may be lost", async () => {
  const token = mint();
  const issue = client({ token: () => token });
  const csr = csrOf();
  await issue(csr, null);
  const again = await issue(csr, null);
  assert.deepEqual(inspectCertificates(again.chain)[0]?.uris, [SPIFFE]);
  await assert.rejects(issue(csrOf(), null), /refused: the join token is unknown, was used already, or has expired/);
});

test("a token mints nothing but its own identity", async () => {
  const token = mint();
  await assert.rejects(
    client({ token: () => token })(csrOf(generateKeyPair(), "spiffe://mesh.test/ns/shop/sa/admin"), null),
    /asks for spiffe:\/\/mesh.test\/ns\/shop\/sa\/admin, the caller is spiffe:\/\/mesh.test\/ns\/shop\/sa\/orders/,
  );
  const foreign = mint({ ...IDENTITY, trustDomain: "other.test" });
  await assert.rejects(client({ token: () => foreign })(csrOf(), null), /belongs to trust domain "other.test"/);
});

test("renewal: the certificate in force is enough, for its own identity only", async () => {
  const current = holding();
  const issue = client({ certificate: () => current });
  const { chain } = await issue(csrOf(), null);
  assert.deepEqual(inspectCertificates(chain)[0]?.uris, [SPIFFE]);
  await assert.rejects(issue(csrOf(generateKeyPair(), "spiffe://mesh.test/ns/shop/sa/admin"), null), /the caller is/);
});

test("who shows nothing, or a certificate of another mesh, gets nothing", async () => {
  const roots = plane.ca.bundle.get() ?? "";
  await assert.rejects(
    client({ roots: () => roots })(csrOf(), null),
    /a join token or a valid certificate of this mesh/,
  );
  const other = await startPlane(false);
  const keys = generateKeyPair();
  const issued = other.ca.issue(keys.publicKey, [{ type: "uri", value: SPIFFE }], null);
  const stranger = { ...issuedCertificate(issued.chainPem, issued.rootPem, keys, SPIFFE), rootsPem: roots };
  await assert.rejects(
    client({ certificate: () => stranger })(csrOf(), null),
    /a join token or a valid certificate of this mesh/,
  );
  const token = other.tokens.mint(IDENTITY, 60_000, other.ca.pins());
  await assert.rejects(
    client({ token: () => token })(csrOf(), null),
    /does not present the root that the join token names/,
  );
  const workload = client({ roots: () => roots, spiffeId: SPIFFE, serverName: "elsewhere.test", token: () => mint() });
  await assert.rejects(
    workload(csrOf(), null),
    /the server is not the control plane: its certificate is for spiffe:.*control-plane/,
  );
  other.port.close();
  other.identity.stop();
  fs.rmSync(other.dir, { recursive: true });
});

test("a malformed request does not cost the token", async () => {
  const token = mint();
  const issue = client({ token: () => token });
  await assert.rejects(issue("nonsense", null), /refused: expected one CERTIFICATE REQUEST in PEM/);
  await issue(csrOf(), null);
});

test("a process of the same user mints its own token, once the control plane is there to take it", async () => {
  const dir = plane.dir;
  let minted = 0;
  const local: Partial<CaClientOptions> = {
    roots: () => fs.readFileSync(path.join(dir, "ca", "bundle.pem"), "utf8"),
    token: () => {
      minted++;
      return new JoinTokens(dir, systemClock).mint(IDENTITY, 60_000, readRootPins(dir));
    },
  };
  await client(local)(csrOf(), null);
  assert.equal(minted, 1);
  const { port } = plane.port;
  plane.port.close();
  await assert.rejects(client({ ...local, port })(csrOf(), null), /cannot be reached, .*ECONNREFUSED/);
  assert.equal(minted, 1);
});

test("a port that does not speak TLS is named as such", async () => {
  const plain = net.createServer((socket) =>
    socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"),
  );
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port } = plain.address() as net.AddressInfo;
  const token = mint();
  await assert.rejects(
    client({ port, token: () => token })(csrOf(), null),
    /answered in plaintext: is this the TLS port/,
  );
  plain.close();
});

test("an identity lives through a root rotation, and so does the control plane's own port", async () => {
  const token = mint();
  const identity: WorkloadIdentity = new WorkloadIdentity({
    identity: IDENTITY,
    clock: systemClock,
    random: systemRandom,
    lifetimeMs: 60_000,
    issue: client({ token: () => token, certificate: () => identity.certificate.get() }),
  });
  identity.start();
  const first = await nextValue(identity.certificate);
  const renewed = async (): Promise<WorkloadCertificate> => {
    const { serial } = identity.certificate.get() ?? {};
    identity.renew();
    return nextValue(identity.certificate, (certificate) => certificate.serial !== serial);
  };
  const old = plane.ca.roots()[0]?.id ?? "";
  const id = plane.ca.addRoot();
  const second = await renewed();
  assert.equal(parseCertificates(second.rootsPem).length, 2);
  plane.ca.activateRoot(id);
  const third = await renewed();
  plane.ca.retireRoot(old);
  const fourth = await renewed();
  assert.equal(parseCertificates(fourth.rootsPem).length, 1);
  const fifth = await renewed();
  assert.equal(new Set([first, second, third, fourth, fifth].map(({ serial }) => serial)).size, 5);
  identity.stop();
});

test("the server's certificate is replaced for new connections without a restart; openssl sees both", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const serial = async (): Promise<string> => {
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${plane.port.port}`, "-alpn", "h2"]);
    child.stdin.end();
    let out = "";
    for await (const data of child.stdout) out += data;
    return inspectCertificates(out)[0]?.serial ?? "none";
  };
  const before = await serial();
  assert.equal(await serial(), before);
  plane.ca.addRoot();
  const info = inspectCertificates(plane.ca.bundle.get() ?? "");
  assert.equal(info.length, 2);
  const chain = spawn("openssl", ["s_client", "-showcerts", "-connect", `127.0.0.1:${plane.port.port}`, "-alpn", "h2"]);
  chain.stdin.end();
  let shown = "";
  for await (const data of chain.stdout) shown += data;
  const presented = inspectCertificates(shown).map(({ sha256 }) => sha256);
  for (const { sha256 } of info) assert.ok(presented.includes(sha256), "every root of the bundle is presented");
});

test("what the service signs is for the key of the request", async () => {
  const keys = generateKeyPair();
  const csr = csrOf(keys);
  const token = mint();
  const { chain, roots } = await client({ token: () => token })(csr, null);
  assert.ok(parseCsr(csr).publicKey.equals(keys.publicKey));
  assert.equal(issuedCertificate(chain, roots, keys, SPIFFE).spiffeId, SPIFFE);
});
