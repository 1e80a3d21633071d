/** The messages that may stand inside an `Any`: resources, and the configuration of extensions. */
import type { DescMessage } from "@bufbuild/protobuf";
import { ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { OpenTelemetryConfigSchema } from "../generated/envoy/config/trace/v3/opentelemetry_pb.js";
import { RawBufferSchema } from "../generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { SecretSchema } from "../generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { ResourceSchema } from "../generated/envoy/service/discovery/v3/discovery_pb.js";
import { TypedStructSchema as UdpaTypedStructSchema } from "../generated/udpa/type/v1/typed_struct_pb.js";
import { TypedStructSchema } from "../generated/xds/type/v3/typed_struct_pb.js";

const TYPES: readonly DescMessage[] = [
  ClusterSchema,
  ClusterLoadAssignmentSchema,
  DownstreamTlsContextSchema,
  HttpProtocolOptionsSchema,
  OpenTelemetryConfigSchema,
  RawBufferSchema,
  ResourceSchema,
  SecretSchema,
  TypedStructSchema,
  UdpaTypedStructSchema,
  UpstreamTlsContextSchema,
];

const byName = new Map(TYPES.map((schema) => [schema.typeName, schema]));

/** The full message name in a type URL: what follows the last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** The message that a type URL names, or undefined if it is none that Outrigger understands. */
export function extensionType(typeUrl: string): DescMessage | undefined {
  return byName.get(typeNameOf(typeUrl));
}
