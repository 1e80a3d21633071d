/** Route tables: `route.v3.RouteConfiguration`, inline in a connection manager or fetched through RDS. */
import { create } from "@bufbuild/protobuf";
import { type RouteConfiguration, RouteConfigurationSchema } from "../generated/envoy/config/route/v3/route_pb.js";
import type { RouteTable } from "../model/route.ts";
import type { Codec } from "./codec.ts";
import { decodeFilterOverrides, encodeFilterOverrides } from "./filters/override.ts";
import { decodeHeaderMutations, encodeHeaderMutations } from "./header-mutation.ts";
import { decodeHeaderName } from "./header-name.ts";
import type { Place } from "./place.ts";
import { decodeMirrors, encodeMirror } from "./route/mirror.ts";
import { decodeVirtualHost, encodeVirtualHost } from "./route/virtual-host.ts";

/** Envoy's default limit for the body of a direct response. */
const MAX_DIRECT_RESPONSE_BODY_BYTES = 4096;

export const routeCodec: Codec<typeof RouteConfigurationSchema, RouteTable> = {
  schema: RouteConfigurationSchema,
  label: "route configuration",
  nameOf: (message) => message.name,
  decode: decodeRouteTable,
  encode: encodeRouteTable,
};

export function decodeRouteTable(message: RouteConfiguration, at: Place): RouteTable {
  const maxBody = message.maxDirectResponseBodySizeBytes ?? MAX_DIRECT_RESPONSE_BODY_BYTES;
  if (message.ignorePathParametersInPathMatching) {
    at.field("ignore_path_parameters_in_path_matching").error("is not supported yet");
  }
  const virtualHosts = message.virtualHosts.map((host, i) =>
    decodeVirtualHost(host, maxBody, at.item("virtual_hosts", i)),
  );
  checkDomains(virtualHosts, at);
  return {
    name: message.name,
    virtualHosts,
    mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins,
    ignorePortInHostMatching: message.ignorePortInHostMatching,
    maxDirectResponseBodySizeBytes: maxBody,
    internalOnlyHeaders: message.internalOnlyHeaders.map((name, i) =>
      decodeHeaderName(name, at.item("internal_only_headers", i)),
    ),
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, at),
    requestMirrors: decodeMirrors(message.requestMirrorPolicies, at),
    ...(message.validateClusters === undefined ? {} : { validateClusters: message.validateClusters }),
    ...decodeHeaderMutations(message, at),
  };
}

/** A domain belongs to one virtual host, `*` too. */
function checkDomains(hosts: RouteTable["virtualHosts"], at: Place): void {
  const owners = new Map<string, string>();
  hosts.forEach((host, i) => {
    host.domains.forEach((domain, j) => {
      const owner = owners.get(domain);
      if (owner === undefined) owners.set(domain, host.name);
      else
        at.item("virtual_hosts", i)
          .item("domains", j)
          .error(`domain ${JSON.stringify(domain)} is already in virtual host ${JSON.stringify(owner)}`);
    });
  });
}

export function encodeRouteTable(table: RouteTable): RouteConfiguration {
  const message = create(RouteConfigurationSchema, {
    name: table.name,
    virtualHosts: table.virtualHosts.map(encodeVirtualHost),
    mostSpecificHeaderMutationsWins: table.mostSpecificHeaderMutationsWins,
    ignorePortInHostMatching: table.ignorePortInHostMatching,
    internalOnlyHeaders: [...table.internalOnlyHeaders],
    typedPerFilterConfig: encodeFilterOverrides(table.filterOverrides),
    requestMirrorPolicies: table.requestMirrors.map(encodeMirror),
    ...encodeHeaderMutations(table),
  });
  if (table.maxDirectResponseBodySizeBytes !== MAX_DIRECT_RESPONSE_BODY_BYTES) {
    message.maxDirectResponseBodySizeBytes = table.maxDirectResponseBodySizeBytes;
  }
  if (table.validateClusters !== undefined) message.validateClusters = table.validateClusters;
  return message;
}
