/** Names of resources: Istio's forms, which people and tools of meshes know. */

interface Named {
  readonly name: string;
  readonly namespace: string;
}

/** `outbound|80||stock.default`: the cluster of a service port, its endpoints and its listener. */
export function clusterName(service: Named, port: number): string {
  return `outbound|${port}||${service.name}.${service.namespace}`;
}

/** `stock.default:80`; with a suffix for clients of a namespace that has routes of its own for the service. */
export function routeTableName(service: Named, port: number, clientNamespace: string | null): string {
  return `${service.name}.${service.namespace}:${port}${clientNamespace === null ? "" : `@${clientNamespace}`}`;
}

/** `http_proxy.default`: routes of the listener that `http_proxy` names, for clients of one namespace. */
export function httpProxyRouteTableName(clientNamespace: string): string {
  return `http_proxy.${clientNamespace}`;
}

/** `outbound_.80_._.stock.default`: SNI that names a service port within the mesh. */
export function sniName(service: Named, port: number): string {
  return `outbound_.${port}_._.${service.name}.${service.namespace}`;
}

/** `inbound|8080||`: the application beside the sidecar. */
export function inboundClusterName(appPort: number): string {
  return `inbound|${appPort}||`;
}

/** `namespace/name` of the service that a cluster, its endpoints, a listener or a route table is for; null: of none. */
export function serviceOfResource(name: string): string | null {
  const [, service, namespace] = /^(?:outbound\|\d+\|\|)?([^.|]+)\.([^.:|]+)(?::\d+(?:@.*)?)?$/.exec(name) ?? [];
  // A cluster has its port before the name, a table after it.
  const isOne = name.startsWith("outbound|") !== /:\d+(?:@.*)?$/.test(name);
  return isOne && service !== undefined && namespace !== undefined ? `${namespace}/${service}` : null;
}

/** What an upstream sees as authority: `stock.default.svc.cluster.local`, with the port unless it is 80. */
export function authority(service: Named, port: number): string {
  const host = `${service.name}.${service.namespace}.svc.cluster.local`;
  return port === 80 ? host : `${host}:${port}`;
}

/** Where intercepted calls go that no service of the mesh is meant by, and where they go if that is forbidden. */
export const PASSTHROUGH_CLUSTER = "PassthroughCluster";
export const BLACK_HOLE_CLUSTER = "BlackHoleCluster";
/** The application, at whatever port it was called that the mesh knows nothing of. */
export const INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster";
export const VIRTUAL_OUTBOUND = "virtualOutbound";
export const VIRTUAL_INBOUND = "virtualInbound";
