/** An endpoint's HTTP/2 connections: how many streams they are given, when new ones are opened, and how they end. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { EventClock, SimulatedClock } from "../../core/clock.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { Cluster } from "../../model/cluster.ts";
import { DEFAULT_HTTP2, type Http2Options } from "../../model/http.ts";
import { cluster, DEFAULT_LIMITS, endpoint, endpointSet } from "../../test/support/clusters.ts";
import { Code, goaway, headers, response, rstStream, Setting, settings } from "../../test/support/http2-frames.ts";
import { Http2Upstream, type Http2Wire, type ServerOptions } from "../../test/support/http2-wire.ts";
import { turns, until } from "../../test/support/wire.ts";
import { createClusterState } from "../cluster/cluster-state.ts";
import { Body, type UpstreamFailure, type UpstreamHandler, type UpstreamStream } from "../codec/stream.ts";
import { RequestHead, ResponseHead } from "../http/message.ts";
import { EndpointPool, type PoolWaiter } from "./pool.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A request that waits for a stream, sends a head on it, and remembers what came of it. */
class Call implements PoolWaiter, UpstreamHandler {
  readonly response = new ResponseHead();
  readonly headRequest = false;
  readonly #pool: EndpointPool;
  /** Asked before the head is sent; false: the stream is given back. */
  readonly #wanted: (() => boolean) | null;
  stream: UpstreamStream | null = null;
  failure: UpstreamFailure | null = null;
  detail = "";
  status = 0;
  over = false;

  constructor(pool: EndpointPool, wanted: (() => boolean) | null = null) {
    this.#pool = pool;
    this.#wanted = wanted;
    const now = pool.acquire(this);
    if (now !== null) this.onConnection(now);
  }

  get waits(): boolean {
    return this.stream === null && this.failure === null && !this.over;
  }

  onConnection(stream: UpstreamStream): void {
    if (this.#wanted !== null && !this.#wanted()) {
      this.over = true;
      stream.giveBack();
      return;
    }
    this.stream = stream;
    const head = new RequestHead();
    Object.assign(head, { method: "GET", path: "/", authority: "x", scheme: "http", protocol: "HTTP/2" });
    stream.begin(this, true);
    stream.sendHead(head, Body.none, false);
    stream.sendEnd(null);
  }

  onPoolFailure(failure: UpstreamFailure, detail: string): void {
    this.failure = failure;
    this.detail = detail;
  }

  forget(): void {
    this.over = true;
    if (this.stream === null) this.#pool.forget(this);
    else this.stream.cancel();
  }

  onInformational(): void {}
  onResponseHead(): void {
    this.status = this.response.status;
  }
  onResponseData(): void {}
  onResponseEnd(): void {
    this.over = true;
  }
  onResponseFlush(): void {}
  onUpstreamReset(failure: UpstreamFailure, detail: string): void {
    this.onPoolFailure(failure, detail);
  }
  onUpstreamWritable(): void {}
}

interface Fields extends Partial<Cluster> {
  readonly http2?: Partial<Http2Options>;
  readonly http1?: Partial<Cluster["http"]>;
}

/** A pool of HTTP/2 connections to a server that does what the test says, on simulated time. */
async function setup(t: TestContext, { http2, http1, ...fields }: Fields = {}, options: ServerOptions = {}) {
  const upstream = await Http2Upstream.start(t, options);
  const simulated = new SimulatedClock();
  const clock = new EventClock(simulated);
  const wheel = new TimerWheel(clock);
  const endpoints = endpointSet(endpoint(`127.0.0.1:${upstream.port}`));
  const plain = cluster().http;
  const config = cluster({
    discovery: { kind: "static", endpoints },
    http: { ...plain, ...http1, protocol: "http2", http2: { ...DEFAULT_HTTP2, ...http2 } },
    ...fields,
  });
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
  t.after(() => pool.close());
  return {
    upstream,
    state,
    pool,
    wheel,
    pass: (ms: number) => {
      simulated.advance(ms);
      clock.refresh();
    },
    ask: (count = 1) => Array.from({ length: count }, () => new Call(pool)),
    /** All that counts is back at zero. */
    empty: async () => {
      const { limits, stats } = state;
      const counts = () => ({
        connections: limits.connections,
        pending: limits.pending,
        cx: stats.upstream_cx_active,
        waiting: stats.upstream_rq_pending_active,
        streams: stats.http2.streams_active,
        endpoint: chosen.activeConnections,
        timers: wheel.size,
      });
      await until(() => Object.values(counts()).every((count) => count === 0)).catch(() => undefined);
      assert.deepEqual(counts(), { connections: 0, pending: 0, cx: 0, waiting: 0, streams: 0, endpoint: 0, timers: 0 });
    },
  };
}

