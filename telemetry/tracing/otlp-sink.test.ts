/** Spans as real OTLP receivers get them, by gRPC and by HTTP. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { createOtlpSink, type OtlpOptions } from "./otlp-sink.ts";
import type { SpanRecord } from "./span.ts";

/** What the tests look at of an ExportTraceServiceRequest. */
interface Received {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly OtlpSpan[] }[];
  }[];
}

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string | number; readonly boolValue?: boolean };
}

interface OtlpSpan {
  readonly traceId: Buffer | string;
  readonly spanId: Buffer | string;
  readonly parentSpanId?: Buffer | string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly status: { readonly code: number; readonly message: string };
}

const SERVER: SpanRecord = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: "",
  parentIsRemote: false,
  traceState: "vendor=1",
  name: "GET items",
  kind: "server",
  startTime: 1_700_000_000_123.25,
  endTime: 1_700_000_000_133.5,
  attributes: { "http.request.method": "GET", "http.response.status_code": 503, flag: true },
  events: [],
  error: "no endpoint is in service",
};
const CLIENT: SpanRecord = {
  ...SERVER,
  spanId: "b7ad6b7169203331",
  parentSpanId: SERVER.spanId,
  name: "GET orders",
  kind: "client",
  events: [{ name: "retry", time: 1_700_000_000_125, attributes: { attempt: 1 } }],
  error: null,
};

const hex = (id: Buffer | string | undefined): string => (typeof id === "string" ? id : (id?.toString("hex") ?? ""));

function attributeOf(attributes: readonly KeyValue[], key: string): string | boolean | undefined {
  const value = attributes.find((attribute) => attribute.key === key)?.value;
  return value?.stringValue ?? value?.boolValue ?? (value?.intValue === undefined ? undefined : String(value.intValue));
}

function assertReceived(received: Received): void {
  const [resource] = received.resourceSpans;
  assert.equal(attributeOf(resource?.resource.attributes ?? [], "service.name"), "orders");
  assert.equal(attributeOf(resource?.resource.attributes ?? [], "service.instance.id"), "orders-1");
  assert.equal(resource?.scopeSpans[0]?.scope.name, "outrigger");
  const [client, server, ...more] = resource?.scopeSpans[0]?.spans ?? [];
  assert.ok(client && server && more.length === 0);
  assert.equal(hex(server.traceId), SERVER.traceId);
  assert.equal(hex(server.spanId), SERVER.spanId);
  assert.equal(hex(server.parentSpanId), "");
  assert.equal(server.traceState, "vendor=1");
  assert.equal(server.kind, 2);
  assert.equal(BigInt(server.startTimeUnixNano), 1_700_000_000_123_250_000n);
  assert.equal(BigInt(server.endTimeUnixNano), 1_700_000_000_133_500_000n);
  assert.deepEqual([server.status.code, server.status.message], [2, "no endpoint is in service"]);
  assert.equal(attributeOf(server.attributes, "http.request.method"), "GET");
  assert.equal(attributeOf(server.attributes, "http.response.status_code"), "503");
  assert.equal(attributeOf(server.attributes, "flag"), true);
  assert.equal(hex(client.traceId), SERVER.traceId);
  assert.equal(hex(client.parentSpanId), SERVER.spanId);
  assert.equal(client.kind, 3);
  assert.equal(client.status.code, 0);
  assert.equal(client.events[0]?.name, "retry");
  assert.equal(BigInt(client.events[0]?.timeUnixNano ?? 0), 1_700_000_000_125_000_000n);
}

const OPTIONS = {
  timeoutMs: 2_000,
  serviceName: "orders",
  resource: { "service.instance.id": "orders-1" },
  intervalMs: 10,
} as const;

/** Sends both spans, the first before the SDK can have loaded. */
async function send(options: Pick<OtlpOptions, "protocol" | "url">): Promise<[spans: number, error: string | null][]> {
  const exports: [number, string | null][] = [];
  const sink = createOtlpSink({ ...OPTIONS, ...options, onExport: (spans, error) => exports.push([spans, error]) });
  sink.add(CLIENT);
  sink.add(SERVER);
  await sink.shutdown();
  return exports;
}

test("a gRPC receiver gets parent, child and attributes", async (t) => {
  const definition = loadSync("telemetry/tracing/testing/otlp-trace.proto", { longs: String, defaults: true });
  const service = definition["opentelemetry.proto.collector.trace.v1.TraceService"] as ServiceDefinition;
  let received: Received | undefined;
  const server = new Server();
  server.addService(service, {
    Export: (call: { request: Received }, done: (error: null, response: object) => void) => {
      received = call.request;
      done(null, {});
    },
  });
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  assert.deepEqual(await send({ protocol: "grpc", url: `http://127.0.0.1:${port}` }), [[2, null]]);
  assert.ok(received);
  assertReceived(received);
});

test("an HTTP receiver gets parent, child and attributes", async (t) => {
  let received: Received | undefined;
  let path = "";
  const server = createServer(async (request, response) => {
    path = request.url ?? "";
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    received = JSON.parse(Buffer.concat(parts).toString()) as Received;
    response.setHeader("content-type", "application/json").end("{}");
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.deepEqual(await send({ protocol: "http", url: `http://127.0.0.1:${port}/v1/traces` }), [[2, null]]);
  assert.equal(path, "/v1/traces");
  assert.ok(received);
  assertReceived(received);
});

test("a receiver that refuses is told of, and nothing is thrown", async (t) => {
  const server = createServer((_request, response) => response.writeHead(400).end());
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const [outcome] = await send({ protocol: "http", url: `http://127.0.0.1:${port}/v1/traces` });
  assert.equal(outcome?.[0], 2);
  assert.match(outcome?.[1] ?? "", /bad request/i);
});
