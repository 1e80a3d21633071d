/**
 * From the state of the mesh to the resources of one sidecar. Pure. The cache calls the same functions one resource at
 * a time; this is the whole that the parts must add up to.
 */
import type { Cluster } from "../../model/cluster.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import type { Listener } from "../../model/listener.ts";
import type { RouteTable } from "../../model/route.ts";
import { applicationProtocol } from "../mesh/build.ts";
import type { MeshState, ServicePort, ServiceState } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import { policiesFor } from "./access.ts";
import { allocateSlots, slotAddress, slotCount } from "./addresses.ts";
import { inboundCluster, outboundCluster, serviceEndpoints } from "./cluster.ts";
import { httpProxyRouteTable } from "./http-proxy.ts";
import { httpProxyListener, inboundListener, outboundListener } from "./listener.ts";
import { clusterName, routeTableName } from "./names.ts";
import { routeScope, serviceRouteTable } from "./route-table.ts";
import { collectorCluster } from "./telemetry.ts";

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
  const slots = allocateSlots(
    ports.map(({ name }) => name),
    slotCount(workload.loopback),
  );
  const collector = collectorCluster(state.settings);
  const protocol = applicationProtocol(state, workload);
  return {
    listeners: [
      inboundListener(workload, protocol, policiesFor(state, workload), state.trustDomain, state.settings),
      httpProxyListener(workload, state.settings),
      ...ports.flatMap((of) => {
        const slot = slots.get(of.name);
        return slot === undefined ? [] : [portListener(state, workload, of, slot)];
      }),
    ],
    routes: [
      httpProxyRouteTable(state, workload.namespace),
      ...ports.map(({ service, port }) =>
        serviceRouteTable(service, port.port, routeScope(service, workload.namespace)),
      ),
    ],
    clusters: [
      inboundCluster(workload, protocol),
      ...(collector === null ? [] : [collector]),
      ...ports.map(({ service, port }) => outboundCluster(service, port, state.trustDomain)),
    ],
    endpoints: ports.map(({ service, port }) => serviceEndpoints(service, port.port)),
  };
}

/** The listener of a service port on the sidecar of `workload`. */
export function portListener(state: MeshState, workload: Workload, of: PortOfService, slot: number): Listener {
  const { service, port } = of;
  return outboundListener(
    workload,
    service.definition,
    port,
    slotAddress(workload.loopback, slot, workload.outboundPort),
    routeTableName(service.definition, port.port, routeScope(service, workload.namespace)),
    state.settings,
  );
}
