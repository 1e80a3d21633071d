/**
 * What stands in for a resource whose wait was given up: no endpoints (503 UH) and no routes (404 NR), as in Envoy after
 * `initial_fetch_timeout`. There is no stand-in for a secret: TLS without one must fail, never fall back to plaintext.
 */
import type { EndpointSet } from "../model/endpoint.ts";
import type { RouteTable } from "../model/route.ts";
import { deepFreeze } from "../model/snapshot.ts";

/** An EDS resource without any endpoint. */
export function emptyEndpoints(name: string): EndpointSet {
  return deepFreeze<EndpointSet>({ name, localities: [], overprovisioningFactor: 140 });
}

/** A route table that matches nothing. */
export function emptyRoutes(name: string): RouteTable {
  return deepFreeze<RouteTable>({
    name,
    virtualHosts: [],
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    internalOnlyHeaders: [],
    filterOverrides: {},
    requestMirrors: [],
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  });
}