const answer = (wire: Http2Wire, stream: number): void => wire.write(headers(stream, response()));
const allowing = (streams: number) => [settings([Setting.maxConcurrentStreams, streams])];
const answering: ServerOptions = { onRequest: ({ id }, wire) => answer(wire, id) };

test("a burst on a cold pool opens a connection for each hundred, and every request is answered", async (t) => {
  const { ask, state, pool, empty } = await setup(t, {}, answering);
  const calls = ask(500);
  assert.equal(state.stats.upstream_cx_total, 5);
  await until(() => calls.every(({ status }) => status === 200));
  assert.deepEqual([state.stats.upstream_cx_total, pool.idleConnections], [5, 5]);
  pool.drain("test");
  await empty();
});

test("what the peer allows is kept to from its SETTINGS on, by later connections from their beginning", async (t) => {
  const { ask, upstream, state, pool, empty } = await setup(t, {}, { begin: allowing(3) });
  const [first] = ask();
  const wire = await upstream.wire();
  await until(() => upstream.requests.length === 1);
  await wire.settled();
  const calls = ask(6);
  await until(() => upstream.requests.length === 7);
  const most = upstream.wires.map((one) => one.streams.size);
  assert.deepEqual([Math.max(...most), state.stats.upstream_cx_total], [3, 3], most.join());
  for (const one of upstream.wires) for (const id of one.streams.keys()) answer(one, id);
  await until(() => [first, ...calls].every((call) => call?.over));
  pool.drain("test");
  await empty();
});

test("a peer that lowers its limit gets no more until streams have ended", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1 };
  const { ask, upstream, state, pool, empty } = await setup(t, { limits: { default: limits, high: limits } });
  ask(3);
  const wire = await upstream.wire();
  await until(() => upstream.requests.length === 3);
  wire.write(...allowing(1));
  await wire.settled();
  const [later] = ask();
  answer(wire, 1);
  answer(wire, 3);
  await wire.settled("2nd time");
  assert.ok(later?.waits, "one is still open");
  answer(wire, 5);
  await until(() => later?.stream !== null);
  wire.write(...allowing(0));
  await wire.settled("3rd time");
  answer(wire, 7);
  const [none] = ask();
  await wire.settled("4th time");
  assert.ok(none?.waits);
  wire.write(...allowing(10));
  await until(() => upstream.requests.length === 5);
  answer(wire, 9);
  await until(() => none?.over === true);
  assert.equal(state.stats.upstream_cx_total, 1);
  pool.drain("test");
  await empty();
});

test("the cluster's own limit of streams decides how many connections a burst needs", async (t) => {
  const { ask, upstream, state } = await setup(t, { http2: { maxConcurrentStreams: 2 } }, answering);
  const calls = ask(9);
  assert.equal(state.stats.upstream_cx_total, 5);
  await until(() => calls.every(({ over }) => over));
  assert.equal(upstream.requests.length, 9);
});

test("with one connection allowed, what does not fit waits for streams to end", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1 };
  const options = { limits: { default: limits, high: limits }, http2: { maxConcurrentStreams: 2 } };
  const { ask, upstream, state, pool, empty } = await setup(t, options);
  const calls = ask(5);
  const wire = await upstream.wire();
  await until(() => upstream.requests.length === 2);
  assert.deepEqual([state.limits.pending, state.stats.upstream_cx_total], [3, 1]);
  for (const id of [1, 3, 5, 7, 9]) {
    await until(() => wire.streams.has(id));
    answer(wire, id);
  }
  await until(() => calls.every(({ status }) => status === 200));
  pool.drain("test");
  await empty();
});

