/** Which address an upstream connection leaves from: Envoy's `upstream_bind_config`. */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";

/** An address to leave from, in the network namespace that the connection is made in. */
export type SourceAddress = Extract<Address, { kind: "tcp" }> & {
  /** It need not be this machine's: the socket is made transparent. */
  readonly transparent?: true;
};

/** What is asked of an endpoint. */
interface Target {
  readonly address: Address;
  /** The caller's address, which is kept; "" for none. */
  readonly source: string;
}

/** The source address for connections to an endpoint, null for any: of several the first of the endpoint's family. */
export function bindAddressFor(cluster: Cluster, { address: target, source }: Target): SourceAddress | null {
  const { bindAddress, extraBindAddresses } = cluster;
  if (source !== "") {
    const { networkNamespace } = bindAddress?.kind === "tcp" ? bindAddress : {};
    const namespace = networkNamespace === undefined ? null : { networkNamespace };
    return { kind: "tcp", host: source, port: 0, transparent: true, ...namespace };
  }
  if (bindAddress?.kind !== "tcp") return null;
  if (extraBindAddresses === undefined || target.kind !== "tcp") return bindAddress;
  const isIpv6 = target.host.includes(":");
  if (bindAddress.host.includes(":") === isIpv6) return bindAddress;
  for (const address of extraBindAddresses) {
    if (address.kind === "tcp" && address.host.includes(":") === isIpv6) return address;
  }
  return bindAddress;
}
