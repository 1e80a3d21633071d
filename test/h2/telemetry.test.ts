/** HTTP/2 as operators see it: what connections speak, and a counter for each way to misuse one, under Envoy's names. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import { processSource, protocolSource } from "../../cli/admin/process-source.ts";
import { registerProtocolMetrics } from "../../telemetry/protocol-metrics.ts";
import { any, named } from "../../xds/testing/bootstrap-json.ts";
import { http2Cluster } from "../support/http2-config.ts";
import {
  Code,
  data,
  frame,
  headers,
  literal,
  literals,
  ping,
  priority,
  request,
  response,
  rstStream,
  Setting,
  settings,
  Type,
  windowUpdate,
} from "../support/http2-frames.ts";
import { connectHttp2, Http2Upstream, type Http2Wire } from "../support/http2-wire.ts";
import { type ProxyConfig, type RunningProxy, startProxy } from "../support/running-proxy.ts";
import { holdBusy, startTwoHops } from "../support/two-hops.ts";
import { ok, turns, Upstream, until } from "../support/wire.ts";

const NOTHING = Buffer.alloc(0);
const LARGE = "x".repeat(1_000_000);

async function start(t: TestContext, config: ProxyConfig = {}): Promise<RunningProxy> {
  const upstream = await Upstream.serving(t, ({ start: line }) => {
    if (line.includes("/silent")) return null;
    return ok(line.includes("/large") ? LARGE : "fine");
  });
  const proxy = await startProxy(t, { upstreams: [upstream.port], ...config });
  registerProtocolMetrics(proxy.process.registry, protocolSource(proxy.process));
  return proxy;
}

function statsOf(proxy: RunningProxy): Record<string, number> {
  const source = processSource(proxy.process, { options: {}, quit: () => undefined });
  const clusters = [...source.clusters()].flatMap(({ name, stats }) =>
    Object.entries(stats).map(([stat, value]) => [`cluster.${name}.${stat}`, value]),
  );
  return Object.fromEntries([...clusters, ...source.stats()]) as Record<string, number>;
}

/** The series of one metric that are above zero, as Prometheus reads them. */
function seriesOf(proxy: RunningProxy, name: string): string[] {
  const text = [...proxy.process.registry.pieces()].join("");
  return text.split("\n").filter((line) => line.startsWith(`${name}{`) && !line.endsWith(" 0"));
}

const many = (count: number, bytes: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => bytes(index)));

/** Writes `part` again and again, so that it is read meanwhile, until the peer says GOAWAY. */
async function flood(wire: Http2Wire, part: (round: number) => Buffer): Promise<void> {
  for (let round = 0; round < 400 && wire.goaway === null && !wire.gone; round++) {
    wire.write(part(round));
    await turns();
  }
  wire.socket.resume();
}

describe("a flood ends its connection with ENHANCE_YOUR_CALM and is counted:", () => {
  const open = headers(1, request("/silent"), 0);
  const floods: Readonly<Record<string, readonly [label: string, part: (round: number) => Buffer]>> = {
    "http.h.downstream_rq_too_many_premature_resets": [
      "premature_resets",
      (round) =>
        many(100, (index) => {
          const stream = round * 200 + index * 2 + 1;
          return Buffer.concat([headers(stream, request("/silent")), rstStream(stream, Code.cancel)]);
        }),
    ],
    "http2.outbound_control_flood": ["control_frames", () => many(500, () => ping())],
    "http2.inbound_empty_frames_flood": [
      "empty_frames",
      (round) => Buffer.concat([round === 0 ? open : NOTHING, many(100, () => data(1, ""))]),
    ],
    "http2.inbound_priority_frames_flood": ["priority_frames", () => many(500, (index) => priority(index * 2 + 1, 0))],
    "http2.inbound_window_update_frames_flood": ["window_update_frames", () => many(500, () => windowUpdate(0, 1))],
  };
  for (const [stat, [label, part]] of Object.entries(floods)) {
    test(stat, async (t) => {
      const proxy = await start(t);
      const wire = await connectHttp2(t, proxy.port);
      assert.equal(statsOf(proxy)[stat] ?? 0, 0);
      await flood(wire, part);
      assert.equal(await wire.ended(), Code.enhanceYourCalm, wire.describe());
      assert.equal(statsOf(proxy)[stat], 1);
      assert.deepEqual(seriesOf(proxy, "outrigger_http2_floods_total"), [
        `outrigger_http2_floods_total{side="downstream",name="h",protocol="http2",flood="${label}"} 1`,
      ]);
    });
  }

  test("http2.outbound_flood", async (t) => {
    const proxy = await start(t, { manager: { http2_protocol_options: { max_outbound_frames: 1500 } } });
    const wire = await connectHttp2(t, proxy.port, { answers: false, widens: false });
    wire.socket.pause();
    wire.write(settings([Setting.initialWindowSize, 2 ** 30]), windowUpdate(0, 2 ** 30));
    wire.write(many(20, (index) => headers(index * 2 + 1, request("/large"))));
    for (let stream = 101; !wire.gone && statsOf(proxy)["http2.outbound_flood"] === 0 && stream < 20_001; ) {
      wire.write(many(50, (index) => headers(stream + index * 2, request())));
      stream += 100;
      await turns(10);
    }
    assert.equal(statsOf(proxy)["http2.outbound_flood"], 1);
    assert.match(seriesOf(proxy, "outrigger_http2_floods_total")[0] ?? "", /flood="unread_answers"} 1$/);
  });

  test("http2.header_overflow, with too many CONTINUATION frames", async (t) => {
    const proxy = await start(t);
    const wire = await connectHttp2(t, proxy.port);
    await flood(wire, (round) =>
      Buffer.concat([
        round === 0 ? frame(Type.headers, 0, 1, literals(request())) : NOTHING,
        many(200, () => frame(Type.continuation, 0, 1, literal(["x-a", "b"]))),
      ]),
    );
    assert.equal(await wire.ended(), Code.enhanceYourCalm, wire.describe());
    assert.equal(statsOf(proxy)["http2.header_overflow"], 1);
  });
});

