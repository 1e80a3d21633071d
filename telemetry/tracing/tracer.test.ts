import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { HeaderMap } from "../../core/header-map.ts";
import { seededRandom } from "../../core/random.ts";
import { Flag } from "../../model/flags.ts";
import type { Tracing } from "../../model/http.ts";
import { type RequestView, StreamInfo } from "../stream-info.ts";
import { extract } from "./propagation.ts";
import type { SpanRecord } from "./span.ts";
import { createTracer, type RouteTracing } from "./tracer.ts";

const percent = (numerator: number) => ({ numerator, denominator: 100 });

const TRACING: Tracing = {
  clientSampling: percent(100),
  randomSampling: percent(100),
  overallSampling: percent(100),
  verbose: false,
  maxPathTagLength: 256,
  customTags: [],
  spawnUpstreamSpan: false,
  provider: null,
};

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

function setup(config: Partial<Tracing> = {}, seed = 1) {
  const clock = new SimulatedClock();
  clock.advance(1000);
  const spans: SpanRecord[] = [];
  const sink = { add: (span: SpanRecord) => spans.push(span), shutdown: () => Promise.resolve() };
  const tracer = createTracer({ ...TRACING, ...config }, { clock, random: seededRandom(seed), sink });
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "10.0.0.9",
    remotePort: 1,
    localAddress: "10.0.0.1",
    localPort: 80,
    tls: null,
    listener: "",
    filterChain: "",
  });
  info.startTime = clock.wallTime();
  info.startedAt = clock.now();
  return { clock, spans, tracer, info };
}

function request(fields: Record<string, string> = {}): RequestView {
  return {
    method: "GET",
    path: "/items/7?full=1",
    authority: "orders.shop:8080",
    scheme: "http",
    protocol: "HTTP/1.1",
    headers: HeaderMap.of(fields),
  };
}

