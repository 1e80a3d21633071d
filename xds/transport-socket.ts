/** What stands between a socket and its bytes: `core.v3.TransportSocket`, TLS or plaintext. */
import { create } from "@bufbuild/protobuf";
import { type TransportSocket, TransportSocketSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import { RawBufferSchema } from "../generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { DownstreamTls, UpstreamTls } from "../model/tls.ts";
import { packAny, unpackAny } from "./any.ts";
import type { Place } from "./place.ts";
import { decodeDownstreamTls, decodeUpstreamTls, encodeDownstreamTls, encodeUpstreamTls } from "./tls.ts";

const TLS = "envoy.transport_sockets.tls";
const RAW_BUFFER = "envoy.transport_sockets.raw_buffer";

/** The TLS of a filter chain; null for plaintext. */
export function decodeDownstreamSocket(socket: TransportSocket | undefined, at: Place): DownstreamTls | null {
  if (!socket) return null;
  const place = at.field("typed_config");
  const message = unpackAny(socket.configType.value, [DownstreamTlsContextSchema, RawBufferSchema], place);
  return message?.$typeName === DownstreamTlsContextSchema.typeName ? decodeDownstreamTls(message, place) : null;
}

/** The TLS to a cluster's endpoints; null for plaintext. */
export function decodeUpstreamSocket(socket: TransportSocket | undefined, at: Place): UpstreamTls | null {
  if (!socket) return null;
  const place = at.field("typed_config");
  const message = unpackAny(socket.configType.value, [UpstreamTlsContextSchema, RawBufferSchema], place);
  return message?.$typeName === UpstreamTlsContextSchema.typeName ? decodeUpstreamTls(message, place) : null;
}

export function encodeDownstreamSocket(tls: DownstreamTls): TransportSocket {
  const value = packAny(DownstreamTlsContextSchema, encodeDownstreamTls(tls));
  return create(TransportSocketSchema, { name: TLS, configType: { case: "typedConfig", value } });
}

/** null: a socket that says "plaintext". */
export function encodeUpstreamSocket(tls: UpstreamTls | null): TransportSocket {
  const value = tls
    ? packAny(UpstreamTlsContextSchema, encodeUpstreamTls(tls))
    : packAny(RawBufferSchema, create(RawBufferSchema));
  return create(TransportSocketSchema, { name: tls ? TLS : RAW_BUFFER, configType: { case: "typedConfig", value } });
}