test("a malformed message is counted, and the GOAWAY that it is answered with", async (t) => {
  const proxy = await start(t);
  const wire = await connectHttp2(t, proxy.port);
  wire.write(headers(1, request("/", [["X-Upper", "1"]])));
  await wire.ended();
  const stats = statsOf(proxy);
  assert.equal(stats["http2.rx_messaging_error"], 1);
  assert.equal(stats["http2.goaway_sent"], 1);
  assert.equal(stats["http.h.downstream_cx_protocol_error"], 1);
});

test("a peer that breaks the protocol is counted, whichever it speaks", async (t) => {
  const proxy = await start(t);
  const http1 = await proxy.connect();
  http1.write("GET / HTTP/1.1\r\nHost\r\n\r\n");
  await http1.message();
  assert.equal(statsOf(proxy)["http.h.downstream_cx_protocol_error"], 1);
  const nameless = await proxy.connect();
  nameless.write("GET / HTTP/1.1\r\n\r\n");
  await nameless.message();
  assert.equal(statsOf(proxy)["http.h.downstream_cx_protocol_error"], 1);
  const overflowing = await connectHttp2(t, proxy.port);
  overflowing.write(windowUpdate(0, 2 ** 31 - 1));
  assert.equal(await overflowing.ended(), Code.flowControlError);
  assert.equal(statsOf(proxy)["http.h.downstream_cx_protocol_error"], 2);
  assert.deepEqual(seriesOf(proxy, "outrigger_http2_errors_total"), [
    'outrigger_http2_errors_total{side="downstream",name="h",protocol="http2",error="protocol_error"} 1',
  ]);
});

test("connections and requests are counted by what the caller speaks, first bytes included", async (t) => {
  const proxy = await start(t);
  const silent = await proxy.connect();
  const http1 = await proxy.connect();
  http1.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
  await http1.message();
  const http2 = await connectHttp2(t, proxy.port);
  http2.write(headers(1, request()), headers(3, request("/silent")));
  await http2.over(1);
  const counted = (): Record<string, number> =>
    Object.fromEntries(
      Object.entries(statsOf(proxy)).flatMap(([name, value]) =>
        /^http\.h\.downstream_(cx|rq)_http\d/.test(name) ? [[name.replace("http.h.downstream_", ""), value]] : [],
      ),
    );
  const totals = { cx_http1_total: 1, cx_http2_total: 1, rq_http1_total: 1, rq_http2_total: 2 };
  assert.deepEqual(counted(), { cx_http1_active: 1, cx_http2_active: 1, ...totals });
  assert.equal(statsOf(proxy)["http2.streams_active"], 1);
  http2.destroy();
  http1.destroy();
  silent.destroy();
  await until(() => counted()["cx_http2_active"] === 0 && counted()["cx_http1_active"] === 0);
  assert.deepEqual(counted(), { cx_http1_active: 0, cx_http2_active: 0, ...totals });
  assert.equal(statsOf(proxy)["http2.streams_active"], 0);
});

