/**
 * From the state of the mesh to the resources of one sidecar. Pure. The cache calls the same functions one resource at
 * a time; this is the whole that the parts must add up to.
 */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import type { Listener } from "../../model/listener.ts";
import type { RouteTable } from "../../model/route.ts";
import { httpOf } from "../manifest/port-protocol.ts";
import type { MeshState, ServicePort, ServiceState } from "../mesh/state.ts";
import { isInterceptedInbound, type Loopback, type Workload } from "../mesh/workload.ts";
import { allocateSlots, slotAddress, slotCount } from "./addresses.ts";
import { BLACK_HOLE, INBOUND_PASSTHROUGH, inboundCluster, PASSTHROUGH } from "./application-cluster.ts";
import { outboundCluster, serviceEndpoints } from "./cluster.ts";
import { httpProxyRouteTable } from "./http-proxy.ts";
import { inboundListener } from "./inbound.ts";
import { type InboundPort, inboundPorts, otherPorts } from "./inbound-port.ts";
import { type Client, clientOf, httpProxyListener, outboundListener } from "./listener.ts";
import { clusterName } from "./names.ts";
import { routeScope, serviceRouteTable } from "./route-table.ts";
import { collectorCluster } from "./telemetry.ts";
import { virtualInbound, virtualOutbound } from "./virtual-listeners.ts";

export interface NodeResources {
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteTable[];
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly EndpointSet[];
}

/** A service and one of its ports. */
export interface PortOfService {
  readonly service: ServiceState;
  readonly port: ServicePort;
  /** Cluster, endpoint set and listener name. */
  readonly name: string;
}

/** All ports of all services, in order. */
export function portsOf(state: MeshState): readonly PortOfService[] {
  return [...state.services.values()].flatMap((service) =>
    service.definition.ports.map((port) => ({ service, port, name: clusterName(service.definition, port.port) })),
  );
}

/** Every resource of a sidecar. A service port that its address range has no room for is reached by `http_proxy` only. */
export function translate(state: MeshState, workload: Workload): NodeResources {
  const ports = portsOf(state);
  const collector = collectorCluster(state.settings);
  const inbound = inboundPorts(state, workload);
  const proxy = httpProxyListener(workload, state.settings);
  return {
    listeners: [
      ...ownListeners(state, workload, inbound),
      ...(proxy === null ? [] : [proxy]),
      ...(workload.loopback === null
        ? ports.flatMap((of) => interceptedListener(state, clientOf(workload), of) ?? [])
        : []),
      ...(workload.loopback === null ? [] : loopbackListeners(state, workload, workload.loopback, ports)),
    ],
    routes: [
      ...(proxy === null ? [] : [httpProxyRouteTable(state, workload.namespace)]),
      ...ports
        .filter(({ port }) => httpOf(port.protocol) !== null)
        .map(({ service, port }) => serviceRouteTable(service, port.port, routeScope(service, workload.namespace))),
    ],
    clusters: [
      ...inbound.map((port) => inboundCluster(workload, port)),
      ...commonClusters(state, workload),
      ...(collector === null ? [] : [collector]),
      ...ports.map(({ service, port }) => outboundCluster(service, port, state.trustDomain)),
    ],
    endpoints: ports.map(({ service, port }) => serviceEndpoints(service, port.port)),
  };
}

/** The listeners that are a sidecar's own, whatever services there are. */
export function ownListeners(
  state: MeshState,
  workload: Workload,
  inbound: readonly InboundPort[],
): readonly Listener[] {
  const context = { workload, trustDomain: state.trustDomain, settings: state.settings };
  const outbound = workload.interception === null ? [] : [virtualOutbound(context)];
  if (isInterceptedInbound(workload))
    return [virtualInbound(inbound, otherPorts(state, workload), context), ...outbound];
  return [...inbound.map((port) => inboundListener(port, context)), ...outbound];
}

/** Clusters of connections that the mesh knows no service for, as far as a sidecar has use for them. */
export function commonClusters(state: MeshState, workload: Workload): readonly Cluster[] {
  const clusters: Cluster[] = [];
  if (isInterceptedInbound(workload)) clusters.push(INBOUND_PASSTHROUGH);
  if (workload.interception !== null) {
    clusters.push(state.settings.egress === "RegistryOnly" ? BLACK_HOLE : PASSTHROUGH);
  }
  return clusters;
}

function loopbackListeners(
  state: MeshState,
  workload: Workload,
  loopback: Loopback,
  ports: readonly PortOfService[],
): readonly Listener[] {
  const slots = allocateSlots(
    ports.map(({ name }) => name),
    slotCount(loopback),
  );
  return ports.flatMap((of) => {
    const slot = slots.get(of.name);
    return slot === undefined ? [] : [loopbackListener(state, workload, loopback, of, slot)];
  });
}

/** The listener of a service port on the sidecar of `workload`. */
export function loopbackListener(
  state: MeshState,
  workload: Workload,
  loopback: Loopback,
  { service, port }: PortOfService,
  slot: number,
): Listener {
  const address = slotAddress(loopback, slot, workload.outboundPort);
  return outboundListener(service, port, { address, bindToPort: true }, clientOf(workload), state.settings);
}

/** The listener of a service port for callers that are intercepted; null for a service without an address. */
export function interceptedListener(
  state: MeshState,
  client: Client,
  { service, port }: PortOfService,
): Listener | null {
  const [address, ...others] = service.definition.addresses.map(
    (host): Address => ({ kind: "tcp", host, port: port.port }),
  );
  if (!address) return null;
  const place = { address, bindToPort: false, ...(others.length > 0 && { additionalAddresses: others }) };
  return outboundListener(service, port, place, client, state.settings);
}