test("a connection takes max_requests_per_connection and ends with the last of them", async (t) => {
  const { ask, upstream, state, pool, empty } = await setup(t, { http1: { maxRequestsPerConnection: 2 } }, answering);
  const calls = ask(5);
  await until(() => calls.every(({ over }) => over));
  await until(() => upstream.wires.filter((wire) => wire.gone).length === 2);
  assert.deepEqual([upstream.wires.map(({ streams }) => streams.size), pool.connections], [[2, 2, 1], 1]);
  assert.equal(state.stats.upstream_cx_active, 1);
  pool.drain("test");
  await empty();
});

test("a connection of max_connection_duration takes no more requests, and its streams end", async (t) => {
  const { ask, upstream, state, pass, pool, empty } = await setup(t, { http1: { maxConnectionDurationMs: 1000 } });
  const [old] = ask();
  await until(() => upstream.requests.length === 1);
  pass(1100);
  assert.equal(state.stats.upstream_cx_max_duration_reached, 1);
  const [young] = ask();
  await until(() => upstream.wires.length === 2 && upstream.requests.length === 2);
  answer(upstream.wires[0] as Http2Wire, 1);
  answer(upstream.wires[1] as Http2Wire, 1);
  await until(() => old?.status === 200 && young?.status === 200);
  await until(() => upstream.wires[0]?.gone === true);
  assert.equal(upstream.wires[1]?.gone, false);
  pool.drain("test");
  await empty();
});

test("a connection is idle from the end of its last stream on", async (t) => {
  const { ask, upstream, state, pass, empty } = await setup(t, { http1: { idleTimeoutMs: 1000 } });
  const [call] = ask();
  await until(() => upstream.requests.length === 1);
  pass(5000);
  assert.equal(state.stats.upstream_cx_idle_timeout, 0, "it carries a stream");
  answer(await upstream.wire(), 1);
  await until(() => call?.over === true);
  pass(900);
  const [again] = ask();
  await until(() => upstream.requests.length === 2);
  pass(500);
  answer(await upstream.wire(), 3);
  await until(() => again?.over === true);
  pass(900);
  assert.equal(state.stats.upstream_cx_idle_timeout, 0, "not long enough since its last stream");
  pass(300);
  assert.equal(state.stats.upstream_cx_idle_timeout, 1);
  await empty();
});

test("GOAWAY leaves what it names, and refuses what it does not", async (t) => {
  const { ask, upstream, pool, empty } = await setup(t);
  const [one, two, three] = ask(3);
  await until(() => upstream.requests.length === 3);
  const wire = await upstream.wire();
  wire.write(goaway(0x7fff_ffff, Code.noError));
  await wire.settled();
  assert.deepEqual([one?.failure, two?.failure, three?.failure], [null, null, null]);
  const [next] = ask();
  await until(() => upstream.wires.length === 2 && upstream.requests.length === 4);
  wire.write(goaway(3, Code.noError));
  await until(() => three?.failure !== null);
  assert.equal(three?.failure, "refused_stream");
  answer(wire, 1);
  answer(wire, 3);
  await until(() => one?.status === 200 && two?.status === 200);
  await until(() => wire.gone);
  answer(await upstream.wire(1), 1);
  await until(() => next?.status === 200);
  pool.drain("test");
  await empty();
});

test("requests that wait behind a connection which goes away have the next one", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1 };
  const options = { limits: { default: limits, high: limits }, http2: { maxConcurrentStreams: 1 } };
  const { ask, upstream, pool, empty } = await setup(t, options);
  const [first, second] = ask(2);
  await until(() => upstream.requests.length === 1);
  const wire = await upstream.wire();
  wire.write(goaway(1, Code.noError));
  await wire.settled();
  assert.ok(second?.waits);
  answer(wire, 1);
  await until(() => first?.status === 200);
  await until(() => upstream.requests.length === 2);
  answer(await upstream.wire(1), 1);
  await until(() => second?.status === 200);
  pool.drain("test");
  await empty();
});

