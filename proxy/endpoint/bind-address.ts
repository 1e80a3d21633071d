/** Which address an upstream connection leaves from: Envoy's `upstream_bind_config`. */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";

/** An address to leave from, in the network namespace that the connection is made in. */
export type SourceAddress = Extract<Address, { kind: "tcp" }>;

/** The source address for connections to `target`, null for any: of several the first of the target's family. */
export function bindAddressFor(cluster: Cluster, target: Address): SourceAddress | null {
  const { bindAddress, extraBindAddresses } = cluster;
  if (bindAddress?.kind !== "tcp") return null;
  if (extraBindAddresses === undefined || target.kind !== "tcp") return bindAddress;
  const isIpv6 = target.host.includes(":");
  if (bindAddress.host.includes(":") === isIpv6) return bindAddress;
  for (const address of extraBindAddresses) {
    if (address.kind === "tcp" && address.host.includes(":") === isIpv6) return address;
  }
  return bindAddress;
}
