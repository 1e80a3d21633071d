/** Arbitrary clusters and endpoints. */
import fc from "fast-check";
import type { Address } from "../../model/address.ts";
import type {
  CircuitBreakerLimits,
  Cluster,
  ClusterExtension,
  DnsOptions,
  OutlierDetection,
  UpstreamHttp,
} from "../../model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../model/endpoint.ts";
import { DEFAULT_HTTP2 } from "../../model/http.ts";
import { http2Options } from "./arbitrary-http2.ts";
import {
  andPerhaps,
  durationMs,
  few,
  name,
  nonEmptyText,
  orNull,
  plainText,
  port,
  positiveMs,
  uint32,
} from "./arbitrary-text.ts";
import { configSource, upstreamTls } from "./arbitrary-tls.ts";

const percentage = fc.integer({ min: 0, max: 100 });

const ip: fc.Arbitrary<Address> = fc.record({
  kind: fc.constant("tcp" as const),
  host: fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::7")),
  port,
});

const address: fc.Arbitrary<Address> = fc.oneof(
  ip,
  fc.record({ kind: fc.constant("pipe" as const), path: nonEmptyText }),
);

const strings = fc.dictionary(name, plainText, { maxKeys: 2, noNullPrototype: true });

const endpoint = (where: fc.Arbitrary<Address>): fc.Arbitrary<Endpoint> =>
  fc.record({
    address: where,
    weight: uint32.map((weight) => weight || 1),
    health: fc.constantFrom("healthy", "unhealthy", "draining", "degraded"),
    hostname: plainText,
    transportSocketMatch: strings,
    workload: plainText,
  });

/** An endpoint that may be reached in several ways. */
const endpointAtPlaces: fc.Arbitrary<Endpoint> = andPerhaps(endpoint(address), {
  additionalAddresses: fc.array(address, { minLength: 1, maxLength: 2 }),
});

const locality = fc.record({ region: plainText, zone: plainText, subZone: plainText });

const endpointsOf = (one: fc.Arbitrary<Endpoint>): fc.Arbitrary<EndpointSet> =>
  fc.record({
    name,
    localities: few(
      fc.record({
        locality,
        weight: orNull(fc.integer({ min: 1, max: 9 })),
        priority: fc.nat({ max: 128 }),
        endpoints: few(one),
      }),
    ),
    overprovisioningFactor: fc.constantFrom(1, 140, 200),
  });

export const endpointSet: fc.Arbitrary<EndpointSet> = endpointsOf(endpointAtPlaces);

const oneEndpoint: fc.Arbitrary<EndpointSet> = fc.record({
  name,
  localities: fc.tuple(
    fc.record({
      locality,
      weight: fc.constant(null),
      priority: fc.constant(0),
      endpoints: fc.tuple(
        endpoint(fc.record({ kind: fc.constant("tcp" as const), host: fc.constant("db.example.org"), port })),
      ),
    }),
  ),
  overprovisioningFactor: fc.constant(140),
});

const dns: fc.Arbitrary<DnsOptions> = fc.record({
  refreshRateMs: positiveMs.map((ms) => ms + 1),
  respectTtl: fc.boolean(),
  lookupFamily: fc.constantFrom("auto", "v4_only", "v6_only", "v4_preferred", "all"),
});

const discovery: fc.Arbitrary<Cluster["discovery"]> = fc.oneof(
  fc.record({ kind: fc.constant("eds" as const), serviceName: name, source: configSource }),
  fc.record({ kind: fc.constant("static" as const), endpoints: endpointSet }),
  fc.record({ kind: fc.constant("strict_dns" as const), endpoints: endpointsOf(endpoint(address)), dns }),
  fc.record({ kind: fc.constant("logical_dns" as const), endpoints: oneEndpoint, dns }),
  fc.record({ kind: fc.constant("original_dst" as const), cleanupIntervalMs: positiveMs }),
);

const lbPolicy: fc.Arbitrary<Cluster["lbPolicy"]> = fc.oneof(
  fc.record({ kind: fc.constantFrom("round_robin" as const, "random" as const) }),
  fc.record({ kind: fc.constant("least_request" as const), choiceCount: fc.integer({ min: 2, max: 9 }) }),
  fc.record({
    kind: fc.constant("ring_hash" as const),
    minimumRingSize: fc.nat({ max: 1024 }),
    maximumRingSize: fc.integer({ min: 1024, max: 8_388_608 }),
  }),
);

const limits: fc.Arbitrary<CircuitBreakerLimits> = fc.record({
  maxConnections: uint32,
  maxPendingRequests: uint32,
  maxRequests: uint32,
  maxRetries: uint32,
  retryBudget: orNull(fc.record({ percent: percentage, minRetryConcurrency: uint32 })),
});

