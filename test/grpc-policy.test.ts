/** gRPC calls through a whole proxy: retries, breaker, outlier detection, deadlines, time limits, numbers. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { any, type Json, named, router } from "../xds/testing/bootstrap-json.ts";
import { GrpcClient, grpcServer, MESSAGE, statusOf } from "./support/grpc-peers.ts";
import { http2Cluster } from "./support/http2-config.ts";
import { type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { until } from "./support/wire.ts";

interface Setup {
  readonly action?: Json;
  readonly manager?: Json;
  readonly cluster?: Json;
  /** Outrigger's own policy for the cluster; absent: plain Envoy. */
  readonly own?: Json;
  readonly servers?: number;
}

async function setup(t: TestContext, { action = {}, manager = {}, cluster = {}, own, servers = 1 }: Setup = {}) {
  const upstreams = await Promise.all(Array.from({ length: servers }, () => grpcServer(t)));
  const proxy = await startProxy(t, {
    upstreams: upstreams.map(({ port }) => port),
    action,
    manager: { codec_type: "AUTO", ...manager },
    cluster: {
      ...http2Cluster(),
      ...(own === undefined ? {} : { metadata: { filter_metadata: { outrigger: own } } }),
      ...cluster,
    },
  });
  const [upstream] = upstreams;
  assert.ok(upstream);
  return { proxy, upstream, upstreams, client: new GrpcClient(t, proxy.port) };
}

/** No call is counted as being under way any more; the connections stay for the next. */
async function nothingLeft(proxy: RunningProxy): Promise<void> {
  const { stats, limits, endpoints } = proxy.cluster();
  const active = (): number[] => [
    stats.upstream_rq_active,
    limits.requests,
    limits.pending,
    ...[...endpoints].map(({ activeRequests }) => activeRequests),
  ];
  await until(() => active().every((count) => count === 0)).catch(() => assert.deepEqual(active(), [0, 0, 0, 0]));
}

const RETRIED = { cancelled: 1, "deadline-exceeded": 4, internal: 13, "resource-exhausted": 8, unavailable: 14 };

const quick = (on: string): Json => ({
  retry_policy: { retry_on: on, num_retries: 1, retry_back_off: { base_interval: "0.001s" } },
});

for (const [condition, status] of Object.entries(RETRIED)) {
  test(`${condition} is retried while it comes without a message, and nothing else is`, async (t) => {
    const { client, upstream } = await setup(t, { action: quick(condition) });
    const attempts = async (what: string): Promise<number> => {
      const before = upstream.calls.length;
      const answer = await client.call(what);
      assert.equal(statusOf(answer), what.split(":")[1]);
      return upstream.calls.length - before;
    };
    assert.equal(await attempts(`head:${status}`), 2);
    for (const other of Object.values(RETRIED)) if (other !== status) assert.equal(await attempts(`head:${other}`), 1);
    assert.equal(await attempts("head:0"), 1);
    // The head has been passed on: the call is committed, as in Envoy and in gRPC's own retry design.
    assert.equal(await attempts(`trailers:${status}`), 1);
    assert.equal(await attempts(`message:${status}`), 1);
  });
}

test("a caller asks for retries by header", async (t) => {
  // Headers of callers that are not known to be internal are dropped.
  const internal = { cidr_ranges: [{ address_prefix: "127.0.0.0", prefix_len: 8 }] };
  const { client, upstream } = await setup(t, {
    manager: { use_remote_address: true, internal_address_config: internal },
  });
  for (const [condition, status] of Object.entries(RETRIED)) {
    const before = upstream.calls.length;
    await client.call(`head:${status}`, { "x-envoy-retry-grpc-on": condition });
    assert.equal(upstream.calls.length - before, 2, condition);
    assert.equal(upstream.calls.at(-1)?.["x-envoy-retry-grpc-on"], undefined);
  }
});

const BREAKER = { error_percent: 50, minimum_calls: 4, window_ms: 10_000, open_for_ms: 60_000 };

test("the breaker opens by what trailers say, and not for what callers are to blame for", async (t) => {
  const { client, proxy, upstream } = await setup(t, { own: { breaker: BREAKER } });
  const state = (): string | undefined => proxy.cluster().report().breaker?.state;
  for (const what of ["message:5", "trailers:3", "head:7", "message:16", "head:12", "message:9"])
    await client.call(what);
  assert.equal(state(), "closed");
  for (const what of ["message:14", "trailers:13", "none", "head:2", "message:4", "message:8", "head:15"]) {
    assert.equal(state(), "closed");
    await client.call(what);
  }
  assert.equal(state(), "open");
  const before = upstream.calls.length;
  const refused = await client.call("head:0");
  assert.equal(statusOf(refused), "14");
  assert.equal(refused.trailers, null);
  assert.equal(refused.head?.["content-length"], undefined);
  assert.equal(upstream.calls.length, before);
});

