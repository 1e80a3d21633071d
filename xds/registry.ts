/** The messages that may stand inside an `Any`: resources, and the configuration of extensions. */
import type { DescMessage } from "@bufbuild/protobuf";
import { ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../generated/envoy/config/listener/v3/listener_pb.js";
import { FilterConfigSchema } from "../generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../generated/envoy/config/route/v3/route_pb.js";
import { OpenTelemetryConfigSchema } from "../generated/envoy/config/trace/v3/opentelemetry_pb.js";
import { FileAccessLogSchema } from "../generated/envoy/extensions/access_loggers/file/v3/file_pb.js";
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "../generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { DnsClusterSchema } from "../generated/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js";
import { CorsPolicySchema, CorsSchema } from "../generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { FilterConfigSchema as GrpcStatsSchema } from "../generated/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import {
  RBACSchema as HttpRbacSchema,
  RBACPerRouteSchema,
} from "../generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RouterSchema } from "../generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpInspectorSchema } from "../generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { HttpConnectionManagerSchema } from "../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { TcpProxySchema } from "../generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { LeastRequestSchema } from "../generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { RandomSchema } from "../generated/envoy/extensions/load_balancing_policies/random/v3/random_pb.js";
import { RingHashSchema } from "../generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js";
import { RoundRobinSchema } from "../generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { UuidRequestIdConfigSchema } from "../generated/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import { PreviousHostsPredicateSchema } from "../generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
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

/** Every message that an `Any` may hold. */
export const EXTENSION_TYPES: readonly DescMessage[] = [
  CorsPolicySchema,
  CorsSchema,
  FileAccessLogSchema,
  FilterConfigSchema,
  GrpcStatsSchema,
  HTTPFaultSchema,
  HttpConnectionManagerSchema,
  HttpInspectorSchema,
  HttpRbacSchema,
  ListenerSchema,
  NetworkRbacSchema,
  OriginalDstSchema,
  PreserveCaseFormatterConfigSchema,
  PreviousHostsPredicateSchema,
  RBACPerRouteSchema,
  RouteConfigurationSchema,
  RouterSchema,
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  UuidRequestIdConfigSchema,
  ClusterSchema,
  ClusterLoadAssignmentSchema,
  DnsClusterSchema,
  DownstreamTlsContextSchema,
  LeastRequestSchema,
  RandomSchema,
  RingHashSchema,
  RoundRobinSchema,
  HttpProtocolOptionsSchema,
  OpenTelemetryConfigSchema,
  RawBufferSchema,
  ResourceSchema,
  SecretSchema,
  TypedStructSchema,
  UdpaTypedStructSchema,
  UpstreamTlsContextSchema,
];

const byName = new Map(EXTENSION_TYPES.map((schema) => [schema.typeName, schema]));

/** The full message name in a type URL: what follows the last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** The message that a type URL names, or undefined if it is none that Outrigger understands. */
export function extensionType(typeUrl: string): DescMessage | undefined {
  return byName.get(typeNameOf(typeUrl));
}
