/** Where spans go: `config.trace.v3.Tracing.Http` with an `OpenTelemetryConfig`. */
import { create } from "@bufbuild/protobuf";
import { type Tracing_Http, Tracing_HttpSchema } from "../generated/envoy/config/trace/v3/http_tracer_pb.js";
import {
  type OpenTelemetryConfig,
  OpenTelemetryConfigSchema,
} from "../generated/envoy/config/trace/v3/opentelemetry_pb.js";
import type { TracingProvider } from "../model/http.ts";
import { packAny, unpackAny } from "./any.ts";
import { decodeGrpcService, encodeGrpcService } from "./config-source.ts";
import type { Place } from "./place.ts";
import { duration, durationMs } from "./values.ts";

const NAME = "envoy.tracers.opentelemetry";
const SERVICE = "unknown_service:envoy";

/** The tracer of a bootstrap or of a connection manager; null if it names none, or after an error. */
export function decodeTracingProvider(message: Tracing_Http | undefined, at: Place): TracingProvider | null {
  if (!message) return null;
  const place = at.field("typed_config");
  const config = unpackAny(message.configType.value, [OpenTelemetryConfigSchema], place);
  if (!config) return null;
  const target = decodeTarget(config, place);
  return target && { serviceName: config.serviceName || SERVICE, export: target };
}

function decodeTarget(config: OpenTelemetryConfig, at: Place): TracingProvider["export"] | null {
  if (config.grpcService && config.httpService) at.error("only one of grpc_service, http_service may be set");
  if (config.grpcService) {
    const { cluster, timeoutMs } = decodeGrpcService(config.grpcService, at.field("grpc_service"));
    return { protocol: "grpc", cluster, timeoutMs };
  }
  const uri = config.httpService?.httpUri;
  if (!uri) {
    if (config.httpService) at.field("http_service.http_uri").error("is required");
    else at.error("one of grpc_service, http_service is required");
    return null;
  }
  const place = at.field("http_service.http_uri");
  if (uri.httpUpstreamType.case !== "cluster") place.field("cluster").error("is required");
  if (!URL.canParse(uri.uri)) place.field("uri").error("is not an absolute URL");
  if (!uri.timeout) place.field("timeout").error("is required");
  const timeoutMs = durationMs(uri.timeout, 0, place.field("timeout"));
  return { protocol: "http", uri: uri.uri, cluster: uri.httpUpstreamType.value ?? "", timeoutMs };
}

export function encodeTracingProvider(provider: TracingProvider): Tracing_Http {
  const target = provider.export;
  const config = create(OpenTelemetryConfigSchema, {
    serviceName: provider.serviceName,
    ...(target.protocol === "grpc"
      ? { grpcService: encodeGrpcService(target.cluster, [], target.timeoutMs) }
      : {
          httpService: {
            httpUri: {
              uri: target.uri,
              httpUpstreamType: { case: "cluster", value: target.cluster },
              timeout: duration(target.timeoutMs),
            },
          },
        }),
  });
  const value = packAny(OpenTelemetryConfigSchema, config);
  return create(Tracing_HttpSchema, { name: NAME, configType: { case: "typedConfig", value } });
}
