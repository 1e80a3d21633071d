/** The instances behind a cluster: `envoy.config.endpoint.v3.ClusterLoadAssignment`. */
import type { Address } from "./address.ts";

export interface EndpointSet {
  /** `cluster_name`: the EDS service name. */
  readonly name: string;
  readonly localities: readonly LocalityEndpoints[];
  /** `policy.overprovisioning_factor`. Envoy's default: 140. */
  readonly overprovisioningFactor: number;
}

export interface LocalityEndpoints {
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** null: not given. */
  readonly weight: number | null;
  /** 0 is the highest. */
  readonly priority: number;
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  readonly address: Address;
  /** `additional_addresses`: more ways to the same instance, the better ones first. Absent: none. */
  readonly additionalAddresses?: readonly Address[];
  /** Envoy's default: 1. */
  readonly weight: number;
  readonly health: "healthy" | "unhealthy" | "draining" | "degraded";
  /** `hostname`, for `auto_host_rewrite`; "" for none. */
  readonly hostname: string;
  /** `metadata.filter_metadata["envoy.transport_socket_match"]`. */
  readonly transportSocketMatch: EndpointMetadata;
  /** Name of the workload for metrics and for people, from `filter_metadata["outrigger"].workload`; "" if unknown. */
  readonly workload: string;
}

export type EndpointMetadata = Readonly<Record<string, string>>;