test("a cluster's connections and streams are counted, and what its servers reset", async (t) => {
  let requests = 0;
  const upstream = await Http2Upstream.start(t, {
    onRequest: ({ id }, wire) =>
      requests++ === 0 ? wire.write(headers(id, response(200))) : wire.write(rstStream(id, Code.internalError)),
  });
  const proxy = await startProxy(t, { upstreams: [upstream.port], cluster: http2Cluster() });
  const caller = await proxy.connect();
  for (const status of [200, 502]) {
    caller.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
    const { start: line } = await caller.message();
    assert.match(line, new RegExp(status === 200 ? " 200 " : " 50\\d "));
  }
  const stats = statsOf(proxy);
  assert.equal(stats["cluster.up.upstream_cx_http2_total"], 1);
  assert.equal(stats["cluster.up.http2.rx_reset"], 1);
  assert.equal(stats["cluster.up.http2.streams_active"], 0);
  assert.equal(proxy.cluster().stats.upstream_cx_http1_total, 0);
});

test("what two sidecars multiplex is counted apart from HTTP/2, on both sides", async (t) => {
  const application = await Upstream.serving(t, ({ start: line }) => (line.includes("/hold") ? null : ok("fine")));
  const { first, second } = await startTwoHops(t, { application: application.port });
  await holdBusy(first);
  const caller = await first.connect();
  caller.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
  await caller.message();
  const calling = statsOf(first);
  const called = statsOf(second);
  // The fifth that is held, and the one that was answered.
  assert.equal(calling["cluster.up.multiplexed.streams_total"], 2);
  assert.equal(calling["cluster.up.multiplexed.streams_active"], 1);
  assert.equal(calling["cluster.up.multiplexed.connections_active"], 1);
  assert.equal(calling["cluster.up.upstream_cx_http1_total"], 4);
  assert.equal(calling["cluster.up.upstream_cx_http2_total"], 0);
  assert.equal(called["http.h.multiplexed.connections_total"], 1);
  assert.equal(called["http.h.multiplexed.streams_active"], 1);
  assert.equal(called["http.h.downstream_cx_http2_total"], 0);
  assert.equal(called["http2.streams_active"], 0);
});

test("logs tell which calls shared a connection, by its number", async (t) => {
  const upstream = await Http2Upstream.start(t, {
    onRequest: ({ id }, wire) => wire.write(headers(id, response(200))),
  });
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-"));
  const file = path.join(folder, "log");
  t.after(() => rmSync(folder, { recursive: true }));
  const format = "%CONNECTION_ID% %UPSTREAM_CONNECTION_ID% %PROTOCOL% %UPSTREAM_PROTOCOL%\n";
  const log = any("extensions.access_loggers.file.v3.FileAccessLog", {
    path: file,
    log_format: { text_format_source: { inline_string: format } },
  });
  const proxy = await startProxy(t, {
    upstreams: [upstream.port],
    cluster: http2Cluster(),
    manager: { access_log: [named("log", log)] },
  });
  for (let i = 0; i < 2; i++) {
    const caller = await proxy.connect();
    caller.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
    await caller.message();
  }
  const lines = (): string[] => (existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : []);
  await until(() => lines().length === 2);
  const [first = [], second = []] = lines().map((line) => line.split(" "));
  assert.notEqual(first[0], second[0]);
  assert.notEqual(first[1], first[0]);
  assert.equal(first[1], second[1]);
  assert.deepEqual(first.slice(2), ["HTTP/1.1", "HTTP/2"]);
});

test("numbers of a stat_prefix go with its last connection", async (t) => {
  const upstream = await Upstream.serving(t, () => ok("fine"));
  const config: ProxyConfig = { upstreams: [upstream.port] };
  const proxy = await startProxy(t, config);
  const caller = await connectHttp2(t, proxy.port);
  caller.write(headers(1, request()));
  await caller.over(1);
  const renamed = { ...config, manager: { stat_prefix: "renamed" } };
  await proxy.apply(renamed);
  assert.equal(statsOf(proxy)["http.h.downstream_cx_http2_active"], 1);
  caller.destroy();
  await until(() => proxy.downstreamConnections === 0);
  await proxy.apply(renamed);
  assert.equal(statsOf(proxy)["http.h.downstream_cx_http2_active"], undefined);
  assert.equal(statsOf(proxy)["http.renamed.downstream_cx_http2_active"], 0);
});

test("without HTTP/2 there are no series of it", async (t) => {
  const proxy = await start(t);
  const caller = await proxy.connect();
  caller.write("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
  await caller.message();
  const text = [...proxy.process.registry.pieces()].join("");
  assert.doesNotMatch(text, /outrigger_http2_|protocol="(?:http2|multiplexed)"/);
  assert.match(text, /outrigger_http_connections_opened_total\{side="downstream",name="\w+",protocol="http1"\} 1\n/);
});
