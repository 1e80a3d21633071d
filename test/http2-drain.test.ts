/**
 * The orderly end of connections that carry many calls: no call is lost, whichever of the two sidecars or their
 * configurations goes, and there is one deadline for all.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import tls from "node:tls";
import { CertificateAuthority } from "../certs/ca.ts";
import { generateKeyPair, privateKeyToPem } from "../certs/key.ts";
import { systemClock } from "../core/clock.ts";
import { any, type Json, named } from "../xds/testing/bootstrap-json.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../xds/testing/pem.ts";
import { http2Cluster } from "./support/http2-config.ts";
import { Code, Flag, frame, headers, PREFACE, request, settings, Type } from "./support/http2-frames.ts";
import { connectHttp2, Http2Wire } from "./support/http2-wire.ts";
import { type ProxyConfig, type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { firstHop, identity, MULTIPLEX, mutualClientTls, secondHop } from "./support/two-hops.ts";
import { field, ok, Upstream, until, Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

/** What Outrigger's control plane says of calls where no policy does. */
const ACTION: Json = {
  timeout: "0s",
  retry_policy: {
    retry_on: "connect-failure,refused-stream,reset-before-request",
    num_retries: 2,
    retry_back_off: { base_interval: "0.025s", max_interval: "0.25s" },
    retry_host_predicate: [named("p", any("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"))],
    host_selection_retry_max_attempts: 5,
  },
};
const CLUSTER: Json = {
  lb_policy: "LEAST_REQUEST",
  circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 10 } }] },
};

/** What the hop between two sidecars speaks: its cluster, and the protocols that the second offers. */
const HOPS = {
  "multiplexed calls": { cluster: CLUSTER, alpn: ["outrigger-mux/1", "http/1.1"] },
  "HTTP/2": { cluster: { ...CLUSTER, ...http2Cluster() }, alpn: ["h2"] },
} as const;

interface Mesh {
  readonly first: RunningProxy;
  readonly seconds: readonly RunningProxy[];
  /** The first's configuration with these of the seconds. */
  readonly towards: (...seconds: readonly RunningProxy[]) => ProxyConfig;
  readonly alpn: readonly string[];
  readonly application: Upstream;
}

type Hop = (typeof HOPS)[keyof typeof HOPS];

/** `own`: what all sidecars show and verify each other with. */
async function mesh(t: TestContext, { cluster, alpn }: Hop, own?: Json): Promise<Mesh> {
  const application = await Upstream.start(t);
  application.onWire = (wire) => {
    wire.socket.on("data", (bytes) => {
      // Answers of every age are under way when something ends.
      setTimeout(() => wire.write(ok("fine")), bytes.length % 3 === 0 ? 0 : Math.floor(Math.random() * 20));
    });
    wire.socket.on("end", () => wire.end());
  };
  const config = { upstreams: [application.port] };
  const second = secondHop(config, alpn, own);
  const seconds = [await startProxy(t, second), await startProxy(t, second)];
  const towards = (...some: readonly RunningProxy[]): ProxyConfig =>
    firstHop(
      some.map((second) => second.port),
      { action: ACTION, cluster: { metadata: MULTIPLEX, transport_socket: mutualClientTls(own), ...cluster } },
    );
  return { first: await startProxy(t, towards(...seconds)), seconds, towards, alpn, application };
}

