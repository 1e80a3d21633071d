/** Socket addresses and IP ranges: `core.v3.Address`, `core.v3.CidrRange`. */
import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  type Address as AddressMessage,
  AddressSchema,
  type CidrRange,
  CidrRangeSchema,
  type SocketAddress,
  SocketAddress_Protocol,
  SocketAddressSchema,
} from "../generated/envoy/config/core/v3/address_pb.js";
import type { Address, Cidr } from "../model/address.ts";
import type { Place } from "./place.ts";

const NOWHERE: Address = { kind: "tcp", host: "", port: 0 };

/**
 * What an address is for: a listener or a source address, which may be in another network namespace; some other
 * IP address; or one that may be a DNS name instead.
 */
export type AddressUse = "bind" | "ip_only" | "names";

/** A TCP address or a Unix socket. */
export function decodeAddress(message: AddressMessage | undefined, use: AddressUse, at: Place): Address {
  switch (message?.address.case) {
    case "socketAddress":
      return decodeSocketAddress(message.address.value, use, at.field("socket_address"));
    case "pipe": {
      const { path, mode } = message.address.value;
      if (path === "") at.field("pipe.path").error("is required");
      if (mode !== 0) at.field("pipe.mode").error("is not supported");
      return { kind: "pipe", path };
    }
    default:
      at.error("an address is required");
      return NOWHERE;
  }
}

/** A `SocketAddress` on its own. */
export function decodeSocketAddress(message: SocketAddress, use: AddressUse, at: Place): Address {
  const { address, portSpecifier, networkNamespaceFilepath: networkNamespace } = message;
  if (message.protocol === SocketAddress_Protocol.UDP) at.field("protocol").error("UDP is not supported");
  if (address === "") at.field("address").error("is required");
  else if (use !== "names" && isIP(address) === 0) at.field("address").error(`malformed IP address: ${address}`);
  if (portSpecifier.case === undefined) at.field("port_value").error("is required");
  const port = portSpecifier.value ?? 0;
  if (port > 65_535) at.field("port_value").error(`a port must be at most 65535, got ${port}`);
  if (networkNamespace !== "" && use !== "bind") {
    at.field("network_namespace_filepath").error("is only for listeners and source addresses");
  }
  if (message.ipv4Compat && address !== "::") at.field("ipv4_compat").error("is only for the IPv6 address ::");
  return {
    kind: "tcp",
    host: address,
    port,
    ...(message.ipv4Compat ? { ipv4Compat: true } : {}),
    ...(networkNamespace === "" ? {} : { networkNamespace }),
  };
}

export function encodeAddress(address: Address): AddressMessage {
  if (address.kind === "pipe") {
    return create(AddressSchema, { address: { case: "pipe", value: { path: address.path } } });
  }
  return create(AddressSchema, { address: { case: "socketAddress", value: encodeSocketAddress(address) } });
}

export function encodeSocketAddress(address: Extract<Address, { kind: "tcp" }>): SocketAddress {
  return create(SocketAddressSchema, {
    address: address.host,
    portSpecifier: { case: "portValue", value: address.port },
    ipv4Compat: address.ipv4Compat ?? false,
    networkNamespaceFilepath: address.networkNamespace ?? "",
  });
}

/** An IP range; a missing length means 0, as in Envoy. */
export function decodeCidr(message: CidrRange, at: Place): Cidr {
  const family = isIP(message.addressPrefix);
  if (family === 0) at.field("address_prefix").error(`malformed IP address: ${message.addressPrefix}`);
  const prefixLength = message.prefixLen ?? 0;
  const longest = family === 6 ? 128 : 32;
  if (prefixLength > longest) at.field("prefix_len").error(`must be at most ${longest}, got ${prefixLength}`);
  return { address: message.addressPrefix, prefixLength };
}

export function encodeCidr(cidr: Cidr): CidrRange {
  return create(CidrRangeSchema, { addressPrefix: cidr.address, prefixLen: cidr.prefixLength });
}
