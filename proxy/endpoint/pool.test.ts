/** An endpoint's connections: their reuse and their end, and how they are kept apart by the server that they are for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { EventClock, SimulatedClock, systemClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import { cluster, DEFAULT_LIMITS, endpoint, endpointSet, OWN_POLICY } from "../../test/support/clusters.ts";
import { createClusterState } from "../cluster/cluster-state.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import type { Http1ClientConnection } from "../codec/http1/client-connection.ts";
import type { UpstreamStream } from "../codec/stream.ts";
import { EndpointPool, type PoolWaiter } from "./pool.ts";
import { serverNameRule } from "./request-server.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const names = (name: string) => [name, { sni: name, san: null }] as const;

test("names have connections of their own, and leave nothing behind", async () => {
  const server = net.createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const clock = new EventClock(systemClock);
  const wheel = new TimerWheel(clock);
  const endpoints = endpointSet(endpoint(`127.0.0.1:${port}`));
  const state = createClusterState<EndpointPool>(cluster({ discovery: { kind: "static", endpoints } }), {
    clock,
    wheel,
    random: () => 0,
    log: quiet,
    observer: { onClusterEvent: () => undefined },
    createPool: (target, { config, stats, limits }) =>
      new EndpointPool(target, { config, stats, limits, tls: () => null }, { clock, wheel, random: () => 0 }),
  });
  const chosen = state.choose({ hash: null, hostSelectionRetries: 0, triedHosts: [], destination: null });
  assert.ok(chosen);
  const pool = state.poolOf(chosen);
  const acquire = (part: EndpointPool): Promise<Http1ClientConnection> =>
    new Promise((fulfil, reject) => {
      const resolve = (stream: UpstreamStream): void => fulfil(stream as Http1ClientConnection);
      const now = part.acquire({ onConnection: resolve, onPoolFailure: (_kind, detail) => reject(new Error(detail)) });
      if (now !== null) resolve(now);
    });

  const a = pool.forServer(...names("a.test"));
  assert.equal(pool.forServer(...names("a.test")), a);
  const b = pool.forServer(...names("b.test"));
  assert.notEqual(b, a);
  const first = await acquire(a);
  first.giveBack();
  assert.equal(await acquire(a), first, "the same name takes the idle connection");
  const other = await acquire(b);
  assert.notEqual(other, first);
  assert.equal(state.stats.upstream_cx_active, 2);

  const closed = Promise.all([once(first.socket, "close"), once(other.socket, "close")]);
  pool.close();
  await closed;
  assert.equal(state.stats.upstream_cx_active, 0);
  assert.notEqual(pool.forServer(...names("a.test")), a, "a part goes with its last connection");
  server.close();
  state.close();
});

test("names matter only where there is TLS", () => {
  const requestSni = { sni: true, verifySan: false, header: "" };
  const plain = cluster();
  const named = { ...plain, http: { ...plain.http, requestSni } };
  assert.equal(serverNameRule(named), undefined);
  assert.equal(serverNameRule({ ...named, tlsMatches: [{ name: "m", match: {}, tls: null }] }), requestSni);
});

test("each address that callers name has connections of its own, under the endpoint's counts", async (t) => {
  const other = net.createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  await once(other, "listening");
  const at = (server: net.Server) =>
    ({ kind: "tcp", host: "127.0.0.1", port: (server.address() as net.AddressInfo).port }) as const;
  const { pool, server, state } = await setup(t, {}, undefined, [at(other)]);
  t.after(() => other.close());
  const portOf = async (part: EndpointPool): Promise<number | undefined> => {
    const connection = await new Waiter(part).got;
    connection.giveBack();
    return connection.socket.remotePort;
  };
  assert.equal(await portOf(pool.forAddress(at(other))), at(other).port);
  assert.equal(await portOf(pool), at(server).port);
  assert.equal(await portOf(pool.forAddress(at(server))), at(server).port);
  // With a name as well, which comes second.
  assert.equal(await portOf(pool.forAddress(at(other)).forServer(...names("a.test"))), at(other).port);
  assert.equal(pool.forAddress(at(other)), pool.forAddress(at(other)));
  assert.equal(state.stats.upstream_cx_active, 4);

  const { socket } = await new Promise<ByteEnd>((onConnected, reject) => {
    const onConnectFailed = (_kind: string, detail: string): void => reject(new Error(detail));
    pool.opaque.open({ onConnected, onConnectFailed }, at(other));
  });
  assert.equal(socket.remotePort, at(other).port);
  // Any will do once the first one is gone.
  server.close();
  assert.equal(await portOf(pool.forServer(...names("b.test"))), at(other).port);
});

/** A pool of connections to a server of this process, on simulated time. */
async function setup(
  t: TestContext,
  fields: Partial<Cluster> = {},
  onSocket: (socket: net.Socket) => void = () => {},
  more: readonly Address[] = [],
) {
  const sockets: net.Socket[] = [];
  const server = net
    .createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      onSocket(socket);
    })
    .listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const simulated = new SimulatedClock();
  const clock = new EventClock(simulated);
  const wheel = new TimerWheel(clock);
  const places = more.length === 0 ? {} : { additionalAddresses: more };
  const endpoints = endpointSet(endpoint(`127.0.0.1:${port}`, places));
  const config = cluster({ discovery: { kind: "static", endpoints }, ...fields });
  const state = createClusterState<EndpointPool>(config, {
    clock,
    wheel,
    random: () => 0,
    log: quiet,
    observer: { onClusterEvent: () => undefined },
    createPool: (target, owner) =>
      new EndpointPool(
        target,
        { config: owner.config, stats: owner.stats, limits: owner.limits, tls: () => null },
        { clock, wheel, random: () => 0 },
      ),
  });
  const chosen = state.choose({ hash: null, hostSelectionRetries: 0, triedHosts: [], destination: null });
  assert.ok(chosen);
  const pool = state.poolOf(chosen);
  t.after(() => {
    pool.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const waiters: Waiter[] = [];
  return {
    state,
    pool,
    server,
    sockets,
    wheel,
    /** Moves time, of which the next event hears. */
    pass: (ms: number) => {
      simulated.advance(ms);
      clock.refresh();
    },
    /** Asks for a connection; `got` resolves with it, or rejects with why there is none. */
    ask: (): Waiter => {
      const waiter = new Waiter(pool);
      waiters.push(waiter);
      return waiter;
    },
  };
}

class Waiter implements PoolWaiter {
  readonly got: Promise<Http1ClientConnection>;
  #resolve: (connection: Http1ClientConnection) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(pool: EndpointPool) {
    this.got = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.got.catch(() => undefined);
    const now = pool.acquire(this);
    if (now !== null) this.onConnection(now);
  }

  onConnection(stream: UpstreamStream): void {
    const connection = stream as Http1ClientConnection;
    this.#resolve(connection);
  }

  onPoolFailure(failure: string, detail: string): void {
    this.#reject(new Error(`${failure}: ${detail}`));
  }
}