test("a breaker that is half open is closed by a stream's first message", async (t) => {
  const { client, proxy } = await setup(t, { own: { breaker: { ...BREAKER, open_for_ms: 100 } } });
  const state = (): string | undefined => proxy.cluster().report().breaker?.state;
  for (let i = 0; i < 4; i++) await client.call("message:14");
  assert.equal(state(), "open");
  await until(() => state() === "half_open");
  const stream = client.open("echo");
  stream.send(MESSAGE);
  await until(() => state() === "closed");
  stream.cancel();
  await stream.answer;
});

test("a caller that leaves its stream says nothing about the service", async (t) => {
  const { client, proxy, upstream } = await setup(t, { own: { breaker: BREAKER } });
  for (let i = 0; i < 6; i++) {
    const stream = client.open("stream:1000:1000");
    await until(() => upstream.calls.length === i + 1);
    await sleep(5);
    stream.cancel();
    await stream.answer;
  }
  await until(() => upstream.resets.length === 6);
  const breaker = proxy.cluster().report().breaker;
  assert.deepEqual([breaker?.state, breaker?.failures], ["closed", 0]);
  await nothingLeft(proxy);
});

test("outlier detection hears of trailers under the own policy only", async (t) => {
  const detection = {
    outlier_detection: { consecutive_5xx: 3, enforcing_consecutive_gateway_failure: 0, max_ejection_percent: 100 },
  };
  for (const own of [undefined, { mode: "enforce" }]) {
    const { client, proxy } = await setup(t, { cluster: detection, servers: 2, ...(own === undefined ? {} : { own }) });
    for (let i = 0; i < 6; i++) await client.call("message:13");
    const out = [...proxy.cluster().endpoints].filter((endpoint) => endpoint.ejected);
    assert.equal(out.length, own === undefined ? 0 : 1);
    // UNIMPLEMENTED is HTTP's 501 to Envoy: here it takes the rest, too.
    for (let i = 0; i < 6; i++) await client.call("head:12");
    assert.equal(
      [...proxy.cluster().endpoints].filter((endpoint) => endpoint.ejected).length,
      own === undefined ? 2 : 1,
    );
  }
});

const timeoutOf = (text: unknown): number => Number(/^(\d+)m$/.exec(String(text))?.[1]);

/** As the control plane asks for it: the caller's deadline and no other. */
const DEADLINE: Json = { timeout: "0s", max_stream_duration: { grpc_timeout_header_max: "0s" } };

test("what is left of a deadline is told with each attempt", async (t) => {
  const slow = {
    retry_policy: {
      retry_on: "unavailable",
      num_retries: 2,
      retry_back_off: { base_interval: "0.06s", max_interval: "0.06s" },
    },
  };
  for (const { action, own } of [
    { action: { max_grpc_timeout: "0s" } },
    { action: DEADLINE, own: { mode: "enforce" } },
  ]) {
    const { client, upstream } = await setup(t, {
      action: { ...action, ...slow },
      ...(own === undefined ? {} : { own }),
    });
    await client.call("head:14", { "grpc-timeout": "5S" });
    const told = upstream.calls.map((headers) => timeoutOf(headers["grpc-timeout"]));
    assert.equal(told.length, 3);
    const [first = 0, second = 0, third = 0] = told;
    assert.ok(first <= 5000 && first > 4900 && second < first && third < second, told.join(" "));
  }
});

test("a caller's deadline ends the call, streams that are still being sent too, with DEADLINE_EXCEEDED", async (t) => {
  for (const own of [undefined, { breaker: { ...BREAKER, minimum_calls: 2 } }]) {
    const { client, proxy, upstream } = await setup(t, { action: DEADLINE, ...(own === undefined ? {} : { own }) });
    const started = performance.now();
    const open = client.open("hang", { "grpc-timeout": "150m" });
    open.send(MESSAGE);
    const answers = await Promise.all([client.call("hang", { "grpc-timeout": "150000u" }), open.answer]);
    const took = performance.now() - started;
    assert.ok(took > 140 && took < 5000, String(took));
    for (const answer of answers) {
      assert.equal(answer.head?.[":status"], 200);
      assert.equal(answer.head?.["grpc-status"], "4");
      assert.equal(answer.head?.["content-type"], "application/grpc");
      assert.equal(answer.trailers, null);
    }
    await until(() => upstream.resets.length === 2);
    await nothingLeft(proxy);
    // The breaker takes a service that says nothing for one that fails.
    assert.equal(proxy.cluster().report().breaker?.state, own === undefined ? undefined : "open");
  }
});

