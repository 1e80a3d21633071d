/** The clusters of the mesh: one per service port. */
import type { CircuitBreakerLimits, Cluster } from "../../model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../model/endpoint.ts";
import { formatIdentity } from "../../model/identity.ts";
import { type UpstreamTls, WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";
import { httpOf, mayBeOpaque } from "../manifest/port-protocol.ts";
import type { MeshEndpoint, ServicePort, ServiceState, TrafficPolicy } from "../mesh/state.ts";
import { ADS, CLUSTER, OUTLIER_DETECTION, TLS_PARAMS } from "./envoy-defaults.ts";
import { HTTP2, PEER_HTTP2, upstreamProtocol } from "./mesh-protocol.ts";
import { clusterName, sniName } from "./names.ts";

/** `envoy.transport_socket_match` of endpoints that are called in plaintext: none is that is not said to be one. */
const PLAINTEXT = { tlsMode: "disabled" };

/** A pooled connection is closed by its client first: the server's own limit is an hour. */
const UPSTREAM_IDLE_MS = 30 * 60 * 1000;

export function outboundCluster(service: ServiceState, { port, protocol }: ServicePort, trustDomain: string): Cluster {
  const { definition, traffic, peers } = service;
  const name = clusterName(definition, port);
  return {
    ...CLUSTER,
    name,
    discovery: { kind: "eds", serviceName: name, source: ADS },
    connectTimeoutMs: traffic.connectMs,
    lbPolicy: balancing(traffic),
    limits: { default: limits(traffic), high: limits(traffic) },
    outlierDetection: outlierDetection(traffic),
    tls: upstreamTls(service, port, trustDomain),
    tlsMatches: peers.plaintext ? [{ name: "plaintext", match: PLAINTEXT, tls: null }] : [],
    http: {
      ...CLUSTER.http,
      ...upstreamProtocol(httpOf(protocol) ?? "http1", peers.plaintext ? HTTP2 : PEER_HTTP2),
      idleTimeoutMs: UPSTREAM_IDLE_MS,
    },
    outrigger: {
      breaker: traffic.breaker,
      probeBeforeReadmission: true,
      mode: traffic.mode,
      learnIdleTimeout: true,
      multiplex: traffic.multiplex,
      ...(mayBeOpaque(protocol) && { opaque: true }),
      service: { name: definition.name, namespace: definition.namespace, port },
      source: traffic.source,
    },
  };
}

function upstreamTls(service: ServiceState, port: number, trustDomain: string): UpstreamTls {
  const { identities } = service.peers;
  // A service that nobody has ever stood behind must not be answered by whoever holds some certificate: an empty list
  // would accept any, so it names an identity that no certificate can carry.
  const nobody = formatIdentity({ trustDomain, namespace: service.definition.namespace, serviceAccount: "" });
  return {
    params: { ...TLS_PARAMS, minVersion: "TLSv1.2", maxVersion: "TLSv1.3" },
    certificates: [{ kind: "sds", name: WORKLOAD_CERT }],
    validation: {
      roots: { kind: "sds", name: WORKLOAD_ROOTS },
      subjectAltNames: (identities.length === 0 ? [nobody] : identities).map((value) => ({
        type: "uri",
        match: { kind: "exact", value, ignoreCase: false },
      })),
      certificateHashes: [],
      spkiHashes: [],
      acceptUntrusted: false,
      allowExpired: false,
    },
    // The connection pool's choice, which follows from what it is about to speak; Envoy's, as a client, is none.
    alpn: [],
    sni: sniName(service.definition, port),
    autoHostSni: false,
    autoSanValidation: false,
    maxSessionKeys: 1,
  };
}

function balancing(traffic: TrafficPolicy): Cluster["lbPolicy"] {
  if (traffic.balancing === "LeastRequest") return { kind: "least_request", choiceCount: 2 };
  return { kind: traffic.balancing === "Random" ? "random" : "round_robin" };
}

function limits(traffic: TrafficPolicy): CircuitBreakerLimits {
  return {
    maxConnections: traffic.limits.connections,
    maxPendingRequests: traffic.limits.pending,
    maxRequests: traffic.limits.requests,
    maxRetries: CLUSTER.limits.default.maxRetries,
    retryBudget: { percent: traffic.retryBudget.percent, minRetryConcurrency: traffic.retryBudget.minimum },
  };
}

function outlierDetection({ outlier }: TrafficPolicy): Cluster["outlierDetection"] {
  if (outlier === null) return null;
  return {
    ...OUTLIER_DETECTION,
    consecutive5xx: outlier.consecutiveErrors,
    consecutiveGatewayFailure: outlier.consecutiveErrors,
    baseEjectionTimeMs: outlier.openForMs,
    maxEjectionTimeMs: Math.max(OUTLIER_DETECTION.maxEjectionTimeMs, outlier.openForMs),
    maxEjectionPercent: outlier.maxEjectedPercent,
    // Only what the policy speaks of: statistics over all hosts surprise in small groups.
    enforcingSuccessRate: 0,
  };
}

/** The instances of a service port. */
export function serviceEndpoints(service: ServiceState, port: number): EndpointSet {
  return endpointSet(clusterName(service.definition, port), service.endpoints.get(port) ?? []);
}

export function endpointSet(name: string, endpoints: readonly MeshEndpoint[]): EndpointSet {
  const zones = [...new Set(endpoints.map(({ zone }) => zone))].sort();
  return {
    name,
    overprovisioningFactor: 140,
    localities: zones.map((zone) => ({
      locality: { region: "", zone, subZone: "" },
      weight: null,
      priority: 0,
      endpoints: endpoints
        .filter((endpoint) => endpoint.zone === zone)
        .map((endpoint) => ({
          address: { kind: "tcp" as const, host: endpoint.host, port: endpoint.port },
          ...additionalAddresses(endpoint),
          weight: 1,
          health: "healthy",
          hostname: "",
          transportSocketMatch: endpoint.mtls ? {} : PLAINTEXT,
          workload: endpoint.workload,
        })),
    })),
  };
}

function additionalAddresses({ additionalHosts, port }: MeshEndpoint): Pick<Endpoint, "additionalAddresses"> {
  if (additionalHosts.length === 0) return {};
  return { additionalAddresses: additionalHosts.map((host) => ({ kind: "tcp", host, port })) };
}
