/** What connections speak where ALPN settles it: of clusters that take either version, and of calls that may share. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { EventClock, SimulatedClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { UpstreamHttp } from "../../model/cluster.ts";
import { cluster, endpoint, endpointSet, OWN_POLICY } from "../../test/support/clusters.ts";
import { settings } from "../../test/support/http2-frames.ts";
import { until } from "../../test/support/wire.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../../xds/testing/pem.ts";
import { createClusterState } from "../cluster/cluster-state.ts";
import type { UpstreamFailure, UpstreamStream } from "../codec/stream.ts";
import type { UpstreamTlsConnector } from "./connector.ts";
import { EndpointPool, type PoolWaiter } from "./pool.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

class Waiter implements PoolWaiter {
  stream: UpstreamStream | null = null;
  failure: UpstreamFailure | null = null;
  readonly pool: EndpointPool;

  constructor(pool: EndpointPool) {
    this.pool = pool;
    this.stream = pool.acquire(this);
  }

  onConnection(stream: UpstreamStream): void {
    this.stream = stream;
  }

  onPoolFailure(failure: UpstreamFailure): void {
    this.failure = failure;
  }
}

/** A pool towards a TLS server that chooses among these protocols; null: it has no ALPN. */
async function setup(t: TestContext, protocol: UpstreamHttp["protocol"], chooses: readonly string[] | null) {
  let offered = chooses;
  const sockets: tls.TLSSocket[] = [];
  const asked: string[][] = [];
  const server = tls.createServer({
    cert: CERTIFICATE,
    key: PRIVATE_KEY,
    ...(chooses === null
      ? {}
      : {
          ALPNCallback: ({ protocols }: { protocols: string[] }) => {
            asked.push(protocols);
            return offered?.find((one) => protocols.includes(one));
          },
        }),
  });
  server.on("secureConnection", (socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.resume();
    if (socket.alpnProtocol === "h2" || socket.alpnProtocol === "outrigger-mux/1") socket.write(settings());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  const simulated = new SimulatedClock();
  const clock = new EventClock(simulated);
  const wheel = new TimerWheel(clock);
  const endpoints = endpointSet(endpoint(`127.0.0.1:${port}`));
  const config = cluster({
    discovery: { kind: "static", endpoints },
    http: { ...cluster().http, protocol },
    outrigger: { ...OWN_POLICY, multiplex: true },
  });
  const connector: UpstreamTlsConnector = {
    begin: (_host, _server, alpn) => ({
      options: { ALPNProtocols: [...alpn] },
      verify: () => null,
      explain: (error) => error.message,
    }),
  };
  const random = (): number => 0;
  const state = createClusterState<EndpointPool>(config, {
    clock,
    wheel,
    random,
    log: quiet,
    observer: { onClusterEvent: () => undefined },
    createPool: (target, { stats, limits }) =>
      new EndpointPool(target, { config, stats, limits, tls: () => connector }, { clock, wheel, random }),
  });
  const [target] = state.endpoints;
  assert.ok(target);
  const pool = state.poolOf(target);
  t.after(() => {
    pool.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    pool,
    state,
    target,
    sockets,
    asked,
    /** The server chooses among these from now on. */
    choose: (...protocols: string[]) => {
      offered = protocols;
    },
    pass: (ms: number) => {
      simulated.advance(ms);
      clock.refresh();
    },
    empty: async () => {
      const { limits, stats } = state;
      const counts = () => [
        limits.connections,
        limits.pending,
        stats.upstream_cx_active,
        target.activeConnections,
        wheel.size,
      ];
      await until(() => counts().every((count) => count === 0)).catch(() => undefined);
      assert.deepEqual(counts(), [0, 0, 0, 0, 0]);
    },
  };
}

const ask = (pool: EndpointPool, count: number): Waiter[] => Array.from({ length: count }, () => new Waiter(pool));
const served = (waiters: readonly Waiter[]) => until(() => waiters.every(({ stream }) => stream !== null));

for (const [chosen, protocol, connections] of [
  [["h2"], "HTTP/2", 1],
  [["http/1.1"], "HTTP/1.1", 7],
  [null, "HTTP/1.1", 7],
] as const) {
  test(`auto: the peer ${chosen === null ? "knows no ALPN" : `chooses ${chosen}`}`, async (t) => {
    const { pool, state, asked, empty } = await setup(t, "auto", chosen);
    const waiters = ask(pool, 7);
    assert.equal(state.stats.upstream_cx_total, 1, "the first connection tells");
    await served(waiters);
    assert.deepEqual([...new Set(waiters.map(({ stream }) => stream?.protocol))], [protocol]);
    assert.equal(state.stats.upstream_cx_total, connections);
    if (chosen !== null) assert.deepEqual(asked[0], ["h2", "http/1.1"]);
    for (const { stream } of waiters) stream?.giveBack();
    pool.drain("test");
    await empty();
  });
}

test("auto: a peer that changes its mind is followed", async (t) => {
  const { pool, state, sockets, choose, empty } = await setup(t, "auto", ["h2", "http/1.1"]);
  const [first] = ask(pool, 1);
  await until(() => first?.stream !== null && sockets.length === 1);
  choose("http/1.1");
  first?.stream?.giveBack();
  sockets[0]?.destroy();
  await until(() => state.stats.upstream_cx_active === 0);
  const waiters = ask(pool, 3);
  await served(waiters);
  assert.deepEqual(
    waiters.map(({ stream }) => stream?.protocol),
    ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1"],
  );
  for (const { stream } of waiters) stream?.giveBack();
  pool.drain("test");
  await empty();
});

test("calls that may share do so from the fifth in flight, over one connection", async (t) => {
  const { pool, target, asked, empty } = await setup(t, "http1", ["outrigger-mux/1", "http/1.1"]);
  target.activeRequests = 4;
  assert.equal(pool.forLoad(), pool);
  target.activeRequests = 5;
  const part = pool.forLoad();
  assert.notEqual(part, pool);
  const waiters = ask(part, 60);
  await served(waiters);
  assert.deepEqual(asked, [["outrigger-mux/1", "http/1.1"]]);
  assert.deepEqual([part.connections, pool.connections, pool.forLoad() === part], [1, 0, true]);
  for (const { stream } of waiters) stream?.giveBack();
  pool.drain("test");
  await empty();
  assert.notEqual(pool.forLoad(), part, "it goes with its last connection");
});

test("a peer that takes no streams: who waited is served by the pool for all, and it is asked again after a minute", async (t) => {
  const { pool, state, target, asked, choose, pass, empty } = await setup(t, "http1", ["http/1.1"]);
  const [free] = ask(pool, 1);
  await until(() => free?.stream !== null);
  target.activeRequests = 9;
  const part = pool.forLoad();
  const waiters = ask(part, 4);
  const gone = new Waiter(part);
  part.forget(gone);
  await served(waiters);
  assert.equal(gone.stream, null);
  assert.deepEqual([part.connections, pool.connections >= 5], [0, true]);
  assert.equal(pool.forLoad(), pool, "for a minute nobody asks");
  pass(59_000);
  assert.equal(pool.forLoad(), pool);
  choose("outrigger-mux/1");
  pass(2000);
  const again = pool.forLoad();
  assert.notEqual(again, pool);
  const [shared] = ask(again, 1);
  await until(() => shared?.stream !== null);
  assert.deepEqual(again.connections, 1);
  assert.equal(asked.filter((protocols) => protocols.includes("outrigger-mux/1")).length, 2);
  for (const waiter of [free, shared, ...waiters]) waiter?.stream?.giveBack();
  pool.drain("test");
  await empty();
  assert.equal(state.stats.upstream_rq_pending_active, 0);
});

test("who has been handed to the pool for all and gives up is forgotten there", async (t) => {
  const { pool, state, target, empty } = await setup(t, "http1", ["http/1.1"]);
  target.activeRequests = 9;
  const part = pool.forLoad();
  const waiters = ask(part, 3);
  await until(() => waiters.some(({ stream }) => stream !== null));
  for (const waiter of waiters) {
    if (waiter.stream === null) part.forget(waiter);
    else waiter.stream.giveBack();
  }
  assert.deepEqual([state.limits.pending, state.stats.upstream_rq_pending_active], [0, 0]);
  pool.drain("test");
  await empty();
});

test("pools of a version, of a server and for sharing are apart, and none outlives its use", async (t) => {
  const { pool, target, empty } = await setup(t, "use_downstream", ["outrigger-mux/1", "h2", "http/1.1"]);
  target.activeRequests = 9;
  const parts = [
    pool.forVersion(true),
    pool.forVersion(false),
    pool.forVersion(false).forServer("a.test", { sni: "a.test", san: null }),
    pool.forVersion(true).forServer("a.test", { sni: "a.test", san: null }),
    pool.forVersion(false).forLoad(),
    pool.forVersion(false).forServer("a.test", { sni: "a.test", san: null }).forLoad(),
  ];
  assert.equal(new Set([pool, ...parts]).size, 7);
  assert.equal(pool.forVersion(true).forLoad(), parts[0], "HTTP/2 is shared as it is");
  const waiters = parts.map((part) => new Waiter(part));
  await served(waiters);
  assert.deepEqual(
    parts.map((part) => part.connections),
    [1, 1, 1, 1, 1, 1],
  );
  for (const { stream } of waiters) stream?.giveBack();
  pool.drain("test");
  await empty();
  assert.notEqual(pool.forVersion(false), parts[1]);
});