const outlierNumbers = fc.record({
  consecutive5xx: uint32,
  consecutiveGatewayFailure: uint32,
  consecutiveLocalOriginFailure: uint32,
  splitExternalLocalOriginErrors: fc.boolean(),
  intervalMs: positiveMs,
  baseEjectionTimeMs: fc.integer({ min: 1, max: 1000 }),
  maxEjectionTimeMs: fc.integer({ min: 1000, max: 9000 }),
  maxEjectionTimeJitterMs: durationMs,
  maxEjectionPercent: percentage,
  enforcingConsecutive5xx: percentage,
  enforcingConsecutiveGatewayFailure: percentage,
  enforcingConsecutiveLocalOriginFailure: percentage,
  enforcingSuccessRate: percentage,
  successRateMinimumHosts: uint32,
  successRateRequestVolume: uint32,
  successRateStdevFactor: uint32,
  enforcingFailurePercentage: percentage,
  failurePercentageThreshold: percentage,
  failurePercentageMinimumHosts: uint32,
  failurePercentageRequestVolume: uint32,
});

export const outlierDetection: fc.Arbitrary<OutlierDetection> = andPerhaps(outlierNumbers, {
  enforcingLocalOriginSuccessRate: percentage,
  enforcingFailurePercentageLocalOrigin: percentage,
  alwaysEjectOneHost: fc.boolean(),
});

const requestSni = fc
  .record({ sni: fc.boolean(), verifySan: fc.boolean(), header: fc.constantFrom("", "x-server", ":authority") })
  .filter(({ sni, verifySan }) => sni || verifySan);

const plainHttp = fc
  .record({
    protocol: fc.constantFrom("http1" as const, "http2" as const, "auto" as const, "use_downstream" as const),
    idleTimeoutMs: durationMs,
    maxConnectionDurationMs: durationMs,
    maxRequestsPerConnection: uint32,
    maxHeadersCount: fc.integer({ min: 1, max: 1000 }),
    maxResponseHeadersKb: orNull(fc.integer({ min: 1, max: 8192 })),
    http2: http2Options,
  })
  // Explicit HTTP/1 has no HTTP/2 options to carry.
  .map((options) => (options.protocol === "http1" ? { ...options, http2: DEFAULT_HTTP2 } : options));

const http: fc.Arbitrary<UpstreamHttp> = andPerhaps(plainHttp, { requestSni, trailers: fc.constant(true as const) })
  // Explicit HTTP/2 has no HTTP/1 options to carry.
  .map(({ trailers, ...options }) => (trailers && options.protocol !== "http2" ? { ...options, trailers } : options));

const plainExtension = fc.record({
  breaker: orNull(
    fc.record({ errorPercent: percentage, minimumCalls: uint32, windowMs: positiveMs, openForMs: positiveMs }),
  ),
  probeBeforeReadmission: fc.boolean(),
  mode: fc.constantFrom("enforce" as const, "dry_run" as const),
  learnIdleTimeout: fc.boolean(),
  multiplex: fc.boolean(),
  service: orNull(fc.record({ name, namespace: name, port })),
  source: plainText,
});

const extension: fc.Arbitrary<ClusterExtension> = andPerhaps(plainExtension, { opaque: fc.constant(true as const) });

/** An ORIGINAL_DST cluster chooses its endpoints itself, and no other does. */
const chosenByDiscovery = (value: Cluster): Cluster =>
  value.discovery.kind === "original_dst" ? { ...value, lbPolicy: { kind: "cluster_provided" } } : value;

/** Sockets are bound to it, in another network namespace perhaps. */
const source = (...hosts: string[]): fc.Arbitrary<Address> =>
  andPerhaps(fc.record({ kind: fc.constant("tcp" as const), host: fc.constantFrom(...hosts), port }), {
    networkNamespace: nonEmptyText,
  });

const bound: fc.Arbitrary<Pick<Cluster, "bindAddress" | "extraBindAddresses">> = fc.oneof(
  fc.record({ bindAddress: orNull(source("127.0.0.6", "::6")) }),
  fc.record({ bindAddress: source("127.0.0.6"), extraBindAddresses: fc.tuple(source("::6")) }),
  fc.record({ bindAddress: source("::6"), extraBindAddresses: fc.tuple(source("127.0.0.6")) }),
);

/** The protocol is negotiated by ALPN, which needs TLS everywhere. */
const autoNeedsTls = (value: Cluster): Cluster =>
  value.http.protocol !== "auto" || (value.tls && value.tlsMatches.every(({ tls }) => tls !== null))
    ? value
    : { ...value, http: { ...value.http, protocol: "use_downstream" } };

const anyCluster = fc.record({
  name,
  discovery,
  connectTimeoutMs: positiveMs,
  lbPolicy,
  commonLb: fc.record({ healthyPanicThreshold: percentage, localityWeighted: fc.boolean() }),
  limits: fc.record({ default: limits, high: limits }),
  outlierDetection: orNull(outlierDetection),
  tls: orNull(upstreamTls),
  tlsMatches: few(fc.record({ name, match: strings, tls: orNull(upstreamTls) })),
  http,
  perConnectionBufferLimitBytes: uint32,
  tcpKeepalive: orNull(fc.record({ probes: orNull(uint32), timeS: orNull(uint32), intervalS: orNull(uint32) })),
  outrigger: orNull(extension),
});

export const cluster: fc.Arbitrary<Cluster> = fc
  .tuple(anyCluster, bound)
  .map(([value, binding]) => chosenByDiscovery(autoNeedsTls({ ...value, ...binding })));
