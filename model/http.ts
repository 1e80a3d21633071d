/** `HttpConnectionManager` and the HTTP filters: how requests of a connection are treated. */
import type { AccessLog } from "./access-log.ts";
import type { Cidr } from "./address.ts";
import type { ConfigSource } from "./bootstrap.ts";
import type { CorsPolicy } from "./cors.ts";
import type { FaultPolicy } from "./fault.ts";
import type { Fraction, HeaderMatch, StringMatch } from "./matcher.ts";
import type { RbacPolicy } from "./rbac.ts";
import type { HeaderMutation, RouteTable } from "./route.ts";

export interface HttpConnectionManager {
  readonly statPrefix: string;
  /**
   * `http1` and `http2` hold whatever ALPN selected. `auto`: HTTP/2 if ALPN selected `h2`; HTTP/1.1 if it selected
   * another name; by the first bytes (`PRI * HTTP/2`) where it selected none, which plaintext never does, with or
   * without an `http_inspector` (that only feeds `FilterChainMatch.applicationProtocols`).
   */
  readonly codecType: "auto" | "http1" | "http2";
  /** Inline, or the RDS name to look up in `Snapshot.routes`; `source` absent: the ADS stream. */
  readonly routes:
    | { readonly kind: "inline"; readonly table: RouteTable }
    | { readonly kind: "rds"; readonly name: string; readonly source?: ConfigSource };
  /** In order; the last one is the router. */
  readonly filters: readonly HttpFilter[];
  readonly accessLogs: readonly AccessLog[];
  /** null: no tracing on this listener. */
  readonly tracing: Tracing | null;
  /** Lower-case upgrade types that are let through (`websocket`), with `enabled`. */
  readonly upgrades: readonly { readonly type: string; readonly enabled: boolean }[];
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  /** Appended to the `via` header both ways; "" for none. */
  readonly via: string;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly pathWithEscapedSlashes: "keep" | "reject" | "unescape_and_redirect" | "unescape_and_forward";
  /** Whole-stream idle limit, ms; 0: none. Envoy's default: 5 min. */
  readonly streamIdleTimeoutMs: number;
  /** From the first byte of the head to the end of the request, ms; 0: none. */
  readonly requestTimeoutMs: number;
  /** For the head to arrive whole, ms; 0: none. */
  readonly requestHeadersTimeoutMs: number;
  /** How long a draining connection is let live, ms. Envoy's default: 5 s. */
  readonly drainTimeoutMs: number;
  /** How long a closed connection's last bytes may linger, ms. Envoy's default: 1 s. */
  readonly delayedCloseTimeoutMs: number;
  readonly forwardClientCert: ForwardClientCert;
  /** Value of `server`; Envoy's default: `envoy`. */
  readonly serverName: string;
  readonly serverHeader: "overwrite" | "append_if_absent" | "pass_through";
  readonly proxy100Continue: boolean;
  /** Downstream connection without a request, ms; 0: none. Envoy's default: 1 h. */
  readonly idleTimeoutMs: number;
  /** 0: none. */
  readonly maxConnectionDurationMs: number;
  /** 0: none. */
  readonly maxStreamDurationMs: number;
  /** 0: no limit. */
  readonly maxRequestsPerConnection: number;
  /** Of a request; in HTTP/2 pseudo-headers and each `cookie` field count, too. */
  readonly maxHeadersCount: number;
  /** Names and values of a request's head, KiB. Envoy's default: 60. */
  readonly maxRequestHeadersKb: number;
  readonly headersWithUnderscores: "allow" | "reject_request" | "drop_header";
  readonly http1: Http1ServerOptions;
  readonly http2: Http2Options;
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  /** `stream_error_on_invalid_http_message`: answer 400 and go on instead of closing. */
  readonly keepConnectionOnInvalidMessage: boolean;
  readonly appendXForwardedPort: boolean;
  readonly localReply: LocalReplyConfig;
  /** `internal_address_config`: callers whose requests count as internal; absent: none. */
  readonly internalAddresses?: { readonly unixSockets: boolean; readonly cidrs: readonly Cidr[] };
  /** `scheme_header_transformation`: every request's scheme; absent: as it came. */
  readonly schemeOverwrite?: "http" | "https";
  /** `a.test.` is served as `a.test`; absent: it is another host. */
  readonly stripTrailingHostDot?: boolean;
}

