/** Small, complete models for tests: only what a test names differs from the defaults. */
import type { Cluster } from "../../model/cluster.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import { DEFAULT_HTTP2, type HttpConnectionManager } from "../../model/http.ts";
import type { FilterChain, Listener } from "../../model/listener.ts";
import type { RouteTable } from "../../model/route.ts";
import type { Secret } from "../../model/secret.ts";
import { deepFreeze } from "../../model/snapshot.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import type { CertificateRef, DownstreamTls, UpstreamTls } from "../../model/tls.ts";
import { emptyRoutes } from "../placeholders.ts";

const limits = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null };
const tlsParams = { minVersion: null, maxVersion: null, cipherSuites: [], ecdhCurves: [] };

/** An EDS cluster whose endpoints have its own name. */
export function edsCluster(name: string, overrides: Partial<Cluster> = {}): Cluster {
  return deepFreeze<Cluster>({
    name,
    discovery: { kind: "eds", serviceName: "" },
    connectTimeoutMs: 5000,
    lbPolicy: { kind: "round_robin" },
    commonLb: { healthyPanicThreshold: 50, localityWeighted: false },
    limits: { default: limits, high: limits },
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
    perConnectionBufferLimitBytes: 1_048_576,
    tcpKeepalive: null,
    bindAddress: null,
    outrigger: null,
    ...overrides,
  });
}

/** A cluster that needs nothing else. */
export function staticCluster(name: string, endpoints = endpointSet(name), overrides: Partial<Cluster> = {}): Cluster {
  return edsCluster(name, { discovery: { kind: "static", endpoints }, ...overrides });
}

export function endpointSet(name: string, ...ports: number[]): EndpointSet {
  return deepFreeze<EndpointSet>({
    name,
    overprovisioningFactor: 140,
    localities: [
      {
        locality: { region: "", zone: "", subZone: "" },
        weight: null,
        priority: 0,
        endpoints: ports.map((port) => ({
          address: { kind: "tcp", host: "127.0.0.1", port },
          weight: 1,
          health: "healthy",
          hostname: "",
          transportSocketMatch: {},
          workload: "",
        })),
      },
    ],
  });
}

export function upstreamTls(overrides: Partial<UpstreamTls> = {}): UpstreamTls {
  return {
    params: tlsParams,
    certificates: [],
    validation: null,
    alpn: [],
    sni: "",
    autoHostSni: false,
    autoSanValidation: false,
    maxSessionKeys: 1,
    ...overrides,
  };
}

export function downstreamTls(...certificates: CertificateRef[]): DownstreamTls {
  return {
    params: tlsParams,
    certificates,
    validation: null,
    requireClientCertificate: false,
    alpn: [],
    requireSni: false,
    sessionTickets: true,
  };
}

/** A table with one virtual host that sends each path to the cluster of that name. */
export function routeTable(name: string, ...clusters: string[]): RouteTable {
  const headers = {
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  };
  return deepFreeze<RouteTable>({
    ...emptyRoutes(name),
    virtualHosts: [
      {
        ...headers,
        name: "all",
        domains: ["*"],
        requireTls: "none",
        retryPolicy: null,
        includeRequestAttemptCount: false,
        includeAttemptCountInResponse: false,
        requestMirrors: [],
        filterOverrides: {},
        routes: clusters.map((cluster) => ({
          ...headers,
          name: "",
          match: {
            path: { kind: "prefix", value: `/${cluster}` },
            caseSensitive: true,
            fraction: null,
            headers: [],
            queryParameters: [],
            grpcOnly: false,
          },
          action: {
            kind: "forward",
            cluster: { kind: "name", name: cluster },
            clusterNotFoundStatus: 503,
            prefixRewrite: null,
            regexRewrite: null,
            hostRewrite: { kind: "keep" },
            appendXForwardedHost: false,
            timeoutMs: null,
            idleTimeoutMs: null,
            maxStreamDurationMs: null,
            maxGrpcTimeoutMs: null,
            retryPolicy: null,
            requestMirrors: [],
            hashPolicies: [],
            priority: "default",
            upgrades: [],
          },
          filterOverrides: {},
          tracing: null,
          operation: "",
          source: "",
        })),
      },
    ],
  });
}

function connectionManager(routes: HttpConnectionManager["routes"]): HttpConnectionManager {
  return {
    statPrefix: "test",
    codecType: "auto",
    routes,
    filters: [
      { kind: "router", name: "router", disabled: false, suppressEnvoyHeaders: false, respectExpectedRqTimeout: false },
    ],
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
}

/** A listener with one chain that forwards bytes. */
export function tcpListener(name: string, cluster: TcpProxy["cluster"]): Listener {
  const config: TcpProxy = {
    statPrefix: "test",
    cluster,
    idleTimeoutMs: 3_600_000,
    maxConnectAttempts: 1,
    maxDownstreamConnectionDurationMs: 0,
    accessLogs: [],
    logOnConnected: false,
    logIntervalMs: 0,
    hashSourceIp: false,
  };
  const listener = httpListener(name, { kind: "inline", table: emptyRoutes("none") });
  return deepFreeze<Listener>({
    ...listener,
    filterChains: listener.filterChains.map((chain) => ({ ...chain, filters: [{ kind: "tcp_proxy", config }] })),
  });
}

/** A listener with one chain whose connection manager has these routes. */
export function httpListener(
  name: string,
  routes: HttpConnectionManager["routes"],
  tls: DownstreamTls | null = null,
  port = 0,
): Listener {
  const chain: FilterChain = {
    name: "",
    match: {
      destinationPort: null,
      prefixRanges: [],
      serverNames: [],
      transportProtocol: "",
      applicationProtocols: [],
      sourceType: "any",
      sourcePrefixRanges: [],
      sourcePorts: [],
    },
    tls,
    transportSocketConnectTimeoutMs: 0,
    filters: [{ kind: "http_connection_manager", config: connectionManager(routes) }],
  };
  return deepFreeze<Listener>({
    name,
    address: { kind: "tcp", host: "127.0.0.1", port },
    statPrefix: "",
    bindToPort: true,
    trafficDirection: "unspecified",
    listenerFilters: [],
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    filterChains: [chain],
    defaultFilterChain: null,
    perConnectionBufferLimitBytes: 1_048_576,
    accessLogs: [],
    tcpBacklogSize: 128,
    reusePort: true,
    outrigger: null,
  });
}

export function rdsListener(name: string, table: string, tls: DownstreamTls | null = null): Listener {
  return httpListener(name, { kind: "rds", name: table }, tls);
}

export function certificateSecret(name: string): Secret {
  return deepFreeze<Secret>({
    kind: "certificate",
    name,
    material: { certificateChain: "chain", privateKey: "key", password: "" },
  });
}