/** 1,000 calls that must not be sent twice, from 40 callers; `during` happens after the first 200. */
async function underLoad({ first, application }: Mesh, during: () => Promise<unknown>): Promise<void> {
  const answers = new Map<string, number>();
  let asked = 0;
  const asking = async (): Promise<void> => {
    const wire = await first.connect();
    for (let i = 0; i < 25; i++) {
      asked++;
      wire.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
      const { start, body } = await wire.message();
      const answer = `${start} ${body}`;
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
    wire.destroy();
  };
  const all = Promise.all(Array.from({ length: 40 }, asking));
  await until(() => asked > 200);
  await Promise.all([during(), all]);
  assert.deepEqual([...answers], [["HTTP/1.1 200 OK fine", 1000]]);
  const seen = application.wires.reduce((sum, wire) => sum + wire.received.split("POST ").length - 1, 0);
  assert.equal(seen, 1000, "none was sent twice");
}

/** Streams that the first has opened, and connections for them. */
function shared({ first }: Mesh): { readonly streams: number; readonly connections: number } {
  const { http2, multiplexed } = first.cluster().stats;
  return {
    streams: http2.streams_total + multiplexed.streams_total,
    connections: http2.connections_total + multiplexed.connections_total,
  };
}

for (const [name, hop] of Object.entries(HOPS)) {
  describe(name, () => {
    test("lose no call while a sidecar drains and its neighbour takes over", async (t) => {
      const all = await mesh(t, hop);
      const [leaving, staying] = all.seconds as [RunningProxy, RunningProxy];
      await underLoad(all, async () => {
        const start = performance.now();
        const drained = leaving.process.drain(5000);
        await new Promise((resolve) => setTimeout(resolve, 60));
        await all.first.apply(all.towards(staying));
        await drained;
        const took = performance.now() - start;
        assert.ok(took < 2500, `${took} ms`);
      });
      assert.ok(shared(all).streams > 700, `${shared(all).streams} streams`);
    });

    test("lose no call while an endpoint is taken out and put in", async (t) => {
      const all = await mesh(t, hop);
      const [one, two] = all.seconds as [RunningProxy, RunningProxy];
      await underLoad(all, async () => {
        for (const some of [[one], [two], [one, two], [one]]) {
          await all.first.apply(all.towards(...some));
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
      });
      await until(() => [...two.process.dataPlane.listeners].every(({ connections }) => connections === 0));
    });

    test("lose no call while the listener that takes them changes in place", async (t) => {
      const all = await mesh(t, hop);
      const [one, two] = all.seconds as [RunningProxy, RunningProxy];
      const { port } = one;
      const upstreams = [all.application.port];
      await underLoad(all, async () => {
        for (const timeout of ["3s", "4s", "5s"]) {
          for (const second of [one, two]) {
            // Other TLS parameters: connections of the old chain have to go.
            const config = secondHop({ upstreams }, all.alpn);
            const [chain] = (config.listener as { filter_chains: Json[] }).filter_chains;
            const listener = {
              filter_chains: [{ ...chain, transport_socket_connect_timeout: timeout, name: timeout }],
            };
            await second.apply({ ...config, listener });
          }
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
      });
      assert.equal(one.port, port);
      assert.ok(shared(all).connections > 4, `${shared(all).connections} connections: old ones were drained`);
    });

    test("lose no call while the certificates of both sidecars are renewed", async (t) => {
      const folder = mkdtempSync(path.join(tmpdir(), "outrigger-rotation-"));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const ca = new CertificateAuthority({ stateDir: folder, trustDomain: "test", clock: systemClock });
      const renewed = (): Json => {
        const keys = generateKeyPair();
        const { chainPem } = ca.issue(keys.publicKey, [{ type: "uri", value: "spiffe://test/ns/a/sa/b" }], 3_600_000);
        return identity(chainPem, privateKeyToPem(keys.privateKey), ca.bundle.get() ?? "");
      };
      const all = await mesh(t, hop, renewed());
      const upstreams = [all.application.port];
      const before = shared(all).connections;
      await underLoad(all, async () => {
        for (let round = 0; round < 3; round++) {
          for (const second of all.seconds) await second.apply(secondHop({ upstreams }, all.alpn, renewed()));
          const config = all.towards(...all.seconds);
          const cluster = { ...config.cluster, transport_socket: mutualClientTls(renewed()) };
          await all.first.apply({ ...config, cluster });
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
      });
      assert.ok(shared(all).connections >= before + 4, "new connections have the new certificates");
    });
  });
}

describe("a drain", () => {
  const plain = async (t: TestContext) => {
    const upstream = await Upstream.start(t);
    return { upstream, proxy: await startProxy(t, { upstreams: [upstream.port], action: { timeout: "0s" } }) };
  };
  const goaways = (frames: readonly { readonly type: number; readonly payload: Buffer }[]): number[] =>
    frames.filter(({ type }) => type === Type.goaway).map(({ payload }) => payload.readUInt32BE(0));

  test("serves a stream that comes between its two steps, and closes an idle connection soon", async (t) => {
    const { proxy, upstream } = await plain(t);
    const [idle, late] = [await connectHttp2(t, proxy.port), await connectHttp2(t, proxy.port)];
    await Promise.all([idle.settled(), late.settled()]);
    const start = performance.now();
    const drained = proxy.process.drain(5000);
    await late.frame(({ type }) => type === Type.goaway);
    late.write(headers(1, request("/a")));
    (await upstream.wire()).write(ok("yes"));
    assert.equal((await late.over(1)).body, "yes");
    assert.deepEqual([await idle.ended(), await late.ended()], [Code.noError, Code.noError]);
    assert.deepEqual(
      [goaways(idle.frames), goaways(late.frames)],
      [
        [0x7fff_ffff, 0],
        [0x7fff_ffff, 1],
      ],
    );
    idle.destroy();
    late.destroy();
    await drained;
    const took = performance.now() - start;
    assert.ok(took > 900 && took < 2500, `${took} ms`);
  });

  test("serves who was still in its handshake, in either version, and takes its time for the first request", async (t) => {
    const upstream = await Upstream.serving(t, () => ok("yes"));
    const proxy = await startProxy(t, secondHop({ upstreams: [upstream.port] }));
    const { port } = proxy;
    const raw = [net.connect(port, "127.0.0.1"), net.connect(port, "127.0.0.1")];
    await until(() => proxy.downstreamConnections === 2);
    const start = performance.now();
    const drained = proxy.process.drain(5000);
    const [old, shared] = raw.map((socket, i) => {
      const offered = [["http/1.1"], ["outrigger-mux/1"]][i] as string[];
      return tls.connect({
        socket,
        cert: CERTIFICATE,
        key: PRIVATE_KEY,
        rejectUnauthorized: false,
        ALPNProtocols: offered,
      });
    }) as [tls.TLSSocket, tls.TLSSocket];
    const [one, many] = [new Wire(old), new Http2Wire(shared, false, { text: true })];
    await Promise.all([old, shared].map((socket) => new Promise((resolve) => socket.once("secureConnect", resolve))));
    many.write(PREFACE, settings());
    await new Promise((resolve) => setTimeout(resolve, 150));
    one.write(GET);
    many.write(frame(Type.headers, Flag.endStream | Flag.endHeaders, 1, Buffer.from(GET, "latin1")));
    const answer = await one.message();
    assert.deepEqual([answer.body, field(answer, "connection")], ["yes", "close"]);
    assert.equal((await many.over(1)).body, "yes");
    await many.ended();
    one.destroy();
    many.destroy();
    await drained;
    assert.ok(performance.now() - start < 2500);
  });

  test("waits for a stream to end, refuses more, and cuts what goes on at its deadline", async (t) => {
    const { proxy, upstream } = await plain(t);
    const [ends, lasts] = [await connectHttp2(t, proxy.port), await connectHttp2(t, proxy.port)];
    ends.write(headers(1, request("/a")));
    const first = await upstream.wire(0);
    lasts.write(headers(1, request("/b")));
    await upstream.wire(1);
    const start = performance.now();
    const drained = proxy.process.drain(1600);
    await until(() => goaways(ends.frames).length === 2 && goaways(lasts.frames).length === 2);
    lasts.write(headers(3, request("/c")));
    assert.equal((await lasts.over(3)).reset, Code.refusedStream);
    first.write(ok("done"));
    assert.equal((await ends.over(1)).body, "done");
    assert.equal(await ends.ended(), Code.noError);
    ends.destroy();
    assert.ok(performance.now() - start < 1500);
    await drained;
    const took = performance.now() - start;
    assert.ok(took >= 1590 && took < 2500, `${took} ms`);
    await lasts.ended();
    assert.equal(lasts.stream(1).ended, false);
  });
});
