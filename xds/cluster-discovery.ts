/** How a cluster finds its endpoints: the discovery fields of `Cluster` to the model and back. */
import { create } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryTypeSchema,
  Cluster_EdsClusterConfigSchema,
  type Cluster as ClusterMessage,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as DnsLookupFamily,
} from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import type { Cluster, DnsOptions } from "../model/cluster.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import { DNS_REFRESH_MS, decodeClusterType, MIN_DNS_REFRESH_MS, type NamedDiscovery } from "./cluster-type.ts";
import { decodeConfigSource, encodeConfigSource } from "./config-source.ts";
import { decodeEndpointSet, encodeEndpointSet, noEndpoints } from "./endpoint.ts";
import type { Place } from "./place.ts";
import { duration, durationMs, numberOf, positiveDurationMs, wordOf } from "./values.ts";

type Discovery = Cluster["discovery"];

/** Envoy's default. */
const CLEANUP_INTERVAL_MS = 5_000;

const KINDS: Readonly<Record<number, Discovery["kind"]>> = {
  [DiscoveryType.STATIC]: "static",
  [DiscoveryType.STRICT_DNS]: "strict_dns",
  [DiscoveryType.LOGICAL_DNS]: "logical_dns",
  [DiscoveryType.EDS]: "eds",
  [DiscoveryType.ORIGINAL_DST]: "original_dst",
};

const FAMILIES: Readonly<Record<number, DnsOptions["lookupFamily"]>> = {
  [DnsLookupFamily.AUTO]: "auto",
  [DnsLookupFamily.V4_ONLY]: "v4_only",
  [DnsLookupFamily.V6_ONLY]: "v6_only",
  [DnsLookupFamily.V4_PREFERRED]: "v4_preferred",
  [DnsLookupFamily.ALL]: "all",
};

export function decodeDiscovery(message: ClusterMessage, at: Place): Discovery {
  const { kind, dns = decodeDns(message, at) } = decodeKind(message, at);
  switch (kind) {
    case "eds":
      return decodeEds(message, at);
    case "strict_dns":
      return { kind, endpoints: decodeEndpoints(message, "names", at), dns };
    case "logical_dns": {
      const endpoints = decodeEndpoints(message, "names", at);
      if (endpoints.localities.length !== 1 || endpoints.localities[0]?.endpoints.length !== 1) {
        at.field("load_assignment").error("a LOGICAL_DNS cluster must have exactly one endpoint");
      }
      return { kind, endpoints, dns };
    }
    case "original_dst":
      return decodeOriginalDst(message, at);
    default:
      return { kind: "static", endpoints: decodeEndpoints(message, "ip_only", at) };
  }
}

function decodeKind(message: ClusterMessage, at: Place): NamedDiscovery {
  const { clusterDiscoveryType: type } = message;
  if (type.case === "clusterType") return decodeClusterType(type.value, at.field("cluster_type"));
  const value = type.value ?? DiscoveryType.STATIC;
  return { kind: wordOf(Cluster_DiscoveryTypeSchema, value, KINDS, at.field("type")) ?? "static" };
}

function decodeEds(message: ClusterMessage, at: Place): Discovery {
  const place = at.field("eds_cluster_config");
  const config = message.edsClusterConfig;
  if (!config?.edsConfig) place.field("eds_config").error("is required for an EDS cluster");
  if (message.loadAssignment) at.field("load_assignment").error("has no meaning for an EDS cluster");
  const source = config?.edsConfig && decodeConfigSource(config.edsConfig, place.field("eds_config"));
  return { kind: "eds", serviceName: config?.serviceName || message.name, ...(source ? { source } : {}) };
}

function decodeOriginalDst(message: ClusterMessage, at: Place): Discovery {
  if (message.loadAssignment) at.field("load_assignment").error("has no meaning for an ORIGINAL_DST cluster");
  refuseEds(message, at);
  const interval = positiveDurationMs(message.cleanupInterval, CLEANUP_INTERVAL_MS, at.field("cleanup_interval"));
  return { kind: "original_dst", cleanupIntervalMs: Math.max(1, interval) };
}

function refuseEds(message: ClusterMessage, at: Place): void {
  if (message.edsClusterConfig) at.field("eds_cluster_config").error("is only for clusters of type EDS");
}

/** Without an assignment the cluster has no endpoints. */
function decodeEndpoints(message: ClusterMessage, names: "names" | "ip_only", at: Place): EndpointSet {
  refuseEds(message, at);
  return message.loadAssignment
    ? decodeEndpointSet(message.loadAssignment, names, at.field("load_assignment"))
    : noEndpoints(message.name);
}

function decodeDns(message: ClusterMessage, at: Place): DnsOptions {
  const refreshRateMs = durationMs(message.dnsRefreshRate, DNS_REFRESH_MS, at.field("dns_refresh_rate"));
  if (refreshRateMs <= MIN_DNS_REFRESH_MS) at.field("dns_refresh_rate").error("must be greater than 1ms");
  return {
    refreshRateMs,
    respectTtl: message.respectDnsTtl,
    lookupFamily: FAMILIES[message.dnsLookupFamily] ?? "auto",
  };
}

type DiscoveryFields =
  | "clusterDiscoveryType"
  | "edsClusterConfig"
  | "loadAssignment"
  | "dnsRefreshRate"
  | "respectDnsTtl"
  | "dnsLookupFamily"
  | "cleanupInterval";

/** The fields of `Cluster` that say so. */
export function encodeDiscovery(discovery: Discovery): Partial<Pick<ClusterMessage, DiscoveryFields>> {
  const clusterDiscoveryType = { case: "type", value: numberOf(KINDS, discovery.kind) } as const;
  switch (discovery.kind) {
    case "eds":
      return {
        clusterDiscoveryType,
        edsClusterConfig: create(Cluster_EdsClusterConfigSchema, {
          serviceName: discovery.serviceName,
          edsConfig: encodeConfigSource(discovery.source ?? ADS),
        }),
      };
    case "static":
      return { clusterDiscoveryType, loadAssignment: encodeEndpointSet(discovery.endpoints) };
    case "original_dst":
      return { clusterDiscoveryType, cleanupInterval: duration(discovery.cleanupIntervalMs) };
    default:
      return {
        clusterDiscoveryType,
        loadAssignment: encodeEndpointSet(discovery.endpoints),
        dnsRefreshRate: duration(discovery.dns.refreshRateMs),
        respectDnsTtl: discovery.dns.respectTtl,
        dnsLookupFamily: numberOf(FAMILIES, discovery.dns.lookupFamily),
      };
  }
}

/** Where endpoints come from if the model does not say: the stream that the cluster itself came by. */
const ADS = { kind: "ads", initialFetchTimeoutMs: 15_000 } as const;
