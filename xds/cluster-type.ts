/** The newer way to say how a cluster finds its endpoints: `Cluster.cluster_type`, by name or with a typed `DnsCluster`. */
import type { Cluster_CustomClusterType } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { DnsLookupFamily } from "../generated/envoy/extensions/clusters/common/dns/v3/dns_pb.js";
import { type DnsCluster, DnsClusterSchema } from "../generated/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js";
import type { Cluster, DnsOptions } from "../model/cluster.ts";
import { unpackExtension } from "./extension.ts";
import type { Place } from "./place.ts";
import { durationMs } from "./values.ts";

/** Envoy's default, and what a refresh rate must be above. */
export const DNS_REFRESH_MS = 5_000;
export const MIN_DNS_REFRESH_MS = 1;

export interface NamedDiscovery {
  readonly kind: Cluster["discovery"]["kind"];
  /** Absent: the cluster's own fields say. */
  readonly dns?: DnsOptions;
}

/** Envoy's names of the types that the enum has too; the enum's settings then count. */
const NAMES: Readonly<Record<string, NamedDiscovery["kind"]>> = {
  "envoy.cluster.static": "static",
  "envoy.cluster.strict_dns": "strict_dns",
  "envoy.cluster.logical_dns": "logical_dns",
  "envoy.cluster.eds": "eds",
  "envoy.cluster.original_dst": "original_dst",
};

const DNS = "envoy.cluster.dns";

const FAMILIES: Readonly<Record<number, DnsOptions["lookupFamily"]>> = {
  [DnsLookupFamily.V4_ONLY]: "v4_only",
  [DnsLookupFamily.V6_ONLY]: "v6_only",
  [DnsLookupFamily.V4_PREFERRED]: "v4_preferred",
  [DnsLookupFamily.ALL]: "all",
};

/** As in Envoy, a configuration's type comes before the name. */
export function decodeClusterType(message: Cluster_CustomClusterType, at: Place): NamedDiscovery {
  if (message.name === "") at.field("name").error("is required");
  if (message.typedConfig) {
    const place = at.field("typed_config");
    const config = unpackExtension(message.typedConfig, [DnsClusterSchema], place);
    return config ? decodeDnsCluster(config, place) : { kind: "static" };
  }
  const kind = NAMES[message.name];
  if (kind) return { kind };
  if (message.name !== DNS) at.field("name").error(`cluster type ${JSON.stringify(message.name)} is not supported`);
  return { kind: "strict_dns" };
}

function decodeDnsCluster(message: DnsCluster, at: Place): NamedDiscovery {
  const refreshRateMs = durationMs(message.dnsRefreshRate, DNS_REFRESH_MS, at.field("dns_refresh_rate"));
  if (refreshRateMs <= MIN_DNS_REFRESH_MS) at.field("dns_refresh_rate").error("must be greater than 1ms");
  return {
    kind: message.allAddressesInSingleEndpoint ? "logical_dns" : "strict_dns",
    dns: {
      refreshRateMs,
      respectTtl: message.respectDnsTtl,
      lookupFamily: FAMILIES[message.dnsLookupFamily] ?? "auto",
    },
  };
}
