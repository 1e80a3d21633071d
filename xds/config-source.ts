/** Where resources come from: `core.v3.ConfigSource`, `ApiConfigSource` and the gRPC services they name. */
import { create } from "@bufbuild/protobuf";
import {
  AggregatedConfigSourceSchema,
  type ApiConfigSource,
  ApiConfigSource_ApiType,
  ApiConfigSource_ApiTypeSchema,
  ApiConfigSourceSchema,
  ApiVersion,
  type ConfigSource as ConfigSourceMessage,
  ConfigSourceSchema,
} from "../generated/envoy/config/core/v3/config_source_pb.js";
import { type GrpcService, GrpcServiceSchema } from "../generated/envoy/config/core/v3/grpc_service_pb.js";
import type { ConfigSource, GrpcConfigSource } from "../model/bootstrap.ts";
import type { Place } from "./place.ts";
import { duration, durationMs, wordOf } from "./values.ts";

/** Envoy's default: how long a resource may keep its user waiting. */
const INITIAL_FETCH_TIMEOUT_MS = 15_000;

/** A config source; `ads` also for `self`, which means "from where this resource came". */
export function decodeConfigSource(message: ConfigSourceMessage, at: Place): ConfigSource {
  refuseV2(message.resourceApiVersion, at.field("resource_api_version"));
  const initialFetchTimeoutMs = durationMs(
    message.initialFetchTimeout,
    INITIAL_FETCH_TIMEOUT_MS,
    at.field("initial_fetch_timeout"),
  );
  const source = message.configSourceSpecifier;
  switch (source.case) {
    case "ads":
    case "self":
      return { kind: "ads", initialFetchTimeoutMs };
    case "path":
      return { kind: "file", path: source.value, initialFetchTimeoutMs };
    case "pathConfigSource":
      if (source.value.path === "") at.field("path_config_source.path").error("is required");
      return { kind: "file", path: source.value.path, initialFetchTimeoutMs };
    case "apiConfigSource": {
      const place = at.field("api_config_source");
      return { kind: "grpc", source: decodeApiConfigSource(source.value, API_TYPES, place), initialFetchTimeoutMs };
    }
    default:
      at.error("one of ads, path_config_source, api_config_source is required");
      return { kind: "ads", initialFetchTimeoutMs };
  }
}

export function encodeConfigSource(source: ConfigSource): ConfigSourceMessage {
  const message = create(ConfigSourceSchema, {
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout: duration(source.initialFetchTimeoutMs),
  });
  if (source.kind === "ads") {
    message.configSourceSpecifier = { case: "ads", value: create(AggregatedConfigSourceSchema) };
  } else if (source.kind === "file") {
    message.configSourceSpecifier = {
      case: "pathConfigSource",
      value: { $typeName: "envoy.config.core.v3.PathConfigSource", path: source.path },
    };
  } else {
    message.configSourceSpecifier = { case: "apiConfigSource", value: encodeApiConfigSource(source.source) };
  }
  return message;
}

type Variants = Readonly<Partial<Record<number, GrpcConfigSource["variant"]>>>;

const API_TYPES: Variants = {
  [ApiConfigSource_ApiType.GRPC]: "state_of_the_world",
  [ApiConfigSource_ApiType.DELTA_GRPC]: "delta",
};

/** A gRPC config source, as `ads_config` and `api_config_source` have it. */
export function decodeApiConfigSource(message: ApiConfigSource, types: Variants, at: Place): GrpcConfigSource {
  refuseV2(message.transportApiVersion, at.field("transport_api_version"));
  const variant = wordOf(ApiConfigSource_ApiTypeSchema, message.apiType, types, at.field("api_type"));
  if (message.clusterNames.length > 0) at.field("cluster_names").error("only for REST, which is not supported");
  if (message.grpcServices.length === 0) at.field("grpc_services").error("is required");
  const services = message.grpcServices.map((service, i) => decodeGrpcService(service, at.item("grpc_services", i)));
  return {
    variant: variant ?? "state_of_the_world",
    clusters: services.map((service) => service.cluster),
    initialMetadata: services[0]?.initialMetadata ?? [],
  };
}

/** `ads_config`: the same as any gRPC config source. */
export function decodeAdsConfig(message: ApiConfigSource, at: Place): GrpcConfigSource {
  return decodeApiConfigSource(message, API_TYPES, at);
}

export function encodeApiConfigSource(source: GrpcConfigSource): ApiConfigSource {
  return create(ApiConfigSourceSchema, {
    apiType: source.variant === "delta" ? ApiConfigSource_ApiType.DELTA_GRPC : ApiConfigSource_ApiType.GRPC,
    transportApiVersion: ApiVersion.V3,
    grpcServices: source.clusters.map((cluster, i) =>
      encodeGrpcService(cluster, i === 0 ? source.initialMetadata : []),
    ),
  });
}

interface GrpcTarget {
  readonly cluster: string;
  readonly timeoutMs: number;
  readonly initialMetadata: GrpcConfigSource["initialMetadata"];
}

/** A gRPC service behind one of the proxy's own clusters. */
export function decodeGrpcService(message: GrpcService, at: Place): GrpcTarget {
  const timeoutMs = durationMs(message.timeout, 0, at.field("timeout"));
  const initialMetadata = message.initialMetadata.map(({ key, value }) => ({ key, value }));
  const target = message.targetSpecifier;
  if (target.case !== "envoyGrpc") {
    at.error("envoy_grpc is required");
    return { cluster: "", timeoutMs, initialMetadata };
  }
  const cluster = target.value.clusterName;
  if (cluster === "") at.field("envoy_grpc.cluster_name").error("is required");
  if (target.value.authority !== "") at.field("envoy_grpc.authority").error("is not supported");
  return { cluster, timeoutMs, initialMetadata };
}

export function encodeGrpcService(
  cluster: string,
  initialMetadata: GrpcConfigSource["initialMetadata"] = [],
  timeoutMs = 0,
): GrpcService {
  return create(GrpcServiceSchema, {
    targetSpecifier: { case: "envoyGrpc", value: { clusterName: cluster } },
    initialMetadata: initialMetadata.map(({ key, value }) => ({ key, value })),
    ...(timeoutMs > 0 ? { timeout: duration(timeoutMs) } : {}),
  });
}

function refuseV2(version: ApiVersion, at: Place): void {
  if (version === ApiVersion.V2) at.error("V2 is not supported: the v2 API was removed from Envoy in 2021");
}
