/** Endpoints of a cluster: `envoy.config.endpoint.v3.ClusterLoadAssignment` to `EndpointSet` and back. */
import { create } from "@bufbuild/protobuf";
import { HealthStatus } from "../generated/envoy/config/core/v3/health_check_pb.js";
import {
  type Endpoint_AdditionalAddress,
  type LbEndpoint,
  LbEndpointSchema,
  type LocalityLbEndpoints,
  LocalityLbEndpointsSchema,
} from "../generated/envoy/config/endpoint/v3/endpoint_components_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../generated/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Address } from "../model/address.ts";
import type { Endpoint, EndpointMetadata, EndpointSet, LocalityEndpoints } from "../model/endpoint.ts";
import { decodeAddress, encodeAddress } from "./address.ts";
import type { Codec } from "./codec.ts";
import { encodeMetadata, metadataOf, OUTRIGGER } from "./metadata.ts";
import type { Place } from "./place.ts";

/** The metadata name that chooses a transport socket by endpoint. */
const TRANSPORT_SOCKET_MATCH = "envoy.transport_socket_match";

const OVERPROVISIONING_FACTOR = 140;
const MAX_PRIORITY = 128;

export const endpointCodec: Codec<typeof ClusterLoadAssignmentSchema, EndpointSet> = {
  schema: ClusterLoadAssignmentSchema,
  label: "endpoints",
  nameOf: (message) => message.clusterName,
  decode: (message, at) => decodeEndpointSet(message, "ip_only", at),
  encode: encodeEndpointSet,
};

/** `names`: whether endpoints may be DNS names, as in clusters that resolve them. */
export function decodeEndpointSet(message: ClusterLoadAssignment, names: "names" | "ip_only", at: Place): EndpointSet {
  if (message.clusterName === "") at.field("cluster_name").error("is required");
  const factor = message.policy?.overprovisioningFactor ?? OVERPROVISIONING_FACTOR;
  if (factor === 0) at.field("policy.overprovisioning_factor").error("must be greater than 0");
  return {
    name: message.clusterName,
    localities: message.endpoints.map((locality, i) => decodeLocality(locality, names, at.item("endpoints", i))),
    overprovisioningFactor: factor,
  };
}

/** What a cluster has that nothing was assigned to. */
export function noEndpoints(name: string): EndpointSet {
  return { name, localities: [], overprovisioningFactor: OVERPROVISIONING_FACTOR };
}

function decodeLocality(message: LocalityLbEndpoints, names: "names" | "ip_only", at: Place): LocalityEndpoints {
  const weight = message.loadBalancingWeight ?? null;
  if (weight === 0) at.field("load_balancing_weight").error("must be at least 1");
  if (message.priority > MAX_PRIORITY) at.field("priority").error(`must be at most ${MAX_PRIORITY}`);
  const { region = "", zone = "", subZone = "" } = message.locality ?? {};
  return {
    locality: { region, zone, subZone },
    weight,
    priority: message.priority,
    endpoints: message.lbEndpoints.map((endpoint, i) => decodeEndpoint(endpoint, names, at.item("lb_endpoints", i))),
  };
}

const HEALTH: Readonly<Record<number, Endpoint["health"]>> = {
  [HealthStatus.UNKNOWN]: "healthy",
  [HealthStatus.HEALTHY]: "healthy",
  [HealthStatus.UNHEALTHY]: "unhealthy",
  [HealthStatus.TIMEOUT]: "unhealthy",
  [HealthStatus.DRAINING]: "draining",
  [HealthStatus.DEGRADED]: "degraded",
};

function decodeEndpoint(message: LbEndpoint, names: "names" | "ip_only", at: Place): Endpoint {
  const endpoint = message.hostIdentifier.value;
  if (!endpoint) at.field("endpoint").error("is required");
  const weight = message.loadBalancingWeight ?? 1;
  if (weight === 0) at.field("load_balancing_weight").error("must be at least 1");
  const workload = metadataOf(message.metadata, OUTRIGGER)?.["workload"];
  const address = decodeAddress(endpoint?.address, names, at.field("endpoint.address"));
  const more = decodeAdditional(endpoint?.additionalAddresses ?? [], names, at.field("endpoint"));
  return {
    address,
    ...(more.length === 0 ? {} : { additionalAddresses: more }),
    weight,
    health: HEALTH[message.healthStatus] ?? "healthy",
    hostname: endpoint?.hostname ?? "",
    transportSocketMatch: decodeStrings(
      metadataOf(message.metadata, TRANSPORT_SOCKET_MATCH) ?? {},
      at.field("metadata").entry("filter_metadata", TRANSPORT_SOCKET_MATCH),
    ),
    workload: typeof workload === "string" ? workload : "",
  };
}

/** Where names are resolved Envoy looks at the first address alone, as long as the others are well-formed. */
function decodeAdditional(
  messages: readonly Endpoint_AdditionalAddress[],
  names: "names" | "ip_only",
  at: Place,
): readonly Address[] {
  const addresses = messages.map(({ address }, i) =>
    decodeAddress(address, names, at.item("additional_addresses", i).field("address")),
  );
  if (names === "ip_only") return addresses;
  if (addresses.length > 0) at.field("additional_addresses").note("has no effect in clusters that resolve names");
  return [];
}

/** Match criteria: only strings can be compared. */
export function decodeStrings(json: Readonly<Record<string, unknown>>, at: Place): EndpointMetadata {
  const strings: Record<string, string> = {};
  for (const [key, value] of Object.entries(json)) {
    if (typeof value === "string") strings[key] = value;
    else at.field(key).error("only strings are supported");
  }
  return strings;
}

export function encodeEndpointSet(set: EndpointSet): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName: set.name,
    endpoints: set.localities.map(encodeLocality),
    ...(set.overprovisioningFactor === OVERPROVISIONING_FACTOR
      ? {}
      : { policy: { overprovisioningFactor: set.overprovisioningFactor } }),
  });
}

function encodeLocality(locality: LocalityEndpoints): LocalityLbEndpoints {
  return create(LocalityLbEndpointsSchema, {
    locality: locality.locality,
    priority: locality.priority,
    lbEndpoints: locality.endpoints.map(encodeEndpoint),
    ...(locality.weight === null ? {} : { loadBalancingWeight: locality.weight }),
  });
}

const HEALTH_STATUS: Readonly<Record<Endpoint["health"], HealthStatus>> = {
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
  draining: HealthStatus.DRAINING,
  degraded: HealthStatus.DEGRADED,
};

function encodeEndpoint(endpoint: Endpoint): LbEndpoint {
  const metadata = encodeMetadata({
    [TRANSPORT_SOCKET_MATCH]:
      Object.keys(endpoint.transportSocketMatch).length > 0 ? { ...endpoint.transportSocketMatch } : undefined,
    [OUTRIGGER]: endpoint.workload ? { workload: endpoint.workload } : undefined,
  });
  return create(LbEndpointSchema, {
    hostIdentifier: {
      case: "endpoint",
      value: {
        address: encodeAddress(endpoint.address),
        hostname: endpoint.hostname,
        additionalAddresses: (endpoint.additionalAddresses ?? []).map((address) => ({
          address: encodeAddress(address),
        })),
      },
    },
    healthStatus: HEALTH_STATUS[endpoint.health],
    loadBalancingWeight: endpoint.weight,
    ...(metadata ? { metadata } : {}),
  });
}
