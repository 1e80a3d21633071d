/** From which address a cluster's connections are made: `core.v3.BindConfig`. */
import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  type BindConfig,
  BindConfigSchema,
  ExtraSourceAddressSchema,
  type SocketAddress,
} from "../generated/envoy/config/core/v3/address_pb.js";
import type { Address } from "../model/address.ts";
import type { Cluster } from "../model/cluster.ts";
import { decodeSocketAddress, encodeSocketAddress } from "./address.ts";
import type { Place } from "./place.ts";

type Bound = Pick<Cluster, "bindAddress" | "extraBindAddresses">;

/** As in Envoy, one address of each IP version at most. */
export function decodeBindConfig(message: BindConfig | undefined, at: Place): Bound {
  if (!message) return { bindAddress: null };
  const { sourceAddress } = message;
  const [extra, second] = extraAddresses(message, at);
  if (second) second.at.error("more than one further source address is not supported");
  if (!sourceAddress) {
    if (extra) extra.at.error("needs a source_address beside it");
    return { bindAddress: null };
  }
  const bindAddress = decodeSocketAddress(sourceAddress, "bind", at.field("source_address"));
  if (!extra) return { bindAddress };
  const extraBindAddress = decodeSocketAddress(extra.address, "bind", extra.at);
  if (versionOf(bindAddress) === versionOf(extraBindAddress)) {
    extra.at.error("must be of the other IP version than source_address");
  }
  return { bindAddress, extraBindAddresses: [extraBindAddress] };
}

/** `additional_source_addresses` is the deprecated spelling. */
function extraAddresses(
  message: BindConfig,
  at: Place,
): readonly { readonly address: SocketAddress; readonly at: Place }[] {
  const { additionalSourceAddresses: additional, extraSourceAddresses: extra } = message;
  if (extra.length > 0 && additional.length > 0) {
    at.field("additional_source_addresses").error("is not possible together with extra_source_addresses");
  }
  return [
    ...extra.flatMap(({ address }, i) => {
      const place = at.item("extra_source_addresses", i).field("address");
      if (!address) place.error("is required");
      return address ? [{ address, at: place }] : [];
    }),
    ...additional.map((address, i) => ({ address, at: at.item("additional_source_addresses", i) })),
  ];
}

function versionOf(address: Address): number {
  return address.kind === "tcp" ? isIP(address.host) : 0;
}

/** undefined: any address. */
export function encodeBindConfig({ bindAddress, extraBindAddresses = [] }: Bound): BindConfig | undefined {
  if (bindAddress?.kind !== "tcp") return undefined;
  return create(BindConfigSchema, {
    sourceAddress: encodeSocketAddress(bindAddress),
    extraSourceAddresses: extraBindAddresses.flatMap((extra) =>
      extra.kind === "tcp" ? [create(ExtraSourceAddressSchema, { address: encodeSocketAddress(extra) })] : [],
    ),
  });
}
