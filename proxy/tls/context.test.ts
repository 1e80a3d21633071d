import assert from "node:assert/strict";
import { test } from "node:test";
import tls from "node:tls";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import { systemClock } from "../../core/clock.ts";
import { WatchCell } from "../../core/watch.ts";
import type { Secret } from "../../model/secret.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import { ClientTlsContext } from "./client-context.ts";
import { ContextCache } from "./context-cache.ts";
import { explainHandshake } from "./failure.ts";
import { secureOptions } from "./params.ts";
import { secretsView } from "./secrets-view.ts";
import { SessionCache } from "./session-cache.ts";
import { certify, NO_SECRETS, trusting, upstream, withCa } from "./testing/fixture.ts";

const mesh = withCa((ca) => ({ web: certify(ca, "web"), orders: certify(ca, "orders"), validation: trusting(ca) }));

test("clusters that name equal material share one context, made at the first connection", () => {
  const contexts = new ContextCache();
  const cluster = (certificate = mesh.web, sni = "") =>
    new ClientTlsContext(
      upstream(structuredClone(certificate), { sni, validation: mesh.validation }),
      NO_SECRETS,
      contexts,
      systemClock,
    );
  const clusters = Array.from({ length: 20 }, (_, index) => cluster(mesh.web, `s${index}.test`));
  assert.equal(contexts.size, 0);
  const used = new Set(clusters.map((each) => each.begin("").options.secureContext));
  assert.deepEqual([used.size, contexts.size], [1, 1]);
  assert.notEqual(cluster(mesh.orders).begin("").options.secureContext, [...used][0]);
  assert.equal(contexts.size, 2);
});

test("material that OpenSSL refuses is named when the connection would begin", () => {
  const broken = { ...mesh.web, privateKey: mesh.orders.privateKey };
  const context = new ClientTlsContext(upstream(broken), NO_SECRETS, new ContextCache(), systemClock);
  assert.throws(() => context.begin(""), /the cluster's TLS certificate cannot be used: .*mismatch/);
  const missing = upstream(null, { certificates: [{ kind: "sds", name: "default" }] });
  const waiting = new ClientTlsContext(missing, NO_SECRETS, new ContextCache(), systemClock);
  assert.equal(waiting.current(), null);
  assert.throws(() => waiting.begin(""), /the certificate "default" has not arrived yet/);
});

test("secrets: the snapshot's first, else the workload's own; the same objects until something changes", () => {
  const snapshots = new WatchCell<Snapshot>(EMPTY_SNAPSHOT);
  const identity = new WatchCell<WorkloadCertificate>();
  const view = secretsView(snapshots, identity);
  const certificate = () => view.certificate({ kind: "sds", name: "default" });
  const trust = () => view.trust({ kind: "sds", name: "ROOTCA" });
  assert.deepEqual([certificate(), trust()], [null, null]);
  const own = {
    spiffeId: "",
    chainPem: "chain",
    keyPem: "key",
    rootsPem: "roots",
    serial: "",
    notBefore: 0,
    notAfter: 0,
  };
  identity.set(own);
  assert.deepEqual(certificate(), { certificateChain: "chain", privateKey: "key", password: "" });
  assert.deepEqual(trust(), { roots: "roots", crl: "" });
  assert.equal(certificate(), certificate());
  assert.equal(view.certificate({ kind: "sds", name: "other" }), null);
  const secret: Secret = { kind: "trust", name: "ROOTCA", material: { roots: "newer", crl: "" } };
  snapshots.set({ ...EMPTY_SNAPSHOT, secrets: new Map([["ROOTCA", secret]]) });
  assert.equal(trust(), secret.material);
  assert.equal(view.certificate({ kind: "sds", name: "ROOTCA" }), null);
  assert.equal(view.certificate({ kind: "inline", material: mesh.web }), mesh.web);
});

test("sessions: bounded, for their context and server, and no longer than the server's certificate", () => {
  const cache = new SessionCache(2);
  const [one, two] = [tls.createSecureContext(), tls.createSecureContext()];
  const add = (name: string, context = one, peerNotAfter = 100) =>
    cache.add({ session: Buffer.from(name), serverName: name, context, peerNotAfter });
  for (const name of ["a", "b", "c"]) add(name);
  assert.equal(cache.size, 2);
  assert.equal(cache.find("a", one, 0), undefined);
  assert.equal(String(cache.find("c", one, 0)), "c");
  assert.equal(cache.find("c", one, 100), undefined);
  assert.equal(cache.size, 0);
  add("d");
  assert.equal(cache.find("d", two, 0), undefined);
  assert.equal(cache.find("d", one, 0), undefined, "the old identity is not brought back");
  const off = new SessionCache(0);
  off.add({ session: Buffer.from("x"), serverName: "", context: one, peerNotAfter: 100 });
  assert.equal(off.size, 0);
});

test("versions: Envoy's defaults, and limits that do not contradict each other", () => {
  const range = (side: "server" | "client", min: "TLSv1" | "TLSv1.3" | null) => {
    const options = secureOptions({ minVersion: min, maxVersion: null, cipherSuites: [], ecdhCurves: [] }, side, true);
    tls.createSecureContext(options);
    return [options.minVersion, options.maxVersion];
  };
  assert.deepEqual(range("client", null), ["TLSv1.2", "TLSv1.2"]);
  assert.deepEqual(range("server", null), ["TLSv1.2", "TLSv1.3"]);
  assert.deepEqual(range("client", "TLSv1.3"), ["TLSv1.3", "TLSv1.3"]);
  assert.deepEqual(range("server", "TLSv1"), ["TLSv1", "TLSv1.3"]);
});

test("errors in words", () => {
  const coded = (code: string, reason?: string) =>
    Object.assign(new Error(`0A0:error:${code}:file.c:1`), { code, reason });
  const cases: [string, "server" | "client", string, RegExp][] = [
    [
      "ERR_SSL_WRONG_VERSION_NUMBER",
      "server",
      "plaintext_peer",
      /^the peer answered in plaintext: is it in the mesh\?$/,
    ],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "server", "refused_by_peer", /does not trust the authority that signed our/],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "server", "refused_by_peer", /our certificate has expired/],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "server", "refused_by_peer", /requires a client certificate/],
    ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "client", "no_certificate", /is it in the mesh/],
    ["ECONNRESET", "client", "handshake", /^the client closed the connection during the TLS handshake$/],
    ["ERR_SSL_SOMETHING_ELSE", "client", "handshake", /^the TLS handshake failed: something else$/],
  ];
  for (const [code, side, kind, sentence] of cases) {
    const failure = explainHandshake(coded(code, "something else"), side);
    assert.equal(failure.kind, kind);
    assert.match(failure.message, sentence);
  }
});