export interface Http1ServerOptions {
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly allowAbsoluteUrl: boolean;
  /** `allow_chunked_length`: take `Transfer-Encoding: chunked` with `Content-Length` and drop the latter. */
  readonly allowChunkedLength: boolean;
  readonly enableTrailers: boolean;
  /** `allow_custom_methods`: methods beyond the registered ones are let through. */
  readonly allowCustomMethods: boolean;
}

/** `Http2ProtocolOptions`, on either side, with Envoy's names and defaults. */
export interface Http2Options {
  /** What our HPACK decoder lets the peer use, bytes. Envoy's default: 4096. */
  readonly hpackTableSize: number;
  /** Streams that the peer may open; as a client, those that we open at most. Envoy's default: 1024. */
  readonly maxConcurrentStreams: number;
  /** Bytes. Envoy's default: 16 MiB. */
  readonly initialStreamWindowSize: number;
  /** Bytes. Envoy's default: 24 MiB. */
  readonly initialConnectionWindowSize: number;
  /** Extended CONNECT (RFC 8441). */
  readonly allowConnect: boolean;
  /** Frames of any kind that wait to be written. Envoy's default: 10,000. */
  readonly maxOutboundFrames: number;
  /** PING, SETTINGS and RST_STREAM frames that wait to be written. Envoy's default: 1000. */
  readonly maxOutboundControlFrames: number;
  /** HEADERS, CONTINUATION and DATA without payload and without END_STREAM, in a row. Envoy's default: 1. */
  readonly maxConsecutiveInboundFramesWithEmptyPayload: number;
  /** Envoy's default: 100. */
  readonly maxInboundPriorityFramesPerStream: number;
  /** Envoy's default: 10. */
  readonly maxInboundWindowUpdateFramesPerDataFrameSent: number;
  /** RST_STREAM frames of the peer at once: what its bucket holds. Envoy's default: 1000. */
  readonly streamResetBurst: number;
  /** RST_STREAM frames of the peer each second, as the bucket is filled again. Envoy's default: 33. */
  readonly streamResetRate: number;
  /** `override_stream_error_on_invalid_http_message`: a malformed message ends its stream, not the connection. */
  readonly streamErrorOnInvalidMessage: boolean;
  /** Pings to see whether the peer lives; null: none. Durations in ms. */
  readonly keepalive: {
    /** 0: none but those after idle time. */
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly intervalJitterPercent: number;
    /** A connection idle for longer is pinged before it is used; 0: never. */
    readonly idleIntervalMs: number;
  } | null;
}

export const DEFAULT_HTTP2: Http2Options = {
  hpackTableSize: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 16 * 1024 * 1024,
  initialConnectionWindowSize: 24 * 1024 * 1024,
  allowConnect: false,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1000,
  maxConsecutiveInboundFramesWithEmptyPayload: 1,
  maxInboundPriorityFramesPerStream: 100,
  maxInboundWindowUpdateFramesPerDataFrameSent: 10,
  streamResetBurst: 1000,
  streamResetRate: 33,
  streamErrorOnInvalidMessage: false,
  keepalive: null,
};

export interface ForwardClientCert {
  readonly mode: "sanitize" | "forward_only" | "append_forward" | "sanitize_set" | "always_forward_only";
  readonly subject: boolean;
  readonly cert: boolean;
  readonly chain: boolean;
  readonly dns: boolean;
  readonly uri: boolean;
}

export interface Tracing {
  readonly clientSampling: Fraction;
  readonly randomSampling: Fraction;
  readonly overallSampling: Fraction;
  readonly verbose: boolean;
  readonly maxPathTagLength: number;
  readonly customTags: readonly CustomTag[];
  readonly spawnUpstreamSpan: boolean;
  /** null: the bootstrap's tracer. */
  readonly provider: TracingProvider | null;
}

