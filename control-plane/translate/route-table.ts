/** The routes of a service port, as RDS gives them to callers. */
import { INSTANCE_CALLS } from "../../model/interception.ts";
import type { Route, RouteTable, VirtualHost } from "../../model/route.ts";
import type { ServiceState } from "../mesh/state.ts";
import { NO_MUTATIONS } from "./envoy-defaults.ts";
import { authority, routeTableName } from "./names.ts";
import { isRouted, serviceRoutes, unroutedCalls } from "./service-routes.ts";

/** Callers that use the listener's own address (a loopback one) as host. */
const BY_ADDRESS = "127.*";

/** The table of a service port for clients of `clientNamespace`; null: for those whose namespace has no routes of its own. */
export function serviceRouteTable(service: ServiceState, port: number, clientNamespace: string | null): RouteTable {
  const { definition } = service;
  const routes = serviceRoutes(service, port, clientNamespace);
  const name = routeTableName(definition, port, clientNamespace);
  const named = authority(definition, port);
  // A headless service has no other frontend than its instances' addresses.
  const apart = !definition.headless && isRouted(service, port, clientNamespace);
  return routeTable(name, [
    virtualHost(
      `${name}/by-address`,
      [BY_ADDRESS],
      routes.map((route) => withAuthority(route, named)),
    ),
    virtualHost(name, ["*"], routes),
    ...(apart ? [virtualHost(`${name}/instances`, [INSTANCE_CALLS], unroutedCalls(service, port))] : []),
  ]);
}

export function routeTable(name: string, virtualHosts: readonly VirtualHost[]): RouteTable {
  return {
    ...NO_MUTATIONS,
    name,
    virtualHosts,
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    internalOnlyHeaders: [],
    filterOverrides: {},
    requestMirrors: [],
  };
}

export function virtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return {
    ...NO_MUTATIONS,
    name,
    domains,
    routes,
    requireTls: "none",
    retryPolicy: null,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    requestMirrors: [],
    filterOverrides: {},
  };
}

/** Namespaces whose clients have routes of their own for a service (GAMMA's consumer routes), sorted. */
export function consumerNamespaces(service: ServiceState): readonly string[] {
  return [...new Set(service.routing.rules.flatMap(({ clientNamespace }) => clientNamespace ?? []))].sort();
}

/** The table's key for a client: its own namespace where that has routes for the service, else null. */
export function routeScope(service: ServiceState, clientNamespace: string): string | null {
  return service.routing.rules.some((rule) => rule.clientNamespace === clientNamespace) ? clientNamespace : null;
}

function withAuthority(given: Route, value: string): Route {
  if (given.action.kind !== "forward" || given.action.hostRewrite.kind !== "keep") return given;
  return { ...given, action: { ...given.action, hostRewrite: { kind: "literal", value } } };
}
