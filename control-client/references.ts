/** What a cluster, listener or route table refers to by name: the edges along which warming waits. */
import type { ConfigSource } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { HttpConnectionManager } from "../model/http.ts";
import type { Listener } from "../model/listener.ts";
import type { RequestMirror, RouteTable } from "../model/route.ts";
import type { TcpProxy } from "../model/tcp.ts";
import type { DownstreamTls, UpstreamTls } from "../model/tls.ts";
import type { NamedKind } from "./resources.ts";

export interface Reference {
  readonly kind: NamedKind;
  readonly name: string;
  /** undefined: the ADS stream; for a secret, a static one or the workload's own. */
  readonly source: ConfigSource | undefined;
}

/** The name under which a cluster's endpoints are fetched, or null if it has them itself or resolves them. */
export function endpointName(cluster: Cluster): string | null {
  if (cluster.discovery.kind !== "eds") return null;
  return cluster.discovery.serviceName === "" ? cluster.name : cluster.discovery.serviceName;
}

/** Endpoints and secrets that a cluster needs before it can serve. */
export const clusterReferences = remembered((cluster: Cluster): readonly Reference[] => {
  const found: Reference[] = [];
  const eds = endpointName(cluster);
  if (eds !== null && cluster.discovery.kind === "eds") {
    found.push({ kind: "endpoint", name: eds, source: cluster.discovery.source });
  }
  addSecrets(cluster.tls, found);
  for (const match of cluster.tlsMatches) addSecrets(match.tls, found);
  return found;
});

/** Route tables and secrets that a listener needs before it can serve. */
export const listenerReferences = remembered((listener: Listener): readonly Reference[] => {
  const found: Reference[] = [];
  for (const chain of chainsOf(listener)) addSecrets(chain.tls, found);
  for (const { routes } of connectionManagers(listener)) {
    if (routes.kind === "rds") found.push({ kind: "route", name: routes.name, source: routes.source });
  }
  return found;
});

/** Clusters that a listener's inline route tables and TCP proxies name. */
export const listenerClusters = remembered((listener: Listener): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const { cluster } of tcpProxies(listener)) {
    if (cluster.kind === "name") names.add(cluster.name);
    else for (const { name } of cluster.clusters) names.add(name);
  }
  for (const { routes } of connectionManagers(listener)) {
    if (routes.kind === "inline") for (const name of tableClusters(routes.table)) names.add(name);
  }
  return names;
});

/** Clusters that a route table names, mirrors included. A cluster taken from a header cannot be known beforehand. */
export const tableClusters = remembered((table: RouteTable): ReadonlySet<string> => {
  const names = new Set<string>();
  const addMirrors = (mirrors: readonly RequestMirror[]): void => {
    for (const { cluster } of mirrors) names.add(cluster);
  };
  addMirrors(table.requestMirrors);
  for (const host of table.virtualHosts) {
    addMirrors(host.requestMirrors);
    for (const { action } of host.routes) {
      if (action.kind !== "forward") continue;
      addMirrors(action.requestMirrors);
      if (action.cluster.kind === "name") names.add(action.cluster.name);
      else if (action.cluster.kind === "weighted") for (const { name } of action.cluster.clusters) names.add(name);
    }
  }
  return names;
});

function chainsOf(listener: Listener): Listener["filterChains"] {
  return listener.defaultFilterChain ? [...listener.filterChains, listener.defaultFilterChain] : listener.filterChains;
}

function connectionManagers(listener: Listener): HttpConnectionManager[] {
  return chainsOf(listener).flatMap((chain) =>
    chain.filters.flatMap((filter) => (filter.kind === "http_connection_manager" ? [filter.config] : [])),
  );
}

function tcpProxies(listener: Listener): TcpProxy[] {
  return chainsOf(listener).flatMap((chain) =>
    chain.filters.flatMap((filter) => (filter.kind === "tcp_proxy" ? [filter.config] : [])),
  );
}

function addSecrets(tls: DownstreamTls | UpstreamTls | null, into: Reference[]): void {
  if (!tls) return;
  const roots = tls.validation?.roots;
  for (const ref of roots ? [...tls.certificates, roots] : tls.certificates) {
    if (ref.kind === "sds") into.push({ kind: "secret", name: ref.name, source: ref.source });
  }
}

/** Models are frozen, so what was computed of one holds as long as it lives. */
function remembered<T extends object, R>(compute: (value: T) => R): (value: T) => R {
  const known = new WeakMap<T, R>();
  return (value) => {
    let result = known.get(value);
    if (result === undefined) {
      result = compute(value);
      known.set(value, result);
    }
    return result;
  };
}