test("a stream that has sent messages may end by its deadline", async (t) => {
  const { client, proxy } = await setup(t, { action: DEADLINE, own: { breaker: { ...BREAKER, minimum_calls: 1 } } });
  const call = client.open("echo", { "grpc-timeout": "500m" });
  call.send(MESSAGE);
  const answer = await call.answer;
  assert.equal(answer.bytes, MESSAGE.length);
  assert.notEqual(statusOf(answer), "0");
  await nothingLeft(proxy);
  assert.equal(proxy.cluster().report().breaker?.state, "closed");
});

test("under plain Envoy configuration a timeout is Envoy's UNAVAILABLE", async (t) => {
  const { client } = await setup(t, { action: { max_grpc_timeout: "0s" } });
  const answer = await client.call("hang", { "grpc-timeout": "100m" });
  assert.equal(answer.head?.["grpc-status"], "14");
  assert.equal(answer.head?.["grpc-message"], "upstream request timeout");
});

test("a stream whose request has not ended outlives the route's timeout", async (t) => {
  const { client, proxy } = await setup(t, { action: { timeout: "0.15s" } });
  const stream = client.open("echo");
  for (let i = 0; i < 6; i++) {
    stream.send(MESSAGE);
    await sleep(50);
  }
  stream.end();
  const answer = await stream.answer;
  assert.deepEqual([statusOf(answer), answer.bytes], ["0", 6 * MESSAGE.length]);
  await nothingLeft(proxy);
});

test("the route's timeout cuts what a server streams, as in Envoy", async (t) => {
  const { client, proxy } = await setup(t, { action: { timeout: "0.15s" } });
  const answer = await client.call("stream:8:50");
  assert.notEqual(statusOf(answer), "0");
  assert.ok(answer.bytes >= MESSAGE.length && answer.bytes < 8 * MESSAGE.length, String(answer.bytes));
  const waited = await client.call("hang");
  assert.equal(statusOf(waited), "14");
  await nothingLeft(proxy);
});

test("bytes of either direction keep a stream from being idle", async (t) => {
  const { client } = await setup(t, { manager: { stream_idle_timeout: "1s" }, action: { timeout: "0s" } });
  const sent = client.open("hang");
  const received = client.call("stream:8:200");
  for (let i = 0; i < 8; i++) {
    sent.send(MESSAGE);
    await sleep(200);
  }
  const answer = await received;
  assert.deepEqual([statusOf(answer), answer.bytes], ["0", 8 * MESSAGE.length]);
  // Nothing moves any more.
  const idle = await sent.answer;
  assert.equal(statusOf(idle), "2");
});

test("calls and messages are counted, under Envoy's names where its filter is", async (t) => {
  const filter = named(
    "stats",
    any("extensions.filters.http.grpc_stats.v3.FilterConfig", { stats_for_all_methods: true }),
  );
  const { client, proxy } = await setup(t, { manager: { http_filters: [filter, router] } });
  const echo = client.open("echo");
  for (let i = 0; i < 3; i++) echo.send(MESSAGE);
  echo.end();
  await echo.answer;
  await client.call("message:5");
  await client.call("head:12", { ":path": "/shop.Orders/None" });
  const calls = [...proxy.process.registry.text().matchAll(/^outrigger_grpc_calls_total\{.*(service=.*)\} (\d+)$/gm)];
  assert.deepEqual(calls.map(([, labels, count]) => `${labels} ${count}`).sort(), [
    'service="other",method="other",status="UNIMPLEMENTED" 1',
    'service="shop.Orders",method="Get",status="NOT_FOUND" 1',
    'service="shop.Orders",method="Get",status="OK" 1',
  ]);
  const stats = Object.fromEntries(proxy.process.telemetry.grpcStats.stats());
  const name = "cluster.up.grpc.shop.Orders.Get.";
  assert.deepEqual(
    ["0", "5", "success", "failure", "total", "request_message_count", "response_message_count"].map(
      (n) => stats[name + n],
    ),
    [1, 1, 1, 1, 2, 4, 4],
  );
});
