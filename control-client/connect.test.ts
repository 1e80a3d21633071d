import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { spkiSha256 } from "../certs/key.ts";
import { systemClock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import type { Address } from "../model/address.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Secret } from "../model/secret.ts";
import type { PeerValidation, SanMatch, UpstreamTls } from "../model/tls.ts";
import { GrpcTransport } from "./ads/grpc-transport.ts";
import { clusterTargets, controlPlaneTarget, parseHostPort } from "./connect.ts";
import { testAuthority } from "./testing/certificates.ts";
import { ScriptedServer } from "./testing/grpc-server.ts";
import { edsCluster, endpointSet, staticCluster, upstreamTls } from "./testing/models.ts";
import { WIRES, type Wire } from "./testing/wire.ts";

const wire = WIRES[0] as Wire;
const ID = "spiffe://mesh/ns/system/sa/control-plane";
const authority = testAuthority(systemClock.wallTime());
const serverCertificate = authority.issue({ type: "uri", value: ID }, { type: "dns", value: "xds.mesh" });
const clientCertificate = authority.issue({ type: "uri", value: "spiffe://mesh/ns/shop/sa/orders" });
const stranger = testAuthority(systemClock.wallTime());

function validation(overrides: Partial<PeerValidation> = {}): PeerValidation {
  return {
    roots: { kind: "inline", material: { roots: authority.roots, crl: "" } },
    subjectAltNames: [],
    certificateHashes: [],
    spkiHashes: [],
    acceptUntrusted: false,
    allowExpired: false,
    ...overrides,
  };
}

const san = (kind: "exact" | "prefix" | "suffix" | "contains", value: string, type: SanMatch["type"] = "uri") =>
  ({ type, match: { kind, value, ignoreCase: false } }) as const;

async function tlsServer(clientCertificates: boolean): Promise<ScriptedServer> {
  const pair = { private_key: Buffer.from(serverCertificate.key), cert_chain: Buffer.from(serverCertificate.chain) };
  const credentials = ServerCredentials.createSsl(Buffer.from(authority.roots), [pair], clientCertificates);
  return ScriptedServer.start(wire, "127.0.0.1:0", credentials);
}

function clusterAt(port: number, tls: UpstreamTls | null): Cluster {
  return staticCluster("xds", endpointSet("xds", port), { tls });
}

/** "connected", or why not. */
async function connect(cluster: Cluster, secrets: ReadonlyMap<string, Secret> = new Map()): Promise<string> {
  const transport = new GrpcTransport({
    clock: systemClock,
    targets: () => clusterTargets(cluster, (name) => secrets.get(name)),
    method: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    metadata: [],
    connectTimeoutMs: 2000,
  });
  return new Promise((resolve) => {
    const stream = transport.open({
      connected: () => {
        stream.cancel();
        resolve("connected");
      },
      message: () => {},
      closed: resolve,
    });
  });
}

test("a plaintext cluster is reached in plaintext", async () => {
  const server = await ScriptedServer.start(wire);
  assert.equal(await connect(clusterAt(server.port, null)), "connected");
  server.stop();
});

test("TLS: roots, names and hashes decide as in Envoy", async () => {
  const server = await tlsServer(false);
  const leaf = new X509Certificate(serverCertificate.chain);
  const hash = leaf.fingerprint256.replaceAll(":", "").toLowerCase();
  const spki = spkiSha256(leaf.publicKey).toString("base64");
  const otherRoots = { kind: "inline", material: { roots: stranger.roots, crl: "" } } as const;
  const cases: [string, PeerValidation | null, boolean][] = [
    ["trusted roots, no names asked for", validation(), true],
    ["another mesh's roots", validation({ roots: otherRoots }), false],
    ["another mesh's roots, but untrusted is accepted", validation({ roots: otherRoots, acceptUntrusted: true }), true],
    [
      "a hash without roots, which Node would not check",
      validation({ roots: null, certificateHashes: ["0".repeat(64)] }),
      false,
    ],
    [
      "a name of an untrusted certificate, which Node would not check",
      validation({ acceptUntrusted: true, subjectAltNames: [san("exact", "no")] }),
      false,
    ],
    ["no validation at all", null, true],
    ["the right URI", validation({ subjectAltNames: [san("exact", ID)] }), true],
    ["a prefix of it", validation({ subjectAltNames: [san("prefix", "spiffe://mesh/")] }), true],
    ["a suffix of the DNS name", validation({ subjectAltNames: [san("suffix", ".mesh", "dns")] }), true],
    ["part of any name", validation({ subjectAltNames: [san("contains", "system", "any")] }), true],
    ["one of several", validation({ subjectAltNames: [san("exact", "no"), san("exact", ID)] }), true],
    ["the right text in a name of another type", validation({ subjectAltNames: [san("exact", ID, "dns")] }), false],
    ["another URI", validation({ subjectAltNames: [san("exact", `${ID}2`)] }), false],
    [
      "a regex over the whole name",
      validation({ subjectAltNames: [{ type: "uri", match: { kind: "regex", value: "spiffe://mesh/ns/.*" } }] }),
      true,
    ],
    [
      "a regex over a part of it",
      validation({ subjectAltNames: [{ type: "uri", match: { kind: "regex", value: "mesh/ns/" } }] }),
      false,
    ],
    ["the certificate's hash", validation({ certificateHashes: [hash] }), true],
    ["another hash", validation({ certificateHashes: ["0".repeat(64)] }), false],
    ["the key's hash", validation({ spkiHashes: [spki] }), true],
    ["another key's hash", validation({ spkiHashes: [`${"A".repeat(43)}=`] }), false],
  ];
  for (const [name, checks, good] of cases) {
    const result = await connect(clusterAt(server.port, upstreamTls({ validation: checks })));
    assert.equal(result === "connected", good, `${name}: ${result}`);
  }
  server.stop();
});

test("a refusal says which names the server has", async () => {
  const server = await tlsServer(false);
  const tls = upstreamTls({ validation: validation({ subjectAltNames: [san("exact", "spiffe://mesh/other")] }) });
  const reason = await connect(clusterAt(server.port, tls));
  assert.match(
    reason,
    /none of the expected names \(it has: spiffe:\/\/mesh\/ns\/system\/sa\/control-plane, xds\.mesh\)/,
  );
  server.stop();
});

test("a client certificate is shown: inline, or by SDS name once it is there", async () => {
  const server = await tlsServer(true);
  const material = { certificateChain: clientCertificate.chain, privateKey: clientCertificate.key, password: "" };
  const inline = upstreamTls({ validation: validation(), certificates: [{ kind: "inline", material }] });
  assert.equal(await connect(clusterAt(server.port, inline)), "connected");
  const none = upstreamTls({ validation: validation() });
  assert.notEqual(await connect(clusterAt(server.port, none)), "connected");
  const sds = upstreamTls({ validation: validation(), certificates: [{ kind: "sds", name: "client" }] });
  assert.equal(await connect(clusterAt(server.port, sds)), 'the certificate "client" is not there yet');
  const secrets = new Map([["client", { kind: "certificate", name: "client", material } as const]]);
  assert.equal(await connect(clusterAt(server.port, sds), secrets), "connected");
  server.stop();
});

test("endpoints are tried by priority, healthy ones only; addresses of every kind", () => {
  const at = (address: Address, priority: number, health: "healthy" | "unhealthy" = "healthy") => ({
    locality: { region: "", zone: "", subZone: "" },
    weight: null,
    priority,
    endpoints: [{ address, weight: 1, health, hostname: "", transportSocketMatch: {}, workload: "" }],
  });
  const cluster = staticCluster("xds", {
    name: "xds",
    overprovisioningFactor: 140,
    localities: [
      at({ kind: "tcp", host: "10.0.0.1", port: 1 }, 1),
      at({ kind: "tcp", host: "10.0.0.2", port: 2 }, 0, "unhealthy"),
      at({ kind: "tcp", host: "fd00::1", port: 3 }, 0),
      at({ kind: "tcp", host: "xds.example", port: 4 }, 0),
      at({ kind: "pipe", path: "/run/xds.sock" }, 0),
    ],
  });
  assert.deepEqual(
    clusterTargets(cluster, () => undefined).map((target) => target.address),
    ["ipv6:[fd00::1]:3", "dns:///xds.example:4", "unix:/run/xds.sock", "ipv4:10.0.0.1:1"],
  );
});

test("a cluster without endpoints of its own is refused", () => {
  assert.throws(
    () => clusterTargets(edsCluster("xds"), () => undefined),
    (error) => error instanceof UserError && /cluster "xds": leads to the control plane but/.test(error.message),
  );
});

test("HOST:PORT", () => {
  assert.deepEqual(parseHostPort("localhost:15010"), { kind: "tcp", host: "localhost", port: 15010 });
  assert.deepEqual(parseHostPort("[::1]:15010"), { kind: "tcp", host: "::1", port: 15010 });
  for (const bad of ["", "localhost", ":1", "a:0", "a:65536", "::1:15010", "a:b", "a:1 ", "http://a:1"]) {
    assert.throws(() => parseHostPort(bad), UserError, bad);
  }
  const target = controlPlaneTarget("cp.example:15012", () => assert.fail("not yet"));
  assert.equal(target.address, "dns:///cp.example:15012");
  assert.equal(target.options["grpc.ssl_target_name_override"], "cp.example");
  const named = controlPlaneTarget("127.0.0.1:15012", () => assert.fail("not yet"), "cp");
  assert.equal(named.options["grpc.ssl_target_name_override"], "cp");
});
