/** The workload's certificate is the main thread's; workers show the newest, those that join later, too. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { CertificateAuthority } from "../certs/ca.ts";
import { createCsr, parseCsr } from "../certs/csr.ts";
import { generateKeyPair } from "../certs/key.ts";
import { issuedCertificate, type WorkloadCertificate } from "../certs/workload-certificate.ts";
import { systemClock } from "../core/clock.ts";
import { WatchCell } from "../core/watch.ts";
import { formatIdentity } from "../model/identity.ts";
import type { FilterChain, Listener } from "../model/listener.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { WORKLOAD_CERT } from "../model/tls.ts";
import { bootstrapOf, secured, snapshotOf } from "./support/running-proxy.ts";
import { type RunningWorkers, startWorkers } from "./support/running-workers.ts";
import { connectTo, ok, Upstream, type Wire } from "./support/wire.ts";

const SPIFFE = formatIdentity({ trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" });

/** Issues as the control plane does. */
function issuer(t: TestContext): () => WorkloadCertificate {
  const stateDir = mkdtempSync(path.join(tmpdir(), "outrigger-workers-"));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const ca = new CertificateAuthority({ stateDir, trustDomain: "mesh.test", clock: systemClock });
  return () => {
    const keys = generateKeyPair();
    const { publicKey, uris } = parseCsr(createCsr(keys, [{ type: "uri", value: SPIFFE }]));
    const names = uris.map((value) => ({ type: "uri" as const, value }));
    return issuedCertificate(ca.issue(publicKey, names, null).chainPem, ca.bundle.get() ?? "", keys, SPIFFE);
  };
}

/** The listener serves TLS with the workload's own certificate. */
function ownCertificate(snapshot: Snapshot): Snapshot {
  const chainOf = (chain: FilterChain): FilterChain => {
    assert.ok(chain.tls);
    return { ...chain, tls: { ...chain.tls, certificates: [{ kind: "sds", name: WORKLOAD_CERT }] } };
  };
  const listeners = [...snapshot.listeners].map(([name, listener]): [string, Listener] => [
    name,
    { ...listener, filterChains: listener.filterChains.map(chainOf) },
  ]);
  return { ...snapshot, listeners: new Map(listeners), revision: "own" };
}

/** Serial numbers that new connections are shown, over enough of them to meet both workers. */
async function shown(proxy: RunningWorkers): Promise<Set<string>> {
  const serials = Array.from({ length: 30 }, async () => {
    const wire = await connectTo(proxy.port, {});
    const { raw } = (wire.socket as TLSSocket).getPeerCertificate();
    wire.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert.equal((await wire.message()).body, "x");
    wire.destroy();
    return new X509Certificate(raw).serialNumber.toLowerCase();
  });
  return new Set(await Promise.all(serials));
}

const normal = (serial: string): string => serial.toLowerCase().replaceAll(":", "");

test("a renewed certificate is shown by both workers, and by one that comes later", async (t) => {
  const issue = issuer(t);
  const upstream = await Upstream.serving(t, () => ok("x"));
  const identity = new WatchCell<WorkloadCertificate>();
  const first = issue();
  identity.set(first);
  const config = secured({ upstreams: [upstream.port] });
  const proxy = await startWorkers(t, config, { identity });
  assert.deepEqual(await proxy.apply(ownCertificate(snapshotOf(bootstrapOf(config)))), []);
  assert.deepEqual(await shown(proxy), new Set([normal(first.serial)]));
  assert.ok((await proxy.accepted()).every((count) => count > 0));

  const renewed = issue();
  assert.notEqual(renewed.serial, first.serial);
  identity.set(renewed);
  // Numbers come after the certificate, on the same way.
  await proxy.source.refresh();
  assert.deepEqual(await shown(proxy), new Set([normal(renewed.serial)]));
  assert.deepEqual(
    proxy.source.certificates().flatMap(({ role, serial }) => (role === "own" ? [normal(serial)] : [])),
    [normal(renewed.serial)],
  );

  await proxy.kill(0);
  await proxy.restarted(0, 1);
  assert.deepEqual(await shown(proxy), new Set([normal(renewed.serial)]));
});

test("a TLS session that one worker began is resumed by the other", async (t) => {
  const upstream = await Upstream.serving(t, () => ok("x"));
  const proxy = await startWorkers(t, secured({ upstreams: [upstream.port] }));
  const ask = async (wire: Wire): Promise<boolean> => {
    wire.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert.equal((await wire.message()).body, "x");
    return (wire.socket as TLSSocket).isSessionReused();
  };
  const first = await connectTo(proxy.port, {});
  // TLS 1.3 sends tickets after the handshake.
  const ticket = new Promise<Buffer>((resolve) => first.socket.once("session", resolve));
  assert.equal(await ask(first), false);
  const session = await ticket;
  first.destroy();
  for (let i = 0; i < 20; i++) {
    const wire = await connectTo(proxy.port, { session });
    assert.ok(await ask(wire), `connection ${i}`);
    wire.destroy();
  }
  assert.ok((await proxy.accepted()).every((count) => count > 0));
});
