/** Limits, breaker and ejections are those of the process, whatever worker a call comes to. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Json } from "../xds/testing/bootstrap-json.ts";
import { eventually, type RunningWorkers, startWorkers } from "./support/running-workers.ts";
import { ok, Upstream, until, type Wire } from "./support/wire.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

const limits = (thresholds: Json): Json => ({ circuit_breakers: { thresholds: [thresholds] } });

/** So many that each worker has several of them. */
const CALLERS = 40;

const callers = (proxy: RunningWorkers): Promise<Wire[]> =>
  Promise.all(Array.from({ length: CALLERS }, () => proxy.connect()));

/** An upstream that keeps each request waiting until it is told to answer. */
async function silent(t: Parameters<typeof Upstream.start>[0]) {
  const upstream = await Upstream.start(t);
  return {
    port: upstream.port,
    /** Requests that wait. */
    waiting: (): number =>
      upstream.wires.filter(({ closed, ended, received }) => !closed && !ended && received !== "").length,
    connections: (): number => upstream.wires.filter(({ closed, ended }) => !closed && !ended).length,
    answerAll(): void {
      for (const wire of upstream.wires.filter(({ received }) => received !== "")) {
        wire.received = "";
        wire.write(ok("x"));
      }
    },
  };
}

/** Callers that have been answered by now, and those who wait. */
function answered(clients: readonly Wire[]): { refused: number; waiting: Wire[] } {
  const refused = clients.filter(({ received }) => received.startsWith("HTTP/1.1 503")).length;
  return { refused, waiting: clients.filter(({ received }) => received === "") };
}

describe("with two workers", () => {
  test("max_requests holds for both together, again and again", async (t) => {
    const upstream = await silent(t);
    const proxy = await startWorkers(t, { upstreams: [upstream.port], cluster: limits({ max_requests: 10 }) });
    const clients = await callers(proxy);
    for (let round = 0; round < 3; round++) {
      for (const client of clients) client.write(GET);
      await until(() => answered(clients).refused === CALLERS - 10);
      await until(() => upstream.waiting() === 10);
      assert.equal(answered(clients).waiting.length, 10);
      upstream.answerAll();
      for (const client of clients) await client.message();
    }
    const metrics = await proxy.metrics();
    assert.equal(
      metrics.get('outrigger_upstream_limit_overflows_total{cluster="up",limit="pending"}'),
      3 * (CALLERS - 10),
    );
    assert.equal(metrics.get('outrigger_upstream_limit_remaining{cluster="up",limit="requests"}'), 10);
    for (const client of clients) client.destroy();
  });

  test("max_connections holds for both together", async (t) => {
    const upstream = await silent(t);
    const proxy = await startWorkers(t, {
      upstreams: [upstream.port],
      cluster: limits({ max_connections: 8, max_pending_requests: 1000, max_requests: 1000 }),
    });
    const clients = await callers(proxy);
    for (const client of clients) client.write(GET);
    const numbers = async (): Promise<number[]> => {
      const metrics = await proxy.metrics();
      return ["connections_active", "requests_pending"].map(
        (name) => metrics.get(`outrigger_upstream_${name}{cluster="up"}`) ?? 0,
      );
    };
    await eventually(async () => (await numbers()).reduce((sum, n) => sum + n) === CALLERS && upstream.waiting() >= 8);
    const [open = 0] = await numbers();
    // A worker that has none to an endpoint is given one even over the limit, as in Envoy.
    assert.ok(open >= 8 && open <= 9, String(open));
    assert.equal(upstream.connections(), open);
    // Nobody waits for ever for places that the other worker gave back.
    while (answered(clients).waiting.length > 0) {
      upstream.answerAll();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(answered(clients).refused, 0);
    for (const client of clients) client.destroy();
  });

  test("what an ended worker held is given back", async (t) => {
    const upstream = await silent(t);
    const proxy = await startWorkers(t, { upstreams: [upstream.port], cluster: limits({ max_requests: 10 }) });
    const first = await callers(proxy);
    for (const client of first) client.write(GET);
    await until(() => answered(first).refused === CALLERS - 10 && upstream.waiting() === 10);
    await proxy.kill(0);
    await proxy.kill(1);
    await proxy.restarted(0, 1);
    await proxy.restarted(1, 1);
    await until(() => upstream.waiting() === 0);
    const second = await callers(proxy);
    for (const client of second) client.write(GET);
    await until(() => answered(second).refused === CALLERS - 10 && upstream.waiting() === 10);
    for (const client of [...first, ...second]) client.destroy();
  });

  test("a breaker that opens refuses in both, and both see it close", async (t) => {
    let status = 500;
    const upstream = await Upstream.serving(t, () =>
      status === 200 ? ok("x") : "HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n",
    );
    const breaker = { error_percent: 50, minimum_calls: 20, window_ms: 60_000, open_for_ms: 300 };
    const cluster = { metadata: { filter_metadata: { outrigger: { breaker } } } };
    const proxy = await startWorkers(t, { upstreams: [upstream.port], cluster });
    const clients = await callers(proxy);
    const all = async (): Promise<Set<string>> => {
      for (const client of clients) client.write(GET);
      return new Set(await Promise.all(clients.map(async (client) => (await client.message()).start)));
    };
    const state = async (): Promise<number | undefined> =>
      (await proxy.metrics()).get('outrigger_upstream_breaker_state{cluster="up"}');
    await all();
    await eventually(async () => (await state()) === 2);
    const seen = upstream.requests.length;
    const refusals = await all();
    assert.deepEqual(
      [...refusals].map((line) => line.slice(0, 12)),
      ["HTTP/1.1 503"],
    );
    assert.equal(upstream.requests.length, seen, "no worker asks while it is open");
    const metrics = await proxy.metrics();
    const opened = metrics.get('outrigger_upstream_events_total{cluster="up",event="breaker_opened"}');
    assert.equal(opened, 1, "told once");
    status = 200;
    await eventually(async () => {
      await all();
      return (await state()) === 0;
    });
    assert.deepEqual(
      [...(await all())].map((line) => line.slice(0, 12)),
      ["HTTP/1.1 200"],
    );
    for (const client of clients) client.destroy();
  });

  test("an endpoint that failed in one worker is out for both", async (t) => {
    const bad = await Upstream.serving(t, () => "HTTP/1.1 503 Bad\r\ncontent-length: 0\r\n\r\n");
    const good = await Upstream.serving(t, () => ok("x"));
    const proxy = await startWorkers(t, {
      upstreams: [bad.port, good.port],
      cluster: {
        outlier_detection: {
          consecutive_5xx: 5,
          interval: "600s",
          base_ejection_time: "600s",
          max_ejection_percent: 50,
        },
      },
    });
    // All on one connection, and so in one worker.
    const one = await proxy.connect();
    await eventually(async () => {
      one.write(GET);
      await one.message();
      const metrics = await proxy.metrics();
      return metrics.get('outrigger_upstream_endpoints{cluster="up",state="ejected"}') === 1;
    });
    const seen = bad.requests.length;
    const clients = await callers(proxy);
    for (const client of clients) client.write(GET);
    for (const client of clients) assert.equal((await client.message()).body, "x");
    assert.equal(bad.requests.length, seen);
    const [up] = [...proxy.source.clusters()];
    assert.deepEqual(up?.endpoints.map(({ health }) => health).sort(), ["ejected", "healthy"]);
    const metrics = await proxy.metrics();
    assert.equal(metrics.get('outrigger_upstream_events_total{cluster="up",event="ejected"}'), 1, "told once");
    for (const client of [...clients, one]) client.destroy();
  });
});
