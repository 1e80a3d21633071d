/** The network filter that serves HTTP: `http_connection_manager.v3.HttpConnectionManager`. */
import { create } from "@bufbuild/protobuf";
import {
  HttpConnectionManager_CodecType as CodecType,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  type HttpConnectionManager as HcmMessage,
  HttpConnectionManager_CodecTypeSchema,
  HttpConnectionManager_PathWithEscapedSlashesActionSchema,
  HttpConnectionManager_ServerHeaderTransformationSchema,
  HttpConnectionManagerSchema,
  RdsSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from "../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { UuidRequestIdConfigSchema } from "../generated/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import type { HttpConnectionManager } from "../model/http.ts";
import { decodeAccessLogs, encodeAccessLog } from "./access-log.ts";
import { decodeConfigSource, encodeConfigSource } from "./config-source.ts";
import { unpackExtension } from "./extension.ts";
import { decodeHttpFilters, encodeHttpFilter } from "./filters/http-filter.ts";
import { checkHeaderValue } from "./header-name.ts";
import { decodeClientCert, encodeClientCert } from "./http-connection-manager/client-cert.ts";
import { decodeOrigin, encodeOrigin } from "./http-connection-manager/origin.ts";
import {
  decodeCommonOptions,
  decodeHttp1,
  encodeCommonOptions,
  encodeHttp1,
} from "./http-connection-manager/protocol-options.ts";
import { decodeTracing, encodeTracing } from "./http-connection-manager/tracing.ts";
import { decodeHttp2, encodeHttp2 } from "./http2-options.ts";
import { decodeLocalReply, encodeLocalReply } from "./local-reply.ts";
import type { Place } from "./place.ts";
import { decodeRouteTable, encodeRouteTable } from "./route.ts";
import { decodeUpgrades } from "./upgrade.ts";
import { duration, durationMs, numberOf, wordOf } from "./values.ts";

/** Envoy's defaults. */
const STREAM_IDLE_TIMEOUT_MS = 300_000;
const DRAIN_TIMEOUT_MS = 5_000;
const DELAYED_CLOSE_TIMEOUT_MS = 1_000;
const MAX_REQUEST_HEADERS_KB = 60;
const MOST_REQUEST_HEADERS_KB = 8192;
const SERVER_NAME = "envoy";

const CODECS = { [CodecType.AUTO]: "auto", [CodecType.HTTP1]: "http1", [CodecType.HTTP2]: "http2" } as const;

const SERVER_HEADERS = {
  [ServerHeader.OVERWRITE]: "overwrite",
  [ServerHeader.APPEND_IF_ABSENT]: "append_if_absent",
  [ServerHeader.PASS_THROUGH]: "pass_through",
} as const;

const ESCAPED_SLASHES = {
  [EscapedSlashes.KEEP_UNCHANGED]: "keep",
  [EscapedSlashes.REJECT_REQUEST]: "reject",
  [EscapedSlashes.UNESCAPE_AND_REDIRECT]: "unescape_and_redirect",
  [EscapedSlashes.UNESCAPE_AND_FORWARD]: "unescape_and_forward",
  // What Envoy's runtime says by default.
  [EscapedSlashes.IMPLEMENTATION_SPECIFIC_DEFAULT]: "keep",
} as const;

export function decodeHttpConnectionManager(message: HcmMessage, at: Place): HttpConnectionManager {
  refuseUnsupported(message, at);
  if (message.statPrefix === "") at.field("stat_prefix").error("is required");
  const keepConnection = message.streamErrorOnInvalidHttpMessage ?? false;
  const http1 = message.httpProtocolOptions;
  return {
    statPrefix: message.statPrefix,
    codecType:
      wordOf(HttpConnectionManager_CodecTypeSchema, message.codecType, CODECS, at.field("codec_type")) ?? "auto",
    routes: decodeRoutes(message, at),
    filters: decodeHttpFilters(message.httpFilters, at),
    accessLogs: decodeAccessLogs(message.accessLog, at),
    tracing: message.tracing ? decodeTracing(message.tracing, at.field("tracing")) : null,
    upgrades: decodeUpgrades(message.upgradeConfigs, at),
    useRemoteAddress: message.useRemoteAddress ?? false,
    xffNumTrustedHops: message.xffNumTrustedHops,
    skipXffAppend: message.skipXffAppend,
    via: checkHeaderValue(message.via, at.field("via")),
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: message.alwaysSetRequestIdInResponse,
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    pathWithEscapedSlashes:
      wordOf(
        HttpConnectionManager_PathWithEscapedSlashesActionSchema,
        message.pathWithEscapedSlashesAction,
        ESCAPED_SLASHES,
        at.field("path_with_escaped_slashes_action"),
      ) ?? "keep",
    streamIdleTimeoutMs: durationMs(message.streamIdleTimeout, STREAM_IDLE_TIMEOUT_MS, at.field("stream_idle_timeout")),
    requestTimeoutMs: durationMs(message.requestTimeout, 0, at.field("request_timeout")),
    requestHeadersTimeoutMs: durationMs(message.requestHeadersTimeout, 0, at.field("request_headers_timeout")),
    drainTimeoutMs: durationMs(message.drainTimeout, DRAIN_TIMEOUT_MS, at.field("drain_timeout")),
    delayedCloseTimeoutMs: durationMs(
      message.delayedCloseTimeout,
      DELAYED_CLOSE_TIMEOUT_MS,
      at.field("delayed_close_timeout"),
    ),
    forwardClientCert: decodeClientCert(message, at),
    serverName: checkHeaderValue(message.serverName, at.field("server_name")) || SERVER_NAME,
    serverHeader:
      wordOf(
        HttpConnectionManager_ServerHeaderTransformationSchema,
        message.serverHeaderTransformation,
        SERVER_HEADERS,
        at.field("server_header_transformation"),
      ) ?? "overwrite",
    proxy100Continue: message.proxy100Continue,
    ...decodeCommonOptions(message.commonHttpProtocolOptions, at.field("common_http_protocol_options")),
    maxRequestHeadersKb: decodeMaxHeaders(message.maxRequestHeadersKb, at.field("max_request_headers_kb")),
    http1: decodeHttp1(http1, at.field("http_protocol_options")),
    http2: decodeHttp2(
      message.http2ProtocolOptions,
      at.field("http2_protocol_options"),
      message.streamErrorOnInvalidHttpMessage,
    ),
    ...decodePortStripping(message, at),
    keepConnectionOnInvalidMessage: http1?.overrideStreamErrorOnInvalidHttpMessage ?? keepConnection,
    appendXForwardedPort: message.appendXForwardedPort,
    localReply: decodeLocalReply(message.localReplyConfig, at.field("local_reply_config")),
    ...decodeOrigin(message, at),
    ...(message.stripTrailingHostDot ? { stripTrailingHostDot: true } : {}),
  };
}

/** Switches of which only the default is understood, and the request id, whose other forms are not. */
function refuseUnsupported(message: HcmMessage, at: Place): void {
  if (message.addUserAgent) at.field("add_user_agent").error("is not supported yet");
  if (message.representIpv4RemoteAddressAsIpv4MappedIpv6) {
    at.field("represent_ipv4_remote_address_as_ipv4_mapped_ipv6").error("is not supported yet");
  }
  if (message.requestIdExtension) {
    const place = at.field("request_id_extension").field("typed_config");
    unpackExtension(message.requestIdExtension.typedConfig, [UuidRequestIdConfigSchema], place);
  }
}

function decodeRoutes(message: HcmMessage, at: Place): HttpConnectionManager["routes"] {
  const { routeSpecifier: routes } = message;
  switch (routes.case) {
    case "routeConfig":
      return { kind: "inline", table: decodeRouteTable(routes.value, at.field("route_config")) };
    case "rds": {
      const { routeConfigName: name, configSource } = routes.value;
      const place = at.field("rds");
      if (name === "") place.field("route_config_name").error("is required");
      if (!configSource) place.field("config_source").error("is required");
      return {
        kind: "rds",
        name,
        ...(configSource ? { source: decodeConfigSource(configSource, place.field("config_source")) } : {}),
      };
    }
    default:
      at.error("one of route_config and rds is required");
      return { kind: "rds", name: "" };
  }
}

function decodeMaxHeaders(kb: number | undefined, at: Place): number {
  if (kb === undefined) return MAX_REQUEST_HEADERS_KB;
  if (kb < 1 || kb > MOST_REQUEST_HEADERS_KB) at.error(`must be from 1 to ${MOST_REQUEST_HEADERS_KB}, got ${kb}`);
  return kb;
}

function decodePortStripping(
  message: HcmMessage,
  at: Place,
): Pick<HttpConnectionManager, "stripMatchingHostPort" | "stripAnyHostPort"> {
  const stripAnyHostPort = message.stripPortMode.value ?? false;
  if (stripAnyHostPort && message.stripMatchingHostPort) {
    at.error("only one of strip_matching_host_port and strip_any_host_port may be set");
  }
  return { stripMatchingHostPort: message.stripMatchingHostPort, stripAnyHostPort };
}

export function encodeHttpConnectionManager(hcm: HttpConnectionManager): HcmMessage {
  const message = create(HttpConnectionManagerSchema, {
    codecType: numberOf(CODECS, hcm.codecType),
    statPrefix: hcm.statPrefix,
    routeSpecifier: encodeRoutes(hcm.routes),
    httpFilters: hcm.filters.map(encodeHttpFilter),
    commonHttpProtocolOptions: encodeCommonOptions(hcm),
    httpProtocolOptions: encodeHttp1(hcm.http1),
    http2ProtocolOptions: encodeHttp2(hcm.http2),
    serverName: hcm.serverName,
    drainTimeout: duration(hcm.drainTimeoutMs),
    accessLog: hcm.accessLogs.map(encodeAccessLog),
    useRemoteAddress: hcm.useRemoteAddress,
    generateRequestId: hcm.generateRequestId,
    proxy100Continue: hcm.proxy100Continue,
    xffNumTrustedHops: hcm.xffNumTrustedHops,
    skipXffAppend: hcm.skipXffAppend,
    via: hcm.via,
    upgradeConfigs: hcm.upgrades.map(({ type, enabled }) => ({ upgradeType: type, enabled })),
    streamIdleTimeout: duration(hcm.streamIdleTimeoutMs),
    delayedCloseTimeout: duration(hcm.delayedCloseTimeoutMs),
    requestTimeout: duration(hcm.requestTimeoutMs),
    maxRequestHeadersKb: hcm.maxRequestHeadersKb,
    normalizePath: hcm.normalizePath,
    preserveExternalRequestId: hcm.preserveExternalRequestId,
    mergeSlashes: hcm.mergeSlashes,
    serverHeaderTransformation: numberOf(SERVER_HEADERS, hcm.serverHeader),
    alwaysSetRequestIdInResponse: hcm.alwaysSetRequestIdInResponse,
    stripMatchingHostPort: hcm.stripMatchingHostPort,
    streamErrorOnInvalidHttpMessage: hcm.keepConnectionOnInvalidMessage,
    requestHeadersTimeout: duration(hcm.requestHeadersTimeoutMs),
    stripPortMode: hcm.stripAnyHostPort ? { case: "stripAnyHostPort", value: true } : { case: undefined },
    pathWithEscapedSlashesAction: numberOf(ESCAPED_SLASHES, hcm.pathWithEscapedSlashes),
    appendXForwardedPort: hcm.appendXForwardedPort,
  });
  encodeClientCert(hcm.forwardClientCert, message);
  if (hcm.tracing) message.tracing = encodeTracing(hcm.tracing);
  encodeOrigin(hcm, message);
  if (hcm.stripTrailingHostDot) message.stripTrailingHostDot = true;
  const localReply = encodeLocalReply(hcm.localReply);
  if (localReply) message.localReplyConfig = localReply;
  return message;
}

function encodeRoutes(routes: HttpConnectionManager["routes"]): HcmMessage["routeSpecifier"] {
  if (routes.kind === "inline") return { case: "routeConfig", value: encodeRouteTable(routes.table) };
  const source = routes.source ?? { kind: "ads", initialFetchTimeoutMs: 0 };
  const rds = create(RdsSchema, { routeConfigName: routes.name, configSource: encodeConfigSource(source) });
  return { case: "rds", value: rds };
}