export interface CustomTag {
  readonly tag: string;
  readonly source:
    | { readonly kind: "literal"; readonly value: string }
    | { readonly kind: "environment"; readonly name: string; readonly defaultValue: string }
    | { readonly kind: "request_header"; readonly name: string; readonly defaultValue: string };
}

/** `envoy.config.trace.v3.OpenTelemetryConfig`. */
export interface TracingProvider {
  readonly serviceName: string;
  /** OTLP over gRPC to a cluster, or over HTTP to a URI. */
  readonly export:
    | { readonly protocol: "grpc"; readonly cluster: string; readonly timeoutMs: number }
    | { readonly protocol: "http"; readonly uri: string; readonly cluster: string; readonly timeoutMs: number };
}

export type HttpFilter = {
  /** Envoy's filter name in the chain: the key of per-route configuration. */
  readonly name: string;
  readonly disabled: boolean;
} & (
  | { readonly kind: "router"; readonly suppressEnvoyHeaders: boolean; readonly respectExpectedRqTimeout: boolean }
  | { readonly kind: "rbac"; readonly statPrefix: string; readonly policy: RbacPolicy }
  | { readonly kind: "fault"; readonly policy: FaultPolicy }
  /** Does what routes say. */
  | { readonly kind: "cors" }
  /** Changes nothing: it says how gRPC calls are counted. */
  | { readonly kind: "grpc_stats"; readonly stats: GrpcStats }
);

/** `envoy.extensions.filters.http.grpc_stats.v3.FilterConfig`. */
export interface GrpcStats {
  /** Which methods are counted each on its own; calls of others are counted as calls of the cluster only. */
  readonly methods: "all" | "none" | readonly { readonly service: string; readonly methods: readonly string[] }[];
  /** The numbers of messages are known to `%FILTER_STATE(envoy.filters.http.grpc_stats)%`. */
  readonly emitFilterState: boolean;
  /** A histogram of the time that the upstream takes. */
  readonly upstreamStats: boolean;
  /** With `methods: "all"`: `a.b.C` is counted as `a_b_C`. */
  readonly replaceDots: boolean;
}

/** Per-route override of a filter (`typed_per_filter_config`), keyed by the filter's name in the chain. */
export type FilterOverride =
  | { readonly kind: "rbac"; readonly policy: RbacPolicy | null }
  | { readonly kind: "fault"; readonly policy: FaultPolicy }
  | { readonly kind: "cors"; readonly policy: CorsPolicy }
  | { readonly kind: "disabled" };

/** `LocalReplyConfig`: how answers that the proxy itself gives are changed. */
export interface LocalReplyConfig {
  readonly mappers: readonly LocalReplyMapper[];
  /** `body_format`; null: the plain text body. */
  readonly bodyFormat: LocalReplyFormat | null;
}

export interface LocalReplyFormat {
  readonly contentType: string;
  readonly format:
    | { readonly kind: "text"; readonly template: string }
    | { readonly kind: "json"; readonly fields: JsonTemplate };
}

/** JSON whose strings may hold command operators (`%RESPONSE_CODE%`). */
export type JsonTemplate =
  | string
  | number
  | boolean
  | null
  | readonly JsonTemplate[]
  | { readonly [key: string]: JsonTemplate };

export interface LocalReplyMapper {
  readonly filter: LocalReplyFilter;
  readonly statusCode: number | null;
  readonly body: string | null;
  readonly bodyFormat: LocalReplyFormat | null;
  readonly headersToAdd: readonly HeaderMutation[];
}

export type LocalReplyFilter =
  | { readonly kind: "status_code" | "duration"; readonly op: "eq" | "ge" | "le" | "ne"; readonly value: number }
  | { readonly kind: "not_health_check" }
  | { readonly kind: "response_flag"; readonly flags: readonly string[] }
  | { readonly kind: "header"; readonly header: HeaderMatch }
  | { readonly kind: "and" | "or"; readonly filters: readonly LocalReplyFilter[] };

export type { StringMatch };