test("the connection that was used last is used first", async (t) => {
  const { ask, pool } = await setup(t);
  const [a, b, c] = await Promise.all([ask().got, ask().got, ask().got]);
  assert.equal(new Set([a, b, c]).size, 3);
  for (const connection of [b, a, c]) connection?.giveBack();
  assert.equal(pool.idleConnections, 3);
  assert.deepEqual([await ask().got, await ask().got, await ask().got], [c, a, b]);
});

test("connections that have been idle too long are closed, the oldest first", async (t) => {
  const { http } = cluster();
  const { ask, pool, pass, state, wheel } = await setup(t, { http: { ...http, idleTimeoutMs: 1000 } });
  const [old, young] = await Promise.all([ask().got, ask().got]);
  old.giveBack();
  pass(600);
  young.giveBack();
  pass(500);
  assert.equal(pool.idleConnections, 1);
  assert.equal(state.stats.upstream_cx_idle_timeout, 1);
  assert.equal(await ask().got, young);
  young.giveBack();
  pass(600);
  assert.equal(pool.idleConnections, 1, "its last use counts");
  pass(500);
  assert.equal(pool.idleConnections, 0);
  await Promise.all([old, young].map(({ socket }) => socket.destroyed || once(socket, "close")));
  assert.deepEqual([state.stats.upstream_cx_active, state.limits.connections, wheel.size], [0, 0, 0]);
});

