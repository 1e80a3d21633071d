/** Clusters and endpoint sets for tests, with Envoy's defaults for what a test does not name. */
import type { CircuitBreakerLimits, Cluster, ClusterExtension, OutlierDetection } from "../../model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../model/endpoint.ts";
import { DEFAULT_HTTP2 } from "../../model/http.ts";

export const DEFAULT_LIMITS: CircuitBreakerLimits = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: null,
};

export const DEFAULT_OUTLIER_DETECTION: OutlierDetection = {
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

export const OWN_POLICY: ClusterExtension = {
  breaker: null,
  probeBeforeReadmission: true,
  mode: "enforce",
  learnIdleTimeout: false,
  multiplex: false,
  service: null,
  source: "",
};

export function cluster(fields: Partial<Cluster> = {}): Cluster {
  return {
    name: "orders",
    discovery: { kind: "eds", serviceName: "orders" },
    connectTimeoutMs: 5000,
    lbPolicy: { kind: "round_robin" },
    commonLb: { healthyPanicThreshold: 50, localityWeighted: false },
    limits: { default: DEFAULT_LIMITS, high: DEFAULT_LIMITS },
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
    ...fields,
  };
}

/** An endpoint at `host:port`. */
export function endpoint(at: string, fields: Partial<Endpoint> = {}): Endpoint {
  const colon = at.lastIndexOf(":");
  return {
    address: { kind: "tcp", host: at.slice(0, colon), port: Number(at.slice(colon + 1)) },
    weight: 1,
    health: "healthy",
    hostname: "",
    transportSocketMatch: {},
    workload: "",
    ...fields,
  };
}

/** One locality of priority 0 with these endpoints. */
export function endpointSet(...endpoints: (string | Endpoint)[]): EndpointSet {
  return {
    name: "orders",
    overprovisioningFactor: 140,
    localities: [
      {
        locality: { region: "", zone: "", subZone: "" },
        weight: null,
        priority: 0,
        endpoints: endpoints.map((item) => (typeof item === "string" ? endpoint(item) : item)),
      },
    ],
  };
}
