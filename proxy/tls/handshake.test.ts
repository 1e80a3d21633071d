/** Both sides of TLS together, over real sockets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import { systemClock } from "../../core/clock.ts";
import { WatchCell } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { EMPTY_SNAPSHOT } from "../../model/snapshot.ts";
import type { DownstreamTls, UpstreamTls } from "../../model/tls.ts";
import { requireTool } from "../../test/support/tools.ts";
import { ClientTlsContext } from "./client-context.ts";
import { ContextCache } from "./context-cache.ts";
import { secretsView } from "./secrets-view.ts";
import { ServerTlsContext } from "./server-context.ts";
import {
  callServer,
  certify,
  downstream,
  EchoServer,
  NO_SECRETS,
  trusting,
  upstream,
  withCa,
} from "./testing/fixture.ts";

const contexts = new ContextCache();
const server = (config: DownstreamTls) => new ServerTlsContext(config, NO_SECRETS, contexts);
const client = (config: UpstreamTls) => new ClientTlsContext(config, NO_SECRETS, contexts, systemClock);

const mesh = withCa((ca) => ({
  orders: certify(ca, "orders"),
  web: certify(ca, "web"),
  site: certify(ca, "site", [
    { type: "dns", value: "*.shop.test" },
    { type: "ip", value: "127.0.0.1" },
  ]),
  validation: trusting(ca),
}));
const other = withCa((ca) => ({ orders: certify(ca, "orders"), validation: trusting(ca) }));
const uri = (value: string) => ({ type: "uri" as const, match: { kind: "exact" as const, value, ignoreCase: false } });
const ORDERS = "spiffe://mesh.test/ns/shop/sa/orders";
const WEB = "spiffe://mesh.test/ns/shop/sa/web";
const strict: Partial<DownstreamTls> = { validation: mesh.validation, requireClientCertificate: true };

test("mutual TLS: each side learns who the other is", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
  const validation = { ...mesh.validation, subjectAltNames: [uri(ORDERS)] };
  const outcome = await callServer(client(upstream(mesh.web, { validation, sni: "orders.shop" })), echo.port);
  assert.deepEqual(outcome, { refused: null, reused: false, alpn: "", echoed: "ping" });
  const { tls: info } = await echo.next();
  const certificate = new X509Certificate(mesh.web.certificateChain);
  assert.equal(info?.version, "TLSv1.2");
  assert.equal(info?.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
  assert.equal(info?.sni, "orders.shop");
  assert.deepEqual(info?.localUriSans, [ORDERS]);
  assert.deepEqual(info?.peer?.uriSans, [WEB]);
  assert.equal(info?.peer?.verified, true);
  assert.equal(info?.peer?.fingerprint256, certificate.fingerprint256.replaceAll(":", "").toLowerCase());
  assert.equal(info?.peer?.pem(), certificate.toString());
});

test("what the server refuses, and why", async () => {
  const cases: [Partial<DownstreamTls>, UpstreamTls, string, RegExp][] = [
    [strict, upstream(null), "no_certificate", /showed no certificate, and one is required: is it in the mesh\?/],
    [
      strict,
      upstream(other.orders),
      "untrusted",
      /\(spiffe:\/\/mesh.test\/ns\/shop\/sa\/orders\) is not trusted: its issuer/,
    ],
    [
      { ...strict, validation: { ...mesh.validation, subjectAltNames: [uri(ORDERS)] } },
      upstream(mesh.web),
      "san_mismatch",
      /\(spiffe:\/\/mesh.test\/ns\/shop\/sa\/web\) is for somebody else: expected exact "spiffe:.*orders"/,
    ],
    [
      { ...strict, validation: { ...mesh.validation, certificateHashes: ["0".repeat(64)] } },
      upstream(mesh.web),
      "pin_mismatch",
      /is not one of the pinned ones/,
    ],
    [{ requireSni: true }, upstream(null), "sni_required", /named no server/],
    [
      { params: { minVersion: "TLSv1.3", maxVersion: null, cipherSuites: [], ecdhCurves: [] } },
      upstream(null),
      "handshake",
      /no TLS version or cipher in common/,
    ],
  ];
  for (const [config, caller, kind, sentence] of cases) {
    await using echo = await EchoServer.start(server(downstream(mesh.orders, config)));
    const outcome = await callServer(client(caller), echo.port);
    assert.notEqual(outcome.refused, null, kind);
    const { failure } = await echo.next();
    assert.equal(failure?.kind, kind);
    assert.match(failure?.message ?? "", sentence);
  }
});

test("what the client refuses, and why", async () => {
  const plain = net.createServer((socket) =>
    socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"),
  );
  const silent = net.createServer((socket) => socket.on("error", () => undefined).end());
  for (const listener of [plain, silent])
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const portOf = (listener: net.Server): number => (listener.address() as net.AddressInfo).port;
  const caller = client(upstream(mesh.web, { validation: mesh.validation }));
  assert.equal((await callServer(caller, portOf(plain))).refused, "the peer answered in plaintext: is it in the mesh?");
  assert.match(
    (await callServer(caller, portOf(silent))).refused ?? "",
    /closed the connection during the TLS handshake/,
  );
  plain.close();
  silent.close();

  await using stranger = await EchoServer.start(server(downstream(other.orders)));
  assert.match((await callServer(caller, stranger.port)).refused ?? "", /is not trusted: its issuer/);
  await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
  const picky = client(upstream(mesh.web, { validation: { ...mesh.validation, subjectAltNames: [uri(WEB)] } }));
  assert.match((await callServer(picky, echo.port)).refused ?? "", /orders\) is for somebody else: expected exact/);
  const anonymous = client(upstream(null, { validation: mesh.validation }));
  assert.match(
    (await callServer(anonymous, echo.port)).refused ?? "",
    /refused the TLS handshake: .*requires a client certificate/,
  );
});

test("a client certificate is optional where it is not required, but what is shown must be good", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.orders, { validation: mesh.validation })));
  assert.equal((await callServer(client(upstream(null)), echo.port)).refused, null);
  assert.equal((await echo.next()).tls?.peer, null);
  assert.notEqual((await callServer(client(upstream(other.orders)), echo.port)).refused, null);
  assert.equal((await echo.next()).failure?.kind, "untrusted");
});

test("as in Envoy, names to check make a certificate mandatory, and nothing to check makes it needless", async () => {
  const named = { validation: { ...mesh.validation, subjectAltNames: [uri(WEB)] } };
  await using echo = await EchoServer.start(server(downstream(mesh.orders, named)));
  assert.notEqual((await callServer(client(upstream(null)), echo.port)).refused, null);
  assert.equal((await echo.next()).failure?.kind, "no_certificate");
  await using open = await EchoServer.start(server(downstream(mesh.orders, { requireClientCertificate: true })));
  assert.equal((await callServer(client(upstream(null)), open.port)).refused, null);
});

test("accepting the untrusted still tells verified from not", async () => {
  const lax = { validation: { ...mesh.validation, acceptUntrusted: true } };
  await using echo = await EchoServer.start(server(downstream(mesh.orders, lax)));
  for (const [certificate, verified] of [
    [other.orders, false],
    [mesh.web, true],
  ] as const) {
    assert.equal((await callServer(client(upstream(certificate)), echo.port)).refused, null);
    assert.equal((await echo.next()).tls?.peer?.verified, verified);
  }
});

test("pins: the certificate's hash or its key's, either is enough", async () => {
  const leaf = new X509Certificate(mesh.web.certificateChain);
  const hash = leaf.fingerprint256.replaceAll(":", "").toLowerCase();
  const spki = createHash("sha256")
    .update(leaf.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
  for (const pins of [{ certificateHashes: [hash] }, { spkiHashes: [spki], certificateHashes: ["0".repeat(64)] }]) {
    const validation = { ...mesh.validation, roots: null, ...pins };
    await using echo = await EchoServer.start(server(downstream(mesh.orders, { validation })));
    assert.equal((await callServer(client(upstream(mesh.web)), echo.port)).refused, null);
    assert.notEqual((await callServer(client(upstream(mesh.orders)), echo.port)).refused, null);
  }
});

test("a secret's own checks count on both sides, and go with the secret", async () => {
  const roots = mesh.validation.roots?.kind === "inline" ? mesh.validation.roots.material.roots : "";
  const only = (sans: string[]): Snapshot => {
    const checks = { ...mesh.validation, roots: null, subjectAltNames: sans.map(uri) };
    const secret = { kind: "trust" as const, name: "trust", material: { roots, crl: "", checks } };
    return { ...EMPTY_SNAPSHOT, secrets: new Map([["trust", secret]]) };
  };
  const snapshots = new WatchCell<Snapshot>(only([ORDERS]));
  const secrets = secretsView(snapshots, null);
  const validation = { ...mesh.validation, roots: { kind: "sds" as const, name: "trust" } };
  const asClient = new ClientTlsContext(upstream(mesh.web, { validation }), secrets, contexts, systemClock);
  const asServer = new ServerTlsContext(downstream(mesh.orders, { validation }), secrets, contexts);

  await using plain = await EchoServer.start(server(downstream(mesh.orders)));
  assert.equal((await callServer(asClient, plain.port)).refused, null);
  await using picky = await EchoServer.start(asServer);
  assert.notEqual((await callServer(client(upstream(mesh.web)), picky.port)).refused, null);
  assert.equal((await picky.next()).failure?.kind, "san_mismatch");
  assert.notEqual((await callServer(client(upstream(null)), picky.port)).refused, null, "now a certificate is needed");

  snapshots.set(only([WEB]));
  assert.match((await callServer(asClient, plain.port)).refused ?? "", /is for somebody else: expected exact/);
  assert.equal((await callServer(client(upstream(mesh.web)), picky.port)).refused, null);
});

test("the server's name, as SNI and as the name that its certificate must have", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.site)));
  const byName = client(
    upstream(null, { validation: mesh.validation, autoHostSni: true, autoSanValidation: true, sni: "unused.test" }),
  );
  assert.equal((await callServer(byName, echo.port, "a.shop.test")).refused, null);
  assert.equal((await echo.next()).tls?.sni, "a.shop.test");
  assert.match(
    (await callServer(byName, echo.port, "a.b.shop.test")).refused ?? "",
    /expected exact "a\.b\.shop\.test"/,
  );
  assert.equal((await callServer(byName, echo.port, "127.0.0.1")).refused, null);
  await echo.next();
  assert.equal((await echo.next()).tls?.sni, "");
});

test("ALPN: ours is preferred, and nothing in common is no reason to abort", async () => {
  const ask = async (ours: readonly string[], offered: readonly string[]) => {
    const hello = { serverName: "", alpn: offered };
    await using echo = await EchoServer.start(server(downstream(mesh.orders, { alpn: ours })), hello);
    return (await callServer(client(upstream(null, { alpn: offered })), echo.port)).alpn;
  };
  assert.equal(await ask(["h2", "http/1.1"], ["http/1.1", "h2"]), "h2");
  assert.equal(await ask(["http/1.1"], ["h2", "http/1.1"]), "http/1.1");
  assert.equal(await ask(["h2"], ["istio-peer-exchange"]), "");
  assert.equal(await ask(["h2"], []), "");
});

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: resumed sessions keep the client's identity, and rotation ends them`, async () => {
    const params = { minVersion: version, maxVersion: version, cipherSuites: [], ecdhCurves: [] };
    await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
    const identity = new WatchCell<WorkloadCertificate>();
    const publish = (material: typeof mesh.web, spiffeId: string): void =>
      identity.set({
        spiffeId,
        chainPem: material.certificateChain,
        keyPem: material.privateKey,
        rootsPem: "",
        serial: "",
        notBefore: 0,
        notAfter: 0,
      });
    publish(mesh.web, WEB);
    const config = upstream(null, {
      params,
      validation: mesh.validation,
      certificates: [{ kind: "sds", name: "default" }],
    });
    const secrets = secretsView({ get: () => EMPTY_SNAPSHOT }, identity);
    const caller = new ClientTlsContext(config, secrets, contexts, systemClock);
    const call = async () => {
      const { refused, reused } = await callServer(caller, echo.port);
      const { tls: info } = await echo.next();
      return [refused, reused, info?.resumed, info?.peer?.uriSans[0], info?.peer?.verified];
    };
    assert.deepEqual(await call(), [null, false, false, WEB, true]);
    assert.deepEqual(await call(), [null, true, true, WEB, true]);
    assert.deepEqual(await call(), [null, true, true, WEB, true]);
    const before = caller.current();
    assert.equal(caller.current(), before);
    publish(mesh.orders, ORDERS);
    assert.ok(before !== null && caller.current() !== before);
    assert.deepEqual(await call(), [null, false, false, ORDERS, true]);
    assert.deepEqual(await call(), [null, true, true, ORDERS, true]);
  });
}

test("a session without a client certificate does not get past a server that requires one", async () => {
  const params = { minVersion: "TLSv1.3" as const, maxVersion: null, cipherSuites: [], ecdhCurves: [] };
  const optional = server(downstream(mesh.orders, { validation: mesh.validation }));
  await using echo = await EchoServer.start(optional);
  const caller = client(upstream(null, { params }));
  assert.equal((await callServer(caller, echo.port)).refused, null);
  echo.context = server(downstream(mesh.orders, strict));
  assert.notEqual((await callServer(caller, echo.port)).refused, null);
});

test("tickets switched off: no resumption", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.orders, { sessionTickets: false })));
  const caller = client(upstream(null));
  for (let i = 0; i < 2; i++) assert.equal((await callServer(caller, echo.port)).reused, false);
});

test("secrets by name: none yet means no connection; new ones serve new connections while old ones live on", async () => {
  const snapshots = new WatchCell<Snapshot>(EMPTY_SNAPSHOT);
  const secrets = secretsView(snapshots, null);
  const config = downstream(mesh.orders, { certificates: [{ kind: "sds", name: "server" }] });
  await using echo = await EchoServer.start(new ServerTlsContext(config, secrets, contexts));
  const caller = client(upstream(null, { validation: mesh.validation, maxSessionKeys: 0 }));
  assert.notEqual((await callServer(caller, echo.port)).refused, null);
  assert.match((await echo.next()).failure?.message ?? "", /the certificate "server" has not arrived yet/);
  const publish = (material: typeof mesh.orders): void =>
    snapshots.set({
      ...EMPTY_SNAPSHOT,
      secrets: new Map([["server", { kind: "certificate", name: "server", material }]]),
    });
  publish(mesh.orders);
  const old = tls.connect({ port: echo.port, host: "127.0.0.1", rejectUnauthorized: false });
  await new Promise((resolve) => old.once("secureConnect", resolve));
  assert.deepEqual((await echo.next()).tls?.localUriSans, [ORDERS]);
  publish(mesh.web);
  assert.equal((await callServer(caller, echo.port)).refused, null);
  assert.deepEqual((await echo.next()).tls?.localUriSans, [WEB]);
  old.write("still here");
  assert.equal(String(await new Promise((resolve) => old.once("data", resolve))), "still here");
  old.destroy();
  publish({ ...mesh.web, privateKey: mesh.orders.privateKey });
  assert.notEqual((await callServer(caller, echo.port)).refused, null);
  assert.match((await echo.next()).failure?.message ?? "", /the listener's TLS certificate cannot be used/);
});

test("several certificates: the one whose name the client asked for", async () => {
  const config = downstream(mesh.orders, {
    certificates: [mesh.orders, mesh.site].map((material) => ({ kind: "inline", material })),
  });
  for (const [serverName, expected] of [
    ["a.shop.test", []],
    ["elsewhere.test", [ORDERS]],
  ] as const) {
    await using echo = await EchoServer.start(server(config), { serverName, alpn: [] });
    assert.equal((await callServer(client(upstream(null, { sni: serverName })), echo.port)).refused, null);
    assert.deepEqual((await echo.next()).tls?.localUriSans, expected);
  }
});

test("a ClientHello may arrive in any two pieces, and what is sent right behind it is kept", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
  for (const cut of [1, 5, 43, 150]) {
    const proxy = net.createServer((down) => {
      const up = net.connect(echo.port, "127.0.0.1");
      up.setNoDelay(true);
      let first = true;
      down.on("data", (data: Buffer) => {
        if (!first) return void up.write(data);
        first = false;
        up.write(data.subarray(0, cut));
        setTimeout(() => up.write(data.subarray(cut)), 10);
      });
      up.pipe(down);
      for (const socket of [up, down]) socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as net.AddressInfo;
    assert.equal((await callServer(client(upstream(mesh.web)), port)).refused, null, `cut at ${cut}`);
    proxy.close();
  }
});

test("garbage, plaintext, early closes and resets are failures with a kind, never a crash", async () => {
  await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
  const send = (bytes: Buffer, end: "end" | "reset") => {
    const socket = net.connect(echo.port, "127.0.0.1", () => {
      socket.write(bytes, () => setTimeout(() => (end === "end" ? socket.end() : socket.resetAndDestroy()), 10));
    });
    socket.on("error", () => undefined);
  };
  const cases: [Buffer, "end" | "reset", string][] = [
    [Buffer.from("GET / HTTP/1.1\r\n\r\n"), "end", "plaintext_peer"],
    [Buffer.from("SSH-2.0-OpenSSH_9\r\n"), "end", "plaintext_peer"],
    [Buffer.from("160301", "hex"), "end", "handshake"],
    [Buffer.from("1603010020", "hex"), "reset", "handshake"],
    [Buffer.concat([Buffer.from("1603010010", "hex"), Buffer.alloc(64, 0xee)]), "end", "handshake"],
  ];
  for (const [bytes, end, kind] of cases) {
    send(bytes, end);
    assert.equal((await echo.next()).failure?.kind, kind, bytes.toString("latin1"));
  }
});

test("openssl s_client is accepted with a certificate, in both versions", async (t) => {
  if (!requireTool(t, "openssl")) return;
  await using echo = await EchoServer.start(server(downstream(mesh.orders, strict)));
  const dir = mkdtempSync(path.join(os.tmpdir(), "outrigger-openssl-"));
  try {
    writeFileSync(`${dir}/cert.pem`, mesh.web.certificateChain);
    writeFileSync(`${dir}/key.pem`, mesh.web.privateKey);
    writeFileSync(
      `${dir}/roots.pem`,
      mesh.validation.roots?.kind === "inline" ? mesh.validation.roots.material.roots : "",
    );
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const args = ["s_client", "-connect", `127.0.0.1:${echo.port}`, version, "-verify_return_error", "-CAfile"];
      const files = [`${dir}/roots.pem`, "-cert", `${dir}/cert.pem`, "-key", `${dir}/key.pem`];
      const child = spawn("openssl", [...args, ...files]);
      let stdout = "";
      const echoed = new Promise<void>((resolve) => {
        child.stdout.on("data", (data) => {
          stdout += data;
          // openssl may write it into the middle of its own report.
          if (stdout.includes("hello\n")) resolve();
        });
        child.on("exit", () => resolve());
      });
      child.stdin.write("hello\n");
      await echoed;
      child.stdin.end();
      assert.ok(stdout.includes("Verify return code: 0 (ok)"), "openssl trusts the server");
      assert.ok(stdout.includes("hello\n"), "the echo");
      assert.deepEqual((await echo.next()).tls?.peer?.uriSans, [WEB]);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
