/** Routes of the listener that `http_proxy` names: every service of the mesh by each of its host names. */
import type { RouteTable } from "../../model/route.ts";
import { httpOf } from "../manifest/port-protocol.ts";
import type { MeshState, ServiceDefinition, ServicePort } from "../mesh/state.ts";
import { httpProxyRouteTableName } from "./names.ts";
import { route } from "./route.ts";
import { ANY_REQUEST } from "./route-match.ts";
import { routeScope, routeTable, virtualHost } from "./route-table.ts";
import { serviceRoutes } from "./service-routes.ts";

const UNKNOWN_HOST =
  "outrigger: no service of this name is in the mesh. Look for a typing error in the host, or for a Service that has not been applied; hosts outside of the mesh do not pass the sidecar (NO_PROXY).\n";

/** The virtual host of what is no service's. */
export const UNKNOWN_HOST_NAME = "unknown-host";

/**
 * The table for clients of one namespace: only its own services answer to their bare name. `told`: services that these
 * clients are told of; null: all.
 */
export function httpProxyRouteTable(
  state: MeshState,
  clientNamespace: string,
  told: ReadonlySet<string> | null = null,
): RouteTable {
  const services = [...state.services].flatMap(([key, service]) => (told === null || told.has(key) ? [service] : []));
  const virtualHosts = services.flatMap((service) =>
    httpPorts(service.definition).map(({ port }) =>
      virtualHost(
        `${service.definition.name}.${service.definition.namespace}:${port}`,
        domains(service.definition, port, clientNamespace),
        serviceRoutes(service, port, routeScope(service, clientNamespace)),
      ),
    ),
  );
  const unknown = route({
    name: UNKNOWN_HOST_NAME,
    match: ANY_REQUEST,
    action: { kind: "direct_response", status: 502, body: UNKNOWN_HOST },
    source: "",
  });
  return routeTable(httpProxyRouteTableName(clientNamespace), [
    ...virtualHosts,
    virtualHost(UNKNOWN_HOST_NAME, ["*"], [unknown]),
  ]);
}

function domains(service: ServiceDefinition, port: number, clientNamespace: string): readonly string[] {
  const names = [
    ...(service.namespace === clientNamespace ? [service.name] : []),
    `${service.name}.${service.namespace}`,
    `${service.name}.${service.namespace}.svc`,
    `${service.name}.${service.namespace}.svc.cluster.local`,
  ];
  const withPort = names.map((name) => `${name}:${port}`);
  return port === portlessPort(service) ? [...names, ...withPort] : withPort;
}

/** Which port a URL without one means: 80 where the service has it (RFC 9110, section 4.2.1), else its first. */
export function portlessPort(service: ServiceDefinition): number | undefined {
  const ports = httpPorts(service);
  return (ports.find(({ port }) => port === 80) ?? ports[0])?.port;
}

function httpPorts(service: ServiceDefinition): readonly ServicePort[] {
  return service.ports.filter(({ protocol }) => httpOf(protocol) !== null);
}
