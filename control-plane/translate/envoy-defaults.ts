/** Envoy's own defaults, spelled out once: translation says only where a mesh differs. */
import type { ConfigSource } from "../../model/bootstrap.ts";
import type { Cluster, OutlierDetection } from "../../model/cluster.ts";
import { DEFAULT_HTTP2, type HttpConnectionManager } from "../../model/http.ts";
import type { FilterChainMatch, Listener } from "../../model/listener.ts";
import type { HeaderMutations, RequestMirror, RetryPolicy } from "../../model/route.ts";
import type { TlsParams } from "../../model/tls.ts";

/** The stream that a resource came by; wait for it without end, as nothing else could take its place. */
export const ADS: ConfigSource = { kind: "ads", initialFetchTimeoutMs: 0 };

export const NO_MUTATIONS: HeaderMutations = {
  requestHeadersToAdd: [],
  requestHeadersToRemove: [],
  responseHeadersToAdd: [],
  responseHeadersToRemove: [],
};

export const ANY_CONNECTION: FilterChainMatch = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: "",
  applicationProtocols: [],
  sourceType: "any",
  sourcePrefixRanges: [],
  sourcePorts: [],
};

export const LISTENER: Omit<Listener, "name" | "address" | "filterChains" | "trafficDirection" | "outrigger"> = {
  statPrefix: "",
  bindToPort: true,
  listenerFilters: [],
  listenerFiltersTimeoutMs: 15_000,
  continueOnListenerFiltersTimeout: false,
  defaultFilterChain: null,
  perConnectionBufferLimitBytes: 1024 * 1024,
  accessLogs: [],
  tcpBacklogSize: 128,
  reusePort: true,
};

export const HTTP_CONNECTION_MANAGER: Omit<HttpConnectionManager, "statPrefix" | "routes" | "filters"> = {
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
  drainTimeoutMs: 5000,
  delayedCloseTimeoutMs: 1000,
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
  http2: DEFAULT_HTTP2,
  stripMatchingHostPort: false,
  stripAnyHostPort: false,
  keepConnectionOnInvalidMessage: false,
  appendXForwardedPort: false,
  localReply: { mappers: [], bodyFormat: null },
};

export const TLS_PARAMS: TlsParams = { minVersion: null, maxVersion: null, cipherSuites: [], ecdhCurves: [] };

export const OUTLIER_DETECTION: OutlierDetection = {
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  consecutiveLocalOriginFailure: 5,
  splitExternalLocalOriginErrors: false,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 10,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  enforcingFailurePercentage: 0,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
};

export const CLUSTER: Omit<Cluster, "name" | "discovery"> = {
  connectTimeoutMs: 5000,
  lbPolicy: { kind: "round_robin" },
  commonLb: { healthyPanicThreshold: 50, localityWeighted: false },
  limits: {
    default: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null },
    high: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null },
  },
  outlierDetection: null,
  tls: null,
  tlsMatches: [],
  http: {
    protocol: "http1",
    idleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    maxHeadersCount: 100,
    maxResponseHeadersKb: null,
    http2: DEFAULT_HTTP2,
  },
  perConnectionBufferLimitBytes: 1024 * 1024,
  tcpKeepalive: null,
  bindAddress: null,
  outrigger: null,
};

export const RETRY: RetryPolicy = {
  on: [],
  numRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backoff: { baseMs: 25, maxMs: 250 },
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
  rateLimitedBackoff: null,
};

export const MIRROR: Omit<RequestMirror, "cluster"> = {
  fraction: null,
  traceSampled: null,
  disableShadowHostSuffix: false,
};
