/** A cluster put into words and numbers: why endpoints are out, what `/clusters` shows. */
import type { CircuitBreakerLimits } from "../../model/cluster.ts";
import type { BreakerStats } from "./breaker.ts";
import type { ClusterStats } from "./cluster-stats.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { OutlierDetector } from "./outlier/detector.ts";
import type { OutlierStats } from "./outlier/outlier-stats.ts";
import type { ResourceLimits } from "./resource-limits.ts";

export interface EndpointReport {
  readonly address: string;
  readonly hostname: string;
  readonly workload: string;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly priority: number;
  readonly weight: number;
  readonly health: string;
  /** Why it gets no requests, "" while it does. */
  readonly out: string;
  readonly cx_active: number;
  readonly cx_total: number;
  readonly cx_connect_fail: number;
  readonly rq_active: number;
  readonly rq_total: number;
  readonly rq_success: number;
  readonly rq_error: number;
  readonly rq_timeout: number;
}

export interface LimitsReport {
  readonly limits: CircuitBreakerLimits;
  readonly remaining: { connections: number; pending: number; requests: number; retries: number };
}

export interface ClusterReport {
  readonly name: string;
  readonly ready: boolean;
  readonly stats: ClusterStats;
  readonly limits: { readonly default: LimitsReport; readonly high: LimitsReport };
  /** null: no breaker. */
  readonly breaker: BreakerStats | null;
  /** null: no outlier detection. */
  readonly outlier: OutlierStats | null;
  readonly endpoints: readonly EndpointReport[];
}

/** Endpoints that a sentence names before it only counts the rest. */
const NAMED = 8;

/** Why an endpoint is out, "" if it is in service. */
export function whyOut(endpoint: EndpointState, detector: OutlierDetector | null): string {
  switch (endpoint.outReason) {
    case null:
      return "";
    case "ejected":
      return detector?.describe(endpoint) || "ejected";
    case "unhealthy":
      return "unhealthy according to endpoint discovery";
    case "draining":
      return "draining according to endpoint discovery";
  }
}

/** One sentence on all endpoints, without a full stop. */
export function explainEndpoints(
  endpoints: Iterable<EndpointState>,
  ready: boolean,
  detector: OutlierDetector | null,
): string {
  const all = [...endpoints];
  if (all.length === 0) return ready ? "the cluster has no endpoints" : "no endpoints have been discovered yet";
  const out = all.filter((endpoint) => endpoint.outReason !== null);
  if (out.length === 0)
    return all.length === 1 ? "its endpoint is in service" : `all ${all.length} endpoints are in service`;
  const named = out.slice(0, NAMED).map((endpoint) => `${endpoint.name} ${whyOut(endpoint, detector)}`);
  if (out.length > NAMED) named.push(`and ${out.length - NAMED} more are out`);
  if (out.length < all.length) named.push(`${all.length - out.length} of ${all.length} in service`);
  return named.join("; ");
}

export function reportEndpoint(endpoint: EndpointState, detector: OutlierDetector | null): EndpointReport {
  const { config, locality } = endpoint;
  return {
    address: endpoint.name,
    hostname: config.hostname,
    workload: config.workload,
    region: locality.region,
    zone: locality.zone,
    subZone: locality.subZone,
    priority: endpoint.priority,
    weight: endpoint.weight,
    health: endpoint.outReason ?? config.health,
    out: whyOut(endpoint, detector),
    cx_active: endpoint.activeConnections,
    cx_total: endpoint.cx_total,
    cx_connect_fail: endpoint.cx_connect_fail,
    rq_active: endpoint.activeRequests,
    rq_total: endpoint.rq_total,
    rq_success: endpoint.rq_success,
    rq_error: endpoint.rq_error,
    rq_timeout: endpoint.rq_timeout,
  };
}

export function reportLimits(limits: ResourceLimits): LimitsReport {
  return { limits: limits.limits, remaining: limits.remaining() };
}
