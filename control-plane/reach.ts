/** Which services a sidecar is told of, as plain data: its namespace's, what it reaches, what it has used, and backends. */
import type { ResourceKind } from "../xds/resources.ts";
import type { MeshState, ServiceState } from "./mesh/state.ts";
import type { Workload } from "./mesh/workload.ts";
import { clusterName, routeTableName, serviceOfResource } from "./translate/names.ts";
import { consumerNamespaces } from "./translate/route-table.ts";

/** What those are told of that are not told of everything. */
export interface Told {
  /** `namespace/name`, as in the state. */
  readonly services: ReadonlySet<string>;
  /** Clusters of other services, to which routes of these lead. */
  readonly clusters: ReadonlySet<string>;
}

export type NamedResource = readonly [kind: ResourceKind, name: string];

/** Who is told the same as the sidecar of a workload: its namespace, or the workload's own list; null: of everything. */
export function scopeKey({ settings, reach }: MeshState, workload: Workload): string | null {
  const { namespace, service } = workload;
  if (asks(settings, workload)) return `${namespace}/${service}`;
  return reach.has(namespace) ? namespace : null;
}

/** Whether a sidecar asks for what it is not told of. */
export function asks({ reach }: MeshState["settings"], workload: Workload): boolean {
  return reach === "OnDemand" && workload.onDemand === true;
}

/** What sidecars of a namespace are told of that have used these services. */
export function toldOf(state: MeshState, namespace: string, used: ReadonlySet<string>): Told {
  const reached = state.reach.get(namespace);
  const services = new Set<string>();
  const clusters = new Set<string>();
  for (const [key, service] of state.services) {
    const { namespace: of } = service.definition;
    if (of !== namespace && !reached?.has(of) && !used.has(key)) continue;
    services.add(key);
    for (const backend of backendsOf(service)) clusters.add(backend);
  }
  for (const name of clusters) if (services.has(serviceOfResource(name) ?? "")) clusters.delete(name);
  return { services, clusters };
}

/** Whether those are told of a resource. `told` null: they are told of everything. */
export function tells(told: Told | null, kind: ResourceKind, name: string): boolean {
  if (told === null) return true;
  const service = serviceOfResource(name);
  if (service === null || told.services.has(service)) return true;
  return (kind === "cluster" || kind === "endpoint") && told.clusters.has(name);
}

/** Resources of the state that one is told of and the other is not. */
export function difference(a: Told | null, b: Told | null, { services }: MeshState): readonly NamedResource[] {
  const names: NamedResource[] = [];
  for (const [key, service] of services) {
    if ((a === null || a.services.has(key)) === (b === null || b.services.has(key))) continue;
    for (const { port } of service.definition.ports) {
      const name = clusterName(service.definition, port);
      names.push(["cluster", name], ["endpoint", name], ["listener", name]);
    }
    for (const name of routeTableNames(service)) names.push(["route", name]);
  }
  for (const name of new Set([...(a?.clusters ?? []), ...(b?.clusters ?? [])])) {
    if (a?.clusters.has(name) !== b?.clusters.has(name)) names.push(["cluster", name], ["endpoint", name]);
  }
  return names;
}

/** Tables of a service's ports, for each namespace whose clients have routes of their own. */
export function routeTableNames(service: ServiceState): readonly string[] {
  return [null, ...consumerNamespaces(service)].flatMap((scope) =>
    service.definition.ports.map(({ port }) => routeTableName(service.definition, port, scope)),
  );
}

export function sameTold(a: Told, b: Told): boolean {
  return sameSet(a.services, b.services) && sameSet(a.clusters, b.clusters);
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

/** Clusters to which routes of a service lead, other than its own. */
function backendsOf({ definition, routing, opaque }: ServiceState): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { backends, mirrors } of routing.rules) {
    for (const name of [...backends, ...mirrors]) if (name !== null) names.add(name);
  }
  for (const { backends } of opaque.rules) for (const { cluster } of backends) names.add(cluster);
  for (const { port } of definition.ports) names.delete(clusterName(definition, port));
  return names;
}
