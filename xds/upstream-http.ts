/** How a cluster speaks HTTP: `upstreams.http.v3.HttpProtocolOptions`, and the deprecated fields of `Cluster` it replaced. */
import { create } from "@bufbuild/protobuf";
import type { Cluster as ClusterMessage } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../generated/envoy/config/core/v3/base_pb.js";
import {
  type HttpProtocolOptions as CommonOptions,
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type Http2ProtocolOptions,
  HttpProtocolOptions_HeadersWithUnderscoresAction as UnderscoresAction,
  type UpstreamHttpProtocolOptions,
  UpstreamHttpProtocolOptionsSchema,
} from "../generated/envoy/config/core/v3/protocol_pb.js";
import { RawBufferSchema } from "../generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from "../generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { RequestSni, UpstreamHttp } from "../model/cluster.ts";
import { DEFAULT_HTTP2 } from "../model/http.ts";
import { unpackAny } from "./any.ts";
import { extensionTypeOf } from "./extension.ts";
import { checkHeaderKeyFormat } from "./header-key-format.ts";
import { decodeHeaderName } from "./header-name.ts";
import { decodeHttp2, encodeHttp2 } from "./http2-options.ts";
import type { Place } from "./place.ts";
import { duration, durationMs, positiveDurationMs } from "./values.ts";

/** The key in `typed_extension_protocol_options`, which is also the message's name. */
export const HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

const IDLE_TIMEOUT_MS = 3_600_000;
const MAX_HEADERS = 100;
/** Envoy refuses more than this. */
const MAX_RESPONSE_HEADERS_KB_LIMIT = 8192;

/** The HTTP options of a cluster. */
export function decodeUpstreamHttp(cluster: ClusterMessage, at: Place): UpstreamHttp {
  const place = at.entry("typed_extension_protocol_options", HTTP_PROTOCOL_OPTIONS);
  const any = cluster.typedExtensionProtocolOptions[HTTP_PROTOCOL_OPTIONS];
  const options = any && unpackAny(any, [HttpProtocolOptionsSchema], place);
  const http = options ? decodeOptions(options, place) : decodeDeprecated(cluster, at);
  if (http.protocol === "auto") requireTls(cluster, place.field("auto_config"), at);
  return http;
}

/** ALPN chooses the protocol, so that every transport socket that an endpoint may have must be TLS. */
function requireTls(cluster: ClusterMessage, auto: Place, at: Place): void {
  if (!isTls(cluster.transportSocket)) auto.error("needs TLS in transport_socket: ALPN chooses the protocol");
  cluster.transportSocketMatches.forEach(({ transportSocket }, i) => {
    if (isTls(transportSocket)) return;
    at.item("transport_socket_matches", i).error("must be TLS: under auto_config ALPN chooses the protocol");
  });
}

function isTls(socket: TransportSocket | undefined): boolean {
  const config = socket?.configType.value;
  // What is neither TLS nor plaintext is reported where the socket is decoded.
  return config !== undefined && extensionTypeOf(config) !== RawBufferSchema.typeName;
}

function decodeOptions(message: HttpProtocolOptions, at: Place): UpstreamHttp {
  const common = {
    ...decodeCommon(message.commonHttpProtocolOptions, at.field("common_http_protocol_options")),
    ...decodeRequestSni(message.upstreamHttpProtocolOptions, at.field("upstream_http_protocol_options")),
  };
  const chosen = message.upstreamProtocolOptions;
  switch (chosen.case) {
    case "explicitHttpConfig": {
      const { protocolConfig } = chosen.value;
      const place = at.field("explicit_http_config");
      if (protocolConfig.case === "http2ProtocolOptions") {
        return { ...common, protocol: "http2", http2: http2(protocolConfig.value, place) };
      }
      if (protocolConfig.case === undefined)
        place.error("one of http_protocol_options, http2_protocol_options is required");
      const http1 = decodeHttp1(protocolConfig.value, place.field("http_protocol_options"));
      return { ...common, ...http1, protocol: "http1", http2: DEFAULT_HTTP2 };
    }
    case "useDownstreamProtocolConfig": {
      const place = at.field("use_downstream_protocol_config");
      const http1 = decodeHttp1(chosen.value.httpProtocolOptions, place.field("http_protocol_options"));
      return {
        ...common,
        ...http1,
        protocol: "use_downstream",
        http2: http2(chosen.value.http2ProtocolOptions, place),
      };
    }
    case "autoConfig": {
      const place = at.field("auto_config");
      const http1 = decodeHttp1(chosen.value.httpProtocolOptions, place.field("http_protocol_options"));
      return { ...common, ...http1, protocol: "auto", http2: http2(chosen.value.http2ProtocolOptions, place) };
    }
    default:
      at.error("one of explicit_http_config, use_downstream_protocol_config, auto_config is required");
      return { ...common, protocol: "http1", http2: DEFAULT_HTTP2 };
  }
}

/** Deprecated since Envoy 1.16, and still taken by it where the options above are not given. */
function decodeDeprecated(cluster: ClusterMessage, at: Place): UpstreamHttp {
  const http1 = decodeHttp1(cluster.httpProtocolOptions, at.field("http_protocol_options"));
  const common = decodeCommon(cluster.commonHttpProtocolOptions, at.field("common_http_protocol_options"));
  return {
    ...common,
    ...http1,
    ...decodeRequestSni(cluster.upstreamHttpProtocolOptions, at.field("upstream_http_protocol_options")),
    protocol: cluster.http2ProtocolOptions ? "http2" : "http1",
    maxRequestsPerConnection: cluster.maxRequestsPerConnection ?? common.maxRequestsPerConnection,
    http2: http2(cluster.http2ProtocolOptions, at),
  };
}