test("a hop is a server span under the caller's and a client span under that", () => {
  const { clock, spans, tracer, info } = setup();
  const view = request({ traceparent: PARENT, tracestate: "vendor=1", "user-agent": "curl", "x-request-id": "id-1" });
  const trace = tracer.start(view, info);
  assert.ok(trace);
  clock.advance(2);
  trace.inject(view.headers);
  const next = extract(view.headers).parent;
  clock.advance(3);
  trace.event("retry", { "http.response.status_code": 503 });
  clock.advance(5);
  info.upstreamLastByteReceivedAt = clock.now();
  clock.advance(1);
  info.endedAt = clock.now();
  info.responseCode = 200;
  info.cluster = "orders";
  info.upstreamHost = "10.0.0.2:8080";
  info.upstreamProtocol = "HTTP/2";
  info.attempts = 2;
  info.routeName = "items";
  info.bytesSent = 12;
  trace.finish(info, view);

  const [client, server] = spans;
  assert.ok(client && server && spans.length === 2);
  assert.equal(server.kind, "server");
  assert.equal(server.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(server.parentSpanId, "00f067aa0ba902b7");
  assert.equal(server.parentIsRemote, true);
  assert.equal(server.traceState, "vendor=1");
  assert.equal(server.name, "GET items");
  assert.equal(server.endTime - server.startTime, 11);
  assert.deepEqual(server.attributes, {
    "http.request.method": "GET",
    "url.path": "/items/7",
    "url.query": "full=1",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
    "http.response.status_code": 200,
    "server.address": "orders.shop",
    "server.port": 8080,
    "client.address": "10.0.0.9",
    "http.request.body.size": 0,
    "http.response.body.size": 12,
    "http.route": "items",
    "user_agent.original": "curl",
    "guid:x-request-id": "id-1",
  });

  assert.equal(client.kind, "client");
  assert.equal(client.parentSpanId, server.spanId);
  assert.equal(client.parentIsRemote, false);
  assert.equal(client.startTime - server.startTime, 2);
  assert.equal(client.endTime - client.startTime, 8);
  assert.deepEqual(client.events, [
    { name: "retry", time: server.startTime + 5, attributes: { "http.response.status_code": 503 } },
  ]);
  assert.equal(client.attributes["server.address"], "10.0.0.2");
  assert.equal(client.attributes["http.request.resend_count"], 1);
  assert.equal(client.attributes["network.protocol.version"], "2");
  assert.deepEqual(next, { traceId: server.traceId, spanId: client.spanId, sampled: true });
  assert.equal(view.headers.get("tracestate"), "vendor=1");
  assert.equal(info.traceId, server.traceId);
  assert.equal(info.spanId, server.spanId);
  assert.equal(info.sampled, true);
});

test("a request that was answered here has a server span only, and its error is said", () => {
  const { clock, spans, tracer, info } = setup();
  const view = request();
  const trace = tracer.start(view, info);
  clock.advance(1);
  info.endedAt = clock.now();
  info.responseCode = 503;
  info.flags = Flag.UH;
  info.explanation = "no endpoint is in service";
  trace?.finish(info, view);
  const [server, ...more] = spans;
  assert.equal(more.length, 0);
  assert.equal(server?.parentSpanId, "");
  assert.equal(server?.error, "no endpoint is in service");
  assert.equal(server?.attributes["outrigger.response_flags"], "UH");
});

test("a caller's 4xx is an error of the client span and not of the server's", () => {
  const { clock, spans, tracer, info } = setup();
  const view = request();
  const trace = tracer.start(view, info);
  trace?.inject(view.headers);
  clock.advance(1);
  info.endedAt = clock.now();
  info.responseCode = 404;
  trace?.finish(info, view);
  assert.deepEqual(
    spans.map((span) => span.error),
    ["HTTP 404", null],
  );
});

test("the caller's decision counts, whatever the percentages say", () => {
  const off = setup({ randomSampling: percent(0) });
  assert.ok(off.tracer.start(request({ traceparent: PARENT }), off.info));
  const on = setup();
  const view = request({ traceparent: PARENT.replace(/01$/, "00"), b3: "keep" });
  assert.equal(on.tracer.start(view, on.info), null);
  assert.equal(view.headers.get("traceparent"), PARENT.replace(/01$/, "00"));
  assert.equal(on.info.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
  const b3Off = setup();
  assert.equal(b3Off.tracer.start(request({ b3: "0" }), b3Off.info), null);
});

test("where nobody decided, not to sample is told to the next hop", () => {
  const { spans, tracer, info } = setup({ randomSampling: percent(0) });
  const view = request();
  const trace = tracer.start(view, info);
  trace?.inject(view.headers);
  trace?.finish(info, view);
  assert.equal(extract(view.headers).sampled, false);
  assert.deepEqual(spans, []);
  assert.equal(info.sampled, false);
});

test("a caller that left the decision open gets ours passed on in its own trace", () => {
  const { tracer, info } = setup({ randomSampling: percent(0) });
  const view = request({ b3: "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7" });
  tracer.start(view, info)?.inject(view.headers);
  assert.equal(view.headers.get("b3"), "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0");
  assert.equal(extract(view.headers).sampled, false);
});

test("percentages hold, and the overall one bounds them all", () => {
  const share = (config: Partial<Tracing>, fields: Record<string, string> = {}): number => {
    const { tracer, info } = setup(config, 7);
    let sampled = 0;
    for (let i = 0; i < 4000; i++) {
      info.sampled = false;
      tracer.start(request(fields), info);
      if (info.sampled) sampled++;
    }
    return sampled / 4000;
  };
  assert.ok(Math.abs(share({ randomSampling: percent(20) }) - 0.2) < 0.03);
  assert.ok(Math.abs(share({ overallSampling: percent(50) }) - 0.5) < 0.03);
  assert.equal(share({ randomSampling: percent(0) }), 0);
  assert.equal(share({ randomSampling: percent(0) }, { "x-envoy-force-trace": "1" }), 1);
  assert.ok(
    Math.abs(share({ randomSampling: percent(0), clientSampling: percent(30) }, { "x-client-trace-id": "c" }) - 0.3) <
      0.03,
  );
});

test("a route's own percentages and operation count", () => {
  const { clock, spans, tracer, info } = setup({ randomSampling: percent(0) });
  const route: RouteTracing = {
    tracing: { clientSampling: null, randomSampling: percent(100), overallSampling: null },
    operation: "checkout",
  };
  const view = request();
  const trace = tracer.start(view, info, route);
  info.endedAt = clock.now();
  trace?.finish(info, view);
  assert.equal(spans[0]?.name, "checkout");
});

test("custom tags come from literals, the environment and the request as it came", () => {
  process.env["OUTRIGGER_TEST_TAG"] = "from-env";
  const { spans, tracer, info } = setup({
    customTags: [
      { tag: "a", source: { kind: "literal", value: "one" } },
      { tag: "b", source: { kind: "environment", name: "OUTRIGGER_TEST_TAG", defaultValue: "" } },
      { tag: "c", source: { kind: "environment", name: "OUTRIGGER_TEST_NO_TAG", defaultValue: "fallback" } },
      { tag: "d", source: { kind: "request_header", name: "X-Tenant", defaultValue: "" } },
      { tag: "e", source: { kind: "request_header", name: "X-None", defaultValue: "" } },
    ],
  });
  const view = request({ "x-tenant": "acme" });
  const trace = tracer.start(view, info);
  view.headers.remove("x-tenant");
  trace?.finish(info, view);
  const attributes = spans[0]?.attributes ?? {};
  assert.deepEqual(
    ["a", "b", "c", "d", "e"].map((tag) => attributes[tag]),
    ["one", "from-env", "fallback", "acme", undefined],
  );
});

test("a long path is cut to the configured length", () => {
  const { spans, tracer, info } = setup({ maxPathTagLength: 4 });
  const view = request();
  tracer.start(view, info)?.finish(info, view);
  assert.equal(spans[0]?.attributes["url.path"], "/ite");
});

/** Both spans of a gRPC call that ended with `status`. */
function callSpans(status: number | null, path = "/shop.Orders/Get") {
  const { spans, tracer, info } = setup();
  const view = request({ "content-type": "application/grpc" });
  const trace = tracer.start(view, info);
  trace?.inject(view.headers);
  info.responseCode = 200;
  info.originalPath = path;
  info.routeName = "orders";
  info.grpc = { status, requestMessages: 1, responseMessages: 1 };
  info.endedAt = info.startedAt + 1;
  trace?.finish(info, view);
  const [client, server] = spans;
  assert.ok(client?.kind === "client" && server?.kind === "server");
  return { client, server };
}

test("a gRPC call is named by service and method, with the attributes of the conventions", () => {
  for (const span of Object.values(callSpans(5))) {
    assert.equal(span.name, "shop.Orders/Get");
    assert.equal(span.attributes["rpc.system"], "grpc");
    assert.equal(span.attributes["rpc.service"], "shop.Orders");
    assert.equal(span.attributes["rpc.method"], "Get");
    assert.equal(span.attributes["rpc.grpc.status_code"], 5);
  }
  const { server } = callSpans(null, "/");
  assert.equal(server.name, "GET");
  assert.ok(!("rpc.service" in server.attributes) && !("rpc.grpc.status_code" in server.attributes));
});

test("the statuses of gRPC that are errors differ by the side, as the conventions say", () => {
  // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS; and what is no status.
  const server = [2, 4, 12, 13, 14, 15, 17, -1];
  for (let status = -1; status <= 17; status++) {
    const spans = callSpans(status);
    assert.equal(spans.server.error !== null, server.includes(status), `server ${status}`);
    assert.equal(spans.client.error !== null, status !== 0, `client ${status}`);
  }
  assert.equal(callSpans(14).server.error, "gRPC UNAVAILABLE");
  assert.equal(callSpans(5).client.error, "gRPC NOT_FOUND");
});
