import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager as Message,
} from "../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { DEFAULT_HTTP2, type HttpConnectionManager } from "../model/http.ts";
import type { Codec } from "./codec.ts";
import { decodeHttpConnectionManager, encodeHttpConnectionManager } from "./http-connection-manager.ts";
import type { Decoded } from "./place.ts";
import { httpConnectionManager } from "./testing/arbitrary-http.ts";
import { any, hcm, type Json, named } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

const decode = (fields: Json): Decoded<HttpConnectionManager> =>
  decodeJson(HttpConnectionManagerSchema, hcm(fields), decodeHttpConnectionManager);
const value = (fields: Json): HttpConnectionManager => accepted(decode(fields)).value;

test("a connection manager survives the way to bytes and back", () => {
  const codec: Codec<typeof HttpConnectionManagerSchema, HttpConnectionManager> = {
    schema: HttpConnectionManagerSchema,
    label: "manager",
    nameOf: (message: Message) => message.statPrefix,
    decode: decodeHttpConnectionManager,
    encode: encodeHttpConnectionManager,
  };
  fc.assert(
    fc.property(httpConnectionManager, (manager) => assertRoundTrip(codec, manager)),
    { numRuns: 60 },
  );
});

test("what is not given has Envoy's defaults", () => {
  const { routes, filters, http2, ...rest } = value({});
  assert.equal(routes.kind, "inline");
  assert.deepEqual(
    filters.map(({ kind }) => kind),
    ["router"],
  );
  assert.deepEqual(http2, DEFAULT_HTTP2);
  assert.deepEqual(rest, {
    statPrefix: "h",
    codecType: "auto",
    accessLogs: [],
    tracing: null,
    upgrades: [],
    useRemoteAddress: false,
    xffNumTrustedHops: 0,
    skipXffAppend: false,
    via: "",
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    normalizePath: false,
    mergeSlashes: false,
    pathWithEscapedSlashes: "keep",
    streamIdleTimeoutMs: 300_000,
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 0,
    drainTimeoutMs: 5_000,
    delayedCloseTimeoutMs: 1_000,
    forwardClientCert: { mode: "sanitize", subject: false, cert: false, chain: false, dns: false, uri: false },
    serverName: "envoy",
    serverHeader: "overwrite",
    proxy100Continue: false,
    idleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    maxStreamDurationMs: 0,
    maxRequestsPerConnection: 0,
    maxHeadersCount: 100,
    maxRequestHeadersKb: 60,
    headersWithUnderscores: "allow",
    http1: {
      acceptHttp10: false,
      defaultHostForHttp10: "",
      allowAbsoluteUrl: true,
      allowChunkedLength: false,
      enableTrailers: false,
      allowCustomMethods: false,
    },
    stripMatchingHostPort: false,
    stripAnyHostPort: false,
    keepConnectionOnInvalidMessage: false,
    appendXForwardedPort: false,
    localReply: { mappers: [], bodyFormat: null },
  });
});

test("a connection manager speaks the protocol that it is told to", () => {
  assert.equal(value({ codec_type: "AUTO" }).codecType, "auto");
  assert.equal(value({ codec_type: "HTTP1" }).codecType, "http1");
  assert.equal(value({ codec_type: "HTTP2" }).codecType, "http2");
});

test("HTTP/2 follows the general option about invalid messages unless it has its own", () => {
  const both = (general: boolean, http2: Json): boolean =>
    value({ stream_error_on_invalid_http_message: general, http2_protocol_options: http2 }).http2
      .streamErrorOnInvalidMessage;
  assert.equal(both(true, {}), true);
  assert.equal(both(true, { override_stream_error_on_invalid_http_message: false }), false);
  assert.equal(value({ stream_error_on_invalid_http_message: true }).http2.streamErrorOnInvalidMessage, true);
});

