/** Which address an upstream connection leaves from: Envoy's `upstream_bind_config`. */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";

/** The source address for connections to `target`, null for any: of several the first of the target's family. */
export function bindAddressFor(cluster: Cluster, target: Address): string | null {
  const first = hostOf(cluster.bindAddress);
  const { extraBindAddresses } = cluster;
  if (first === null || extraBindAddresses === undefined || target.kind !== "tcp") return first;
  const isIpv6 = target.host.includes(":");
  if (first.includes(":") === isIpv6) return first;
  for (const address of extraBindAddresses) {
    const host = hostOf(address);
    if (host !== null && host.includes(":") === isIpv6) return host;
  }
  return first;
}

function hostOf(address: Address | null): string | null {
  return address?.kind === "tcp" ? address.host : null;
}