test("what an upstream closed once after some idle time is not used again after that time", async (t) => {
  const { ask, pool, pass, sockets, state } = await setup(t, { outrigger: { ...OWN_POLICY, learnIdleTimeout: true } });
  const first = await ask().got;
  first.giveBack();
  pass(5000);
  sockets[0]?.end();
  await once(first.socket, "close");
  const second = await ask().got;
  second.giveBack();
  pass(3900);
  assert.equal(await ask().got, second);
  second.giveBack();
  pass(4100);
  const third = await ask().got;
  assert.notEqual(third, second);
  assert.equal(state.stats.upstream_cx_idle_timeout, 1);
  pool.announceIdleLimit(1000);
  third.giveBack();
  pass(900);
  assert.notEqual(await ask().got, third, "the upstream has announced less");
});

test("who does not wait any more is passed over, and the connection kept", async (t) => {
  const { ask, pool, state } = await setup(t);
  const gone = ask();
  const waiting = ask();
  assert.equal(state.stats.upstream_rq_pending_active, 2);
  pool.forget(gone);
  pool.forget(gone);
  assert.deepEqual([state.stats.upstream_rq_pending_active, state.limits.pending], [1, 1]);
  await waiting.got;
  while (pool.connections < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(pool.idleConnections, 1);
});

test("a drained pool serves those who wait, then closes what they used", async (t) => {
  const { ask, pool, state, wheel } = await setup(t);
  const idle = await ask().got;
  idle.giveBack();
  const busy = await ask().got;
  const waiting = ask();
  pool.drain("test");
  const served = await waiting.got;
  assert.notEqual(served, busy);
  served.giveBack();
  busy.giveBack();
  await Promise.all([served, busy].map(({ socket }) => socket.destroyed || once(socket, "close")));
  assert.deepEqual([state.stats.upstream_cx_active, state.stats.upstream_cx_total, state.limits.pending], [0, 2, 0]);
  assert.equal(wheel.size, 0);
});

test("a closed pool fails those who wait and leaves no count behind", async (t) => {
  const { ask, pool, state, wheel } = await setup(t);
  const one = await ask().got;
  const [second, third] = [ask(), ask()];
  pool.close();
  await assert.rejects(second.got, /local_close/);
  await assert.rejects(third.got, /local_close/);
  await once(one.socket, "close");
  const { connections, pending } = state.limits;
  assert.deepEqual([connections, pending, state.stats.upstream_cx_active, wheel.size], [0, 0, 0, 0]);
});

test("a connection that can't be had fails all who wait for one, as in Envoy", async (t) => {
  const { ask, server, state, wheel } = await setup(t);
  server.close();
  await once(server, "close");
  const waiters = [ask(), ask(), ask()];
  for (const waiter of waiters) await assert.rejects(waiter.got, /connect_failure: .*Connection refused/);
  assert.ok(state.stats.upstream_cx_connect_fail > 0);
  while (state.limits.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([state.limits.pending, state.stats.upstream_rq_pending_active, wheel.size], [0, 0, 0]);
});

test("a full queue refuses at once", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1, maxPendingRequests: 1 };
  const { ask, state } = await setup(t, { limits: { default: limits, high: limits } });
  const first = await ask().got;
  const second = ask();
  await assert.rejects(ask().got, /overflow/);
  assert.equal(state.stats.upstream_rq_pending_overflow, 1);
  first.giveBack();
  assert.equal(await second.got, first);
});