test("a connection that is cut fails its streams, not those that wait", async (t) => {
  const { ask, upstream, pool, empty } = await setup(t, { http2: { maxConcurrentStreams: 2 } });
  const calls = ask(2);
  await until(() => upstream.requests.length === 2);
  const waiting = ask(1);
  upstream.wires[0]?.destroy();
  await until(() => calls.every(({ failure }) => failure === "connection_termination"));
  await until(() => upstream.requests.length === 3);
  assert.equal(waiting[0]?.failure, null);
  pool.close();
  assert.equal(waiting[0]?.failure, null, "its stream hears of it with the socket");
  await until(() => waiting[0]?.failure === "connection_termination");
  await empty();
});

test("a drained pool serves those who wait, over the connections that it still opens", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1 };
  const options = { limits: { default: limits, high: limits }, http2: { maxConcurrentStreams: 1 } };
  const { ask, upstream, pool, empty } = await setup(t, options, answering);
  const calls = ask(4);
  pool.drain("test");
  await until(() => calls.every(({ status }) => status === 200));
  assert.ok(upstream.wires.length >= 1);
  await empty();
});

test("who gives a stream back at once makes room for the next, however many do", async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 1, maxPendingRequests: 20_000 };
  const { pool, state, empty } = await setup(t, { limits: { default: limits, high: limits } });
  const calls = Array.from({ length: 20_000 }, () => new Call(pool, () => false));
  await until(() => calls.every(({ over }) => over));
  assert.equal(state.stats.upstream_rq_pending_active, 0);
  pool.drain("test");
  await empty();
});

test("whatever happens in whatever order, nothing stays counted", async (t) => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant("ask" as const) },
    { weight: 2, arbitrary: fc.constant("decline" as const) },
    { weight: 3, arbitrary: fc.constant("answer" as const) },
    { weight: 2, arbitrary: fc.constant("refuse" as const) },
    { weight: 2, arbitrary: fc.constant("forget" as const) },
    { weight: 1, arbitrary: fc.constant("goaway" as const) },
    { weight: 1, arbitrary: fc.constant("cut" as const) },
    { weight: 1, arbitrary: fc.constant("settings" as const) },
    { weight: 1, arbitrary: fc.constant("time" as const) },
    { weight: 3, arbitrary: fc.constant("turn" as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(step, fc.nat(1000)), { minLength: 5, maxLength: 40 }),
      fc.record({ connections: fc.integer({ min: 1, max: 4 }), streams: fc.integer({ min: 1, max: 4 }) }),
      fc.constantFrom("drain", "close"),
      async (steps, { connections, streams }, ending) => {
        const limits = { ...DEFAULT_LIMITS, maxConnections: connections, maxPendingRequests: 5 };
        const { pool, upstream, pass, empty } = await setup(t, {
          limits: { default: limits, high: limits },
          http1: { idleTimeoutMs: 500, maxConnectionDurationMs: 2000, maxRequestsPerConnection: 7 },
          http2: { maxConcurrentStreams: streams },
        });
        const calls: Call[] = [];
        const pick = <T>(from: readonly T[], at: number): T | undefined => from[at % Math.max(1, from.length)];
        for (const [what, which] of steps) {
          const wire = pick(upstream.wires, which);
          const stream = wire === undefined ? undefined : pick([...wire.streams.keys()], which);
          if (what === "ask") calls.push(new Call(pool));
          else if (what === "decline") calls.push(new Call(pool, () => false));
          else if (what === "forget") pick(calls, which)?.forget();
          else if (what === "time") pass(which);
          else if (what === "turn") await turns(which % 8);
          else if (wire === undefined) continue;
          else if (what === "goaway") wire.write(goaway(which % 12, Code.noError));
          else if (what === "cut") wire.destroy();
          else if (what === "settings") wire.write(...allowing(which % 5));
          else if (stream === undefined || wire.stream(stream).ended === false) continue;
          else if (what === "answer") answer(wire, stream);
          else wire.write(rstStream(stream, Code.refusedStream));
        }
        for (const call of calls) if (!call.over && call.failure === null) call.forget();
        if (ending === "drain") pool.drain("test");
        else pool.close();
        await empty();
      },
    ),
    { numRuns: 60 },
  );
});
