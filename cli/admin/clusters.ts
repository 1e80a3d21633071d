/** `/clusters`: every upstream endpoint with its numbers, and why it is out where it is. */
import type { JsonValue } from "../../model/bootstrap.ts";
import {
  type ClusterView,
  ENDPOINT_NUMBERS,
  type EndpointView,
  type LimitsView,
} from "../../telemetry/cluster-view.ts";
import { addressJson } from "./address-json.ts";
import { type AdminPage, json, text } from "./handler.ts";
import { nameFilter } from "./name-filter.ts";

export const clustersPage: AdminPage = {
  path: "/clusters",
  refreshes: true,
  help: "upstream cluster status",
  parameters: {
    filter: "Regular expression (RE2) for filtering clusters by name",
    format: "text (the default) or json",
  },
  handle({ source, query }) {
    const matches = nameFilter(query.get("filter"));
    const clusters = source.clusters();
    if (query.get("format") === "json") {
      const shown = [...clusters].filter((cluster) => matches(cluster.name));
      return json({ cluster_statuses: shown.map(clusterJson) });
    }
    return text(clustersText(clusters, matches));
  },
};

function* clustersText(clusters: Iterable<ClusterView>, matches: (name: string) => boolean): Generator<string> {
  for (const cluster of clusters) if (matches(cluster.name)) yield clusterText(cluster);
}

/** Envoy's health flags of what an endpoint can be here. */
const HEALTH_FLAGS: Readonly<Record<string, string>> = {
  healthy: "healthy",
  degraded: "/degraded_eds_health",
  unhealthy: "/failed_eds_health",
  draining: "/eds_status_draining",
  ejected: "/failed_outlier_check",
};

function limitsText(cluster: string, priority: string, { limits }: LimitsView): string {
  const line = (name: string, value: number): string => `${cluster}::${priority}_priority::${name}::${value}\n`;
  return (
    line("max_connections", limits.maxConnections) +
    line("max_pending_requests", limits.maxPendingRequests) +
    line("max_requests", limits.maxRequests) +
    line("max_retries", limits.maxRetries)
  );
}

/** Envoy's lines, then those that only Outrigger has. */
function clusterText(cluster: ClusterView): string {
  const { name } = cluster;
  let lines = `${name}::observability_name::${name}\n`;
  lines += limitsText(name, "default", cluster.limits.default) + limitsText(name, "high", cluster.limits.high);
  if (!cluster.ready) lines += `${name}::waiting_for::endpoints\n`;
  if (cluster.breaker !== null) lines += `${name}::breaker::${cluster.breaker.state}\n`;
  lines += protocolsText(cluster);
  for (const endpoint of cluster.endpoints) lines += endpointText(name, endpoint);
  return lines;
}

/** What the open connections speak, and how many streams those of HTTP/2 carry; nothing where none is open. */
function protocolsText({ name, stats }: ClusterView): string {
  let lines = "";
  let http1 = stats.upstream_cx_active ?? 0;
  for (const protocol of ["http2", "multiplexed"] as const) {
    const { connections_active: connections = 0, streams_active: streams = 0 } = stats[protocol] ?? {};
    http1 -= connections;
    if (connections > 0) lines += `${name}::${protocol}_connections::${connections}\n`;
    if (connections > 0) lines += `${name}::${protocol}_streams::${streams}\n`;
  }
  return http1 > 0 ? `${name}::http1_connections::${http1}\n${lines}` : lines;
}

function endpointText(cluster: string, endpoint: EndpointView): string {
  const line = (name: string, value: string | number): string => `${cluster}::${endpoint.address}::${name}::${value}\n`;
  let lines = "";
  for (const name of ENDPOINT_NUMBERS) lines += line(name, endpoint[name]);
  lines += line("hostname", endpoint.hostname);
  lines += line("health_flags", HEALTH_FLAGS[endpoint.health] ?? endpoint.health);
  lines += line("weight", endpoint.weight);
  lines += line("region", endpoint.region) + line("zone", endpoint.zone) + line("sub_zone", endpoint.subZone);
  lines += line("priority", endpoint.priority);
  if (endpoint.out !== "") lines += line("out_because", endpoint.out);
  return lines;
}

/** Envoy's `HealthStatus` by what an endpoint is here. */
const EDS_HEALTH: Readonly<Record<string, string>> = {
  degraded: "DEGRADED",
  unhealthy: "UNHEALTHY",
  draining: "DRAINING",
};

const GAUGES: ReadonlySet<string> = new Set(["cx_active", "rq_active"]);

/** `envoy.admin.v3.ClusterStatus`, with the fields `ready`, `breaker` and `out_because` of Outrigger's own. */
function clusterJson(cluster: ClusterView): JsonValue {
  return {
    name: cluster.name,
    host_statuses: cluster.endpoints.map(endpointJson),
    circuit_breakers: {
      thresholds: [limitsJson("DEFAULT", cluster.limits.default), limitsJson("HIGH", cluster.limits.high)],
    },
    observability_name: cluster.name,
    ready: cluster.ready,
    breaker: cluster.breaker?.state ?? null,
  };
}

function limitsJson(priority: string, { limits }: LimitsView): JsonValue {
  return {
    priority,
    max_connections: limits.maxConnections,
    max_pending_requests: limits.maxPendingRequests,
    max_requests: limits.maxRequests,
    max_retries: limits.maxRetries,
  };
}

function endpointJson(endpoint: EndpointView): JsonValue {
  return {
    address: addressJson(endpoint.address),
    stats: ENDPOINT_NUMBERS.map((name) => ({
      name,
      type: GAUGES.has(name) ? "GAUGE" : "COUNTER",
      // Envoy's JSON writes 64-bit numbers as strings.
      value: String(endpoint[name]),
    })),
    health_status: {
      eds_health_status: EDS_HEALTH[endpoint.health] ?? "HEALTHY",
      ...(endpoint.health === "ejected" ? { failed_outlier_check: true } : {}),
    },
    weight: endpoint.weight,
    priority: endpoint.priority,
    hostname: endpoint.hostname,
    locality: { region: endpoint.region, zone: endpoint.zone, sub_zone: endpoint.subZone },
    out_because: endpoint.out,
  };
}
