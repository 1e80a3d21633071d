/** A group of like upstream endpoints and how they are treated: `envoy.config.cluster.v3.Cluster`. Durations are ms. */
import type { Address } from "./address.ts";
import type { ConfigSource } from "./bootstrap.ts";
import type { EndpointMetadata, EndpointSet } from "./endpoint.ts";
import type { Http2Options } from "./http.ts";
import type { UpstreamTls } from "./tls.ts";

export interface Cluster {
  readonly name: string;
  readonly discovery: /** `source`: where the endpoints come from (`eds_config`); absent: the ADS stream. */
    | { readonly kind: "eds"; readonly serviceName: string; readonly source?: ConfigSource }
    | { readonly kind: "static"; readonly endpoints: EndpointSet }
    /** Every address that a name resolves to is an endpoint. */
    | { readonly kind: "strict_dns"; readonly endpoints: EndpointSet; readonly dns: DnsOptions }
    /** The first address of the one name; a new one is used for new connections. */
    | { readonly kind: "logical_dns"; readonly endpoints: EndpointSet; readonly dns: DnsOptions }
    /** Each call goes where its connection was going before it was intercepted; endpoints unused for that time are forgotten. */
    | { readonly kind: "original_dst"; readonly cleanupIntervalMs: number };
  /** Envoy's default: 5 s. */
  readonly connectTimeoutMs: number;
  readonly lbPolicy:
    | { readonly kind: "round_robin" }
    | { readonly kind: "least_request"; readonly choiceCount: number }
    | { readonly kind: "random" }
    /** `CLUSTER_PROVIDED`: the discovery chooses (ORIGINAL_DST). */
    | { readonly kind: "cluster_provided" }
    | { readonly kind: "ring_hash"; readonly minimumRingSize: number; readonly maximumRingSize: number };
  readonly commonLb: CommonLb;
  readonly limits: { readonly default: CircuitBreakerLimits; readonly high: CircuitBreakerLimits };
  /** null: no ejection. */
  readonly outlierDetection: OutlierDetection | null;
  /** null: plaintext. */
  readonly tls: UpstreamTls | null;
  /** First whose `match` is a subset of the endpoint's `envoy.transport_socket_match` metadata wins over `tls`. */
  readonly tlsMatches: readonly {
    readonly name: string;
    readonly match: EndpointMetadata;
    readonly tls: UpstreamTls | null;
  }[];
  readonly http: UpstreamHttp;
  /** Envoy's default: 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  readonly tcpKeepalive: {
    readonly probes: number | null;
    readonly timeS: number | null;
    readonly intervalS: number | null;
  } | null;
  /** `upstream_bind_config.source_address`, null: any. */
  readonly bindAddress: Address | null;
  /**
   * `upstream_bind_config.extra_source_addresses`: an endpoint of another family than `bindAddress` is called from the
   * first of these that is of its own. Absent: none.
   */
  readonly extraBindAddresses?: readonly Address[];
  /** What Outrigger's own control plane asks for beyond Envoy (`metadata.filter_metadata["outrigger"]`), null: plain Envoy. */
  readonly outrigger: ClusterExtension | null;
}

export interface DnsOptions {
  /** Envoy's default: 5 s. */
  readonly refreshRateMs: number;
  readonly respectTtl: boolean;
  readonly lookupFamily: "auto" | "v4_only" | "v6_only" | "v4_preferred" | "all";
}

export interface CommonLb {
  /** Percent of healthy hosts under which all are used. Envoy's default: 50; 0 switches panic off. */
  readonly healthyPanicThreshold: number;
  readonly localityWeighted: boolean;
}

/** `CircuitBreakers.Thresholds`. Counted once per process. Envoy's defaults: 1024, 1024, 1024, 3. */
export interface CircuitBreakerLimits {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Takes the place of `maxRetries`; null: not set. */
  readonly retryBudget: { readonly percent: number; readonly minRetryConcurrency: number } | null;
}

/** `OutlierDetection`, with Envoy's names and defaults; percentages are 0–100. */
export interface OutlierDetection {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionTimeJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly enforcingConsecutive5xx: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  readonly successRateStdevFactor: number;
  readonly enforcingFailurePercentage: number;
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Absent: Envoy's default 100. Local origin errors only count apart when they are split. */
  readonly enforcingLocalOriginSuccessRate?: number;
  /** Absent: Envoy's default 0. */
  readonly enforcingFailurePercentageLocalOrigin?: number;
  /** One endpoint may be ejected whatever `maxEjectionPercent` says. Absent: Envoy's default, false. */
  readonly alwaysEjectOneHost?: boolean;
}

