/** A peer that is there and says nothing any more: PING finds out (Envoy `connection_keepalive`), and calls go elsewhere. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { http2Cluster } from "./support/http2-config.ts";
import { data, Flag, headers, response, Type } from "./support/http2-frames.ts";
import { Http2Upstream } from "./support/http2-wire.ts";
import { type ProxyConfig, type RunningProxy, startProxy } from "./support/running-proxy.ts";
import { field, type Message, until } from "./support/wire.ts";

const KEEPALIVE = { connection_keepalive: { interval: "0.15s", timeout: "0.15s", interval_jitter: { value: 0 } } };
const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

/** Says nothing after its SETTINGS. */
const silent = (t: TestContext): Promise<Http2Upstream> => Http2Upstream.start(t, { answers: false });

/** Answers with its name. */
const answering = (t: TestContext): Promise<Http2Upstream> =>
  Http2Upstream.start(t, {
    onRequest: ({ id }, wire) => wire.write(headers(id, response(), 0), data(id, "alive", Flag.endStream)),
  });

async function start(t: TestContext, upstreams: readonly Http2Upstream[], config: ProxyConfig): Promise<RunningProxy> {
  const ports = upstreams.map(({ port }) => port);
  return startProxy(t, { upstreams: ports, ...config, cluster: { ...http2Cluster(KEEPALIVE), ...config.cluster } });
}

async function ask(proxy: RunningProxy): Promise<Message> {
  const wire = await proxy.connect();
  wire.write(GET);
  return wire.message({}, 5000);
}

test("a call to it fails when PING is not answered, long before its timeout", async (t) => {
  const upstream = await silent(t);
  const proxy = await start(t, [upstream], { action: { timeout: "30s" } });
  const began = performance.now();
  const answer = await ask(proxy);
  const took = performance.now() - began;
  assert.match(answer.start, /503/);
  assert.match(answer.body, /connection termination/);
  assert.ok(took > 250 && took < 3000, `${took} ms`);
  const wire = await upstream.wire();
  assert.equal(wire.count(Type.ping), 1);
  await until(() => wire.gone);
  assert.equal(proxy.cluster().stats.http2.keepalive_timeout, 1);
  assert.equal(proxy.cluster().stats.upstream_cx_active, 0);
  await proxy.settled();
});

test("all its calls go to another endpoint at once", async (t) => {
  const [dead, alive] = [await silent(t), await answering(t)];
  const proxy = await start(t, [dead, alive], {
    action: { timeout: "30s", retry_policy: { retry_on: "reset", num_retries: 5 } },
    cluster: { circuit_breakers: { thresholds: [{ max_retries: 100 }] } },
  });
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(proxy)));
  for (const answer of answers) assert.deepEqual([answer.start, answer.body], ["HTTP/1.1 200 OK", "alive"]);
  assert.ok(dead.requests.length > 0 && dead.wires.every(({ gone }) => gone));
  assert.equal(proxy.cluster().stats.http2.keepalive_timeout, dead.wires.length);
  await proxy.settled(3000, ["timers"]);
});

test("a peer that is slow to answer, but answers PING, is left alone", async (t) => {
  const upstream = await Http2Upstream.start(t);
  const proxy = await start(t, [upstream], {});
  const answer = ask(proxy);
  const { id } = await upstream.request();
  const wire = await upstream.wire();
  await until(() => wire.count(Type.ping) >= 3, 3000);
  wire.write(headers(id, response(200, [["x-late", "yes"]])));
  assert.equal(field(await answer, "x-late"), "yes");
  assert.equal(proxy.cluster().stats.http2.keepalive_timeout, 0);
  await proxy.settled(3000, ["timers"]);
});

test("a peer whose windows and buffers are full is found out too, and its socket does not stay", async (t) => {
  const upstream = await Http2Upstream.start(t, {
    answers: false,
    widens: true,
    onWire: (wire) => wire.socket.pause(),
  });
  const proxy = await start(t, [upstream], { action: { timeout: "30s" } });
  const caller = await proxy.connect();
  const size = 50_000_000;
  caller.write(`POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
  caller.socket.write(Buffer.alloc(size, "x"));
  const answer = await caller.message({}, 5000);
  assert.match(answer.start, /503/);
  await until(() => proxy.cluster().stats.upstream_cx_active === 0);
  assert.equal(proxy.cluster().stats.http2.keepalive_timeout, 1);
  await proxy.settled();
});