test("the HTTP/1 option about invalid messages comes before the general one", () => {
  const both = (general: boolean, http1: boolean | undefined): boolean =>
    value({
      stream_error_on_invalid_http_message: general,
      ...(http1 === undefined
        ? {}
        : { http_protocol_options: { override_stream_error_on_invalid_http_message: http1 } }),
    }).keepConnectionOnInvalidMessage;
  assert.deepEqual([both(true, undefined), both(true, false), both(false, true)], [true, false, true]);
});

test("header names keep their case, so asking for it is fine", () => {
  const formatter = any("extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig");
  const { notes } = accepted(
    decode({
      codec_type: "HTTP1",
      http_protocol_options: { header_key_format: { stateful_formatter: named("p", formatter) } },
    }),
  );
  assert.match(notes.join(), /keep their case/);
});

test("tracing shares are kept in Envoy's units", () => {
  const tracing = value({
    tracing: { client_sampling: { value: 12.9 }, random_sampling: { value: 0.125 }, overall_sampling: { value: 0 } },
  }).tracing;
  assert.deepEqual(tracing?.clientSampling, { numerator: 12, denominator: 100 });
  assert.deepEqual(tracing?.randomSampling, { numerator: 13, denominator: 10_000 });
  assert.deepEqual(tracing?.overallSampling, { numerator: 0, denominator: 100 });
  const all = value({ tracing: {} }).tracing;
  assert.deepEqual(all?.clientSampling, { numerator: 100, denominator: 100 });
  assert.deepEqual(all?.randomSampling, { numerator: 10_000, denominator: 10_000 });
  assert.equal(all?.maxPathTagLength, 256);
  assert.equal(all?.provider, null);
});

test("upgrade types are compared without regard to case", () => {
  const { upgrades } = value({
    upgrade_configs: [{ upgrade_type: "WebSocket" }, { upgrade_type: "h2c", enabled: false }],
  });
  assert.deepEqual(upgrades, [
    { type: "websocket", enabled: true },
    { type: "h2c", enabled: false },
  ]);
});

test("a local reply's content type follows from its form", () => {
  const format = (fields: Json) => value({ local_reply_config: { body_format: fields } }).localReply.bodyFormat;
  assert.equal(format({ text_format: "x" })?.contentType, "text/plain");
  assert.equal(format({ json_format: { a: "x" } })?.contentType, "application/json");
  assert.equal(format({ text_format: "x", content_type: "text/html" })?.contentType, "text/html");
});

test("an access log is told from Envoy's default format, the deprecated ones and omit_empty_values", () => {
  const file = "extensions.access_loggers.file.v3.FileAccessLog";
  const log = (fields: Json) =>
    value({ access_log: [named("f", any(file, { path: "/dev/stdout", ...fields }))] }).accessLogs[0];
  assert.deepEqual(log({}), {
    sink: { kind: "file", path: "/dev/stdout" },
    format: { kind: "text", template: "" },
    filter: null,
  });
  assert.deepEqual(log({ format: "%PROTOCOL%\n" })?.format, { kind: "text", template: "%PROTOCOL%\n" });
  assert.deepEqual(log({ json_format: { a: "x" } })?.format, { kind: "json", fields: { a: "x" } });
  assert.deepEqual(log({ typed_json_format: { a: 1 } })?.format, { kind: "json", fields: { a: 1 } });
  assert.deepEqual(log({ log_format: { text_format: "x", omit_empty_values: true } })?.format, {
    kind: "text",
    template: "x",
    omitEmpty: true,
  });
});

test("statistics filters are left out, with their reason", () => {
  const stats = named("istio.stats", {
    "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
    type_url: "type.googleapis.com/stats.PluginConfig",
    value: { anything: true },
  });
  const { value: manager, notes } = accepted(
    decode({ codec_type: "HTTP1", http_filters: [stats, ...(hcm()["http_filters"] as Json[])] }),
  );
  assert.deepEqual(
    manager.filters.map(({ kind }) => kind),
    ["router"],
  );
  assert.match(notes.join(), /http_filters\[0\]\.typed_config: ignored: only counts/);
});