/**
 * `HttpProtocolOptions` (upstreams.http.v3). What connections offer by ALPN where the TLS context has no list of its own,
 * and what they then speak (as Envoy 1.40 was seen to do):
 * - `http1`: offers `http/1.1`, speaks HTTP/1.1 whatever was selected;
 * - `http2`: offers `h2`, speaks HTTP/2 from the first byte whatever was selected, in plaintext too (prior knowledge);
 * - `auto`: offers `h2` and `http/1.1`, speaks HTTP/2 if `h2` was selected, else HTTP/1.1, also where nothing or a name
 *   unknown to both was. All of the cluster's transport sockets are TLS. While the handshake runs a connection counts as
 *   one that will carry `http2.maxConcurrentStreams`; calls that wait get connections of their own once it is HTTP/1.1;
 * - `use_downstream`: as `http2` for calls that came as HTTP/2, as `http1` for the others and for mirrored ones (which
 *   have no caller), in pools apart. It needs no HTTP/2 options to be given.
 * A list in the TLS context (`UpstreamTls.alpn`) takes the place of what would be offered and changes nothing else:
 * under `auto` with a list without `h2` every connection speaks HTTP/1.1.
 */
export interface UpstreamHttp {
  readonly protocol: "http1" | "http2" | "auto" | "use_downstream";
  /** An idle pooled connection is closed after this. Envoy's default: 1 h; 0: never. */
  readonly idleTimeoutMs: number;
  /** 0: none. */
  readonly maxConnectionDurationMs: number;
  /** 0: no limit. */
  readonly maxRequestsPerConnection: number;
  /** Of a response; in HTTP/2 `:status` counts, too. */
  readonly maxHeadersCount: number;
  /** Names and values of a response's head, KiB; null: Envoy's defaults, 80 in HTTP/1 and 60 in HTTP/2. */
  readonly maxResponseHeadersKb: number | null;
  readonly http2: Http2Options;
  /** The server that TLS asks for is the one that the request is for; absent: the TLS context decides. */
  readonly requestSni?: RequestSni;
  /** `enable_trailers` of HTTP/1: trailers pass both ways. Absent: Envoy's default, they are dropped. */
  readonly trailers?: boolean;
}

/** `UpstreamHttpProtocolOptions`: server names taken from each request. Connections of different names never mix. */
export interface RequestSni {
  /** `auto_sni`: the request's host is the SNI, unless it is an IP address. */
  readonly sni: boolean;
  /** `auto_san_validation`: the server's certificate must name the request's host, beside what the TLS context checks. */
  readonly verifySan: boolean;
  /** The header, in lower case, whose value takes the place of the host; "" for none. */
  readonly header: string;
}

/** Outrigger's own policy for a cluster; absent under plain Envoy configuration, where Envoy's meaning holds exactly. */
export interface ClusterExtension {
  /** The opossum breaker; null: none. */
  readonly breaker: BreakerPolicy | null;
  /** Ejected endpoints are probed half-open before they are readmitted. */
  readonly probeBeforeReadmission: boolean;
  /** Whether policies act or only count what they would have done. */
  readonly mode: "enforce" | "dry_run";
  /** An idle connection that the upstream was seen to close is closed earlier by us from then on. */
  readonly learnIdleTimeout: boolean;
  /** HTTP/1.1 calls and opaque connections to other Outrigger sidecars may travel as streams of few connections. */
  readonly multiplex: boolean;
  /** Opaque connections offer `OPAQUE_ALPN`, so that the peer's sidecar knows them for what they are. */
  readonly opaque?: true;
  /** Name for metrics and for people: the destination service. */
  readonly service: { readonly name: string; readonly namespace: string; readonly port: number } | null;
  /** Manifest that the policy came from (`file:line`), "" for defaults. */
  readonly source: string;
}

export interface BreakerPolicy {
  readonly errorPercent: number;
  readonly minimumCalls: number;
  readonly windowMs: number;
  readonly openForMs: number;
}
