/** Socket addresses, as Envoy's `core.v3.Address` gives them. */

export type Address =
  /** `host` is an IP literal, or a DNS name in clusters that resolve (STRICT_DNS, LOGICAL_DNS). */
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      /** A listener on `::` takes IPv4 connections too (`ipv4_compat`). */
      readonly ipv4Compat?: true;
      /** Path of the network namespace that the socket is made in (`network_namespace_filepath`); absent: the process's own. */
      readonly networkNamespace?: string;
    }
  | { readonly kind: "pipe"; readonly path: string };

/** `10.0.0.1:80`, `[::1]:80` or the pipe's path. */
export function formatAddress(address: Address): string {
  if (address.kind === "pipe") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** An IP range: `core.v3.CidrRange`. */
export interface Cidr {
  readonly address: string;
  readonly prefixLength: number;
}
