/** Limits and options of the server side of HTTP: `HttpProtocolOptions` and `Http1ProtocolOptions` of a listener. */
import { create } from "@bufbuild/protobuf";
import {
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type HttpProtocolOptions,
  HttpProtocolOptions_HeadersWithUnderscoresActionSchema,
  HttpProtocolOptionsSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores,
} from "../../generated/envoy/config/core/v3/protocol_pb.js";
import type { Http1ServerOptions, HttpConnectionManager } from "../../model/http.ts";
import { checkHeaderKeyFormat } from "../header-key-format.ts";
import { checkHeaderValue } from "../header-name.ts";
import type { Place } from "../place.ts";
import { duration, durationMs, numberOf, positiveDurationMs, wordOf } from "../values.ts";

type CommonOptions = Pick<
  HttpConnectionManager,
  | "idleTimeoutMs"
  | "maxConnectionDurationMs"
  | "maxStreamDurationMs"
  | "maxRequestsPerConnection"
  | "maxHeadersCount"
  | "headersWithUnderscores"
>;

/** Envoy's defaults. */
const IDLE_TIMEOUT_MS = 3_600_000;
const MAX_HEADERS_COUNT = 100;

const UNDERSCORES = {
  [Underscores.ALLOW]: "allow",
  [Underscores.REJECT_REQUEST]: "reject_request",
  [Underscores.DROP_HEADER]: "drop_header",
} as const;

export function decodeCommonOptions(message: HttpProtocolOptions | undefined, at: Place): CommonOptions {
  const options = message ?? create(HttpProtocolOptionsSchema);
  if (options.maxHeadersCount === 0) at.field("max_headers_count").error("must be at least 1");
  if (options.maxResponseHeadersKb !== undefined) {
    at.field("max_response_headers_kb").error("is only for clusters");
  }
  return {
    idleTimeoutMs: durationMs(options.idleTimeout, IDLE_TIMEOUT_MS, at.field("idle_timeout")),
    // Zero would end every connection or stream as it begins.
    maxConnectionDurationMs: positiveDurationMs(options.maxConnectionDuration, 0, at.field("max_connection_duration")),
    maxStreamDurationMs: positiveDurationMs(options.maxStreamDuration, 0, at.field("max_stream_duration")),
    maxRequestsPerConnection: options.maxRequestsPerConnection ?? 0,
    maxHeadersCount: options.maxHeadersCount ?? MAX_HEADERS_COUNT,
    headersWithUnderscores:
      wordOf(
        HttpProtocolOptions_HeadersWithUnderscoresActionSchema,
        options.headersWithUnderscoresAction,
        UNDERSCORES,
        at.field("headers_with_underscores_action"),
      ) ?? "allow",
  };
}

export function encodeCommonOptions(options: CommonOptions): HttpProtocolOptions {
  const message = create(HttpProtocolOptionsSchema, {
    idleTimeout: duration(options.idleTimeoutMs),
    maxHeadersCount: options.maxHeadersCount,
    headersWithUnderscoresAction: numberOf(UNDERSCORES, options.headersWithUnderscores),
  });
  if (options.maxConnectionDurationMs > 0) message.maxConnectionDuration = duration(options.maxConnectionDurationMs);
  if (options.maxStreamDurationMs > 0) message.maxStreamDuration = duration(options.maxStreamDurationMs);
  if (options.maxRequestsPerConnection > 0) message.maxRequestsPerConnection = options.maxRequestsPerConnection;
  return message;
}

export function decodeHttp1(message: Http1ProtocolOptions | undefined, at: Place): Http1ServerOptions {
  const options = message ?? create(Http1ProtocolOptionsSchema);
  checkHeaderKeyFormat(options, at.field("header_key_format"));
  if (options.sendFullyQualifiedUrl) at.field("send_fully_qualified_url").error("is only for clusters");
  return {
    acceptHttp10: options.acceptHttp10,
    defaultHostForHttp10: checkHeaderValue(options.defaultHostForHttp10, at.field("default_host_for_http_10")),
    allowAbsoluteUrl: options.allowAbsoluteUrl ?? true,
    allowChunkedLength: options.allowChunkedLength,
    enableTrailers: options.enableTrailers,
    allowCustomMethods: options.allowCustomMethods,
  };
}

export function encodeHttp1(options: Http1ServerOptions): Http1ProtocolOptions {
  const message = create(Http1ProtocolOptionsSchema, {
    acceptHttp10: options.acceptHttp10,
    defaultHostForHttp10: options.defaultHostForHttp10,
    allowChunkedLength: options.allowChunkedLength,
    enableTrailers: options.enableTrailers,
    allowCustomMethods: options.allowCustomMethods,
  });
  if (!options.allowAbsoluteUrl) message.allowAbsoluteUrl = false;
  return message;
}