function http2(message: Http2ProtocolOptions | undefined, at: Place): UpstreamHttp["http2"] {
  return decodeHttp2(message, at.field("http2_protocol_options"));
}

function decodeCommon(message: CommonOptions | undefined, at: Place): Omit<UpstreamHttp, "protocol" | "http2"> {
  if (message?.maxStreamDuration) at.field("max_stream_duration").error("is not supported on clusters");
  if (message && message.headersWithUnderscoresAction !== UnderscoresAction.ALLOW) {
    at.field("headers_with_underscores_action").note("ignored: it has no meaning for clusters, as in Envoy");
  }
  const maxHeadersCount = message?.maxHeadersCount ?? MAX_HEADERS;
  if (maxHeadersCount === 0) at.field("max_headers_count").error("must be at least 1");
  const maxResponseHeadersKb = message?.maxResponseHeadersKb ?? null;
  if (maxResponseHeadersKb === 0 || (maxResponseHeadersKb ?? 1) > MAX_RESPONSE_HEADERS_KB_LIMIT) {
    at.field("max_response_headers_kb").error(`must be from 1 to ${MAX_RESPONSE_HEADERS_KB_LIMIT}`);
  }
  return {
    idleTimeoutMs: durationMs(message?.idleTimeout, IDLE_TIMEOUT_MS, at.field("idle_timeout")),
    // Zero would end every connection as it begins.
    maxConnectionDurationMs: positiveDurationMs(message?.maxConnectionDuration, 0, at.field("max_connection_duration")),
    maxRequestsPerConnection: message?.maxRequestsPerConnection ?? 0,
    maxHeadersCount,
    maxResponseHeadersKb,
  };
}

/** What would change the bytes sent upstream or which responses are taken; the rest is for servers. */
function decodeHttp1(message: Http1ProtocolOptions | undefined, at: Place): Pick<UpstreamHttp, "trailers"> {
  if (!message) return {};
  if (message.sendFullyQualifiedUrl) at.field("send_fully_qualified_url").error("is not supported");
  if (message.allowChunkedLength) at.field("allow_chunked_length").error("is not supported on clusters");
  checkHeaderKeyFormat(message, at.field("header_key_format"));
  return message.enableTrailers ? { trailers: true } : {};
}

function decodeRequestSni(
  message: UpstreamHttpProtocolOptions | undefined,
  at: Place,
): Pick<UpstreamHttp, "requestSni"> {
  if (!message) return {};
  const { autoSni: sni, autoSanValidation: verifySan, overrideAutoSniHeader } = message;
  const place = at.field("override_auto_sni_header");
  const header = overrideAutoSniHeader === "" ? "" : decodeHeaderName(overrideAutoSniHeader, place, true);
  return sni || verifySan ? { requestSni: { sni, verifySan, header } } : {};
}

export function encodeUpstreamHttp(http: UpstreamHttp): HttpProtocolOptions {
  return create(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: {
      idleTimeout: duration(http.idleTimeoutMs),
      maxHeadersCount: http.maxHeadersCount,
      ...(http.maxResponseHeadersKb === null ? {} : { maxResponseHeadersKb: http.maxResponseHeadersKb }),
      ...(http.maxConnectionDurationMs > 0 ? { maxConnectionDuration: duration(http.maxConnectionDurationMs) } : {}),
      ...(http.maxRequestsPerConnection > 0 ? { maxRequestsPerConnection: http.maxRequestsPerConnection } : {}),
    },
    upstreamProtocolOptions: encodeProtocol(http),
    ...(http.requestSni ? { upstreamHttpProtocolOptions: encodeRequestSni(http.requestSni) } : {}),
  });
}

function encodeRequestSni({ sni, verifySan, header }: RequestSni): UpstreamHttpProtocolOptions {
  return create(UpstreamHttpProtocolOptionsSchema, {
    autoSni: sni,
    autoSanValidation: verifySan,
    overrideAutoSniHeader: header,
  });
}

function encodeProtocol(http: UpstreamHttp): HttpProtocolOptions["upstreamProtocolOptions"] {
  const $typeName = HTTP_PROTOCOL_OPTIONS;
  const http2ProtocolOptions = encodeHttp2(http.http2);
  const httpProtocolOptions = create(Http1ProtocolOptionsSchema, { enableTrailers: http.trailers ?? false });
  const http1 = http.trailers ? { httpProtocolOptions } : {};
  switch (http.protocol) {
    case "use_downstream":
      return {
        case: "useDownstreamProtocolConfig",
        value: { $typeName: `${$typeName}.UseDownstreamHttpConfig`, ...http1, http2ProtocolOptions },
      };
    case "auto":
      return {
        case: "autoConfig",
        value: { $typeName: `${$typeName}.AutoHttpConfig`, ...http1, http2ProtocolOptions },
      };
    case "http2":
      return {
        case: "explicitHttpConfig",
        value: {
          $typeName: `${$typeName}.ExplicitHttpConfig`,
          protocolConfig: { case: "http2ProtocolOptions", value: http2ProtocolOptions },
        },
      };
    case "http1":
      return {
        case: "explicitHttpConfig",
        value: {
          $typeName: `${$typeName}.ExplicitHttpConfig`,
          protocolConfig: { case: "httpProtocolOptions", value: httpProtocolOptions },
        },
      };
  }
}
