/** What the mesh's settings for traces and access logs mean for a listener. */
import type { AccessLog, AccessLogFilter } from "../../model/access-log.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { JsonTemplate, Tracing, TracingProvider } from "../../model/http.ts";
import type { Fraction } from "../../model/matcher.ts";
import type { MeshSettings } from "../mesh/state.ts";
import { CLUSTER } from "./envoy-defaults.ts";

/** The cluster of the trace collector. */
export const COLLECTOR_CLUSTER = "outrigger|otlp";

const FIELDS: JsonTemplate = {
  start_time: "%START_TIME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  authority: "%REQ(:AUTHORITY)%",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  grpc_status: "%GRPC_STATUS(SNAKE_STRING)%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  route_name: "%ROUTE_NAME%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_protocol: "%UPSTREAM_PROTOCOL%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  downstream_peer_uri_san: "%DOWNSTREAM_PEER_URI_SAN%",
  request_id: "%REQ(X-REQUEST-ID)%",
  traceparent: "%REQ(TRACEPARENT)%",
  user_agent: "%REQ(USER-AGENT)%",
};

/** UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS: failures of the service, with HTTP status 200. */
const FAILED_GRPC_CALL: AccessLogFilter = {
  kind: "and",
  filters: [
    {
      kind: "header",
      header: {
        name: "content-type",
        match: { kind: "string", match: { kind: "prefix", value: "application/grpc", ignoreCase: false } },
        invert: false,
        treatMissingAsEmpty: false,
      },
    },
    { kind: "grpc_status", statuses: [2, 4, 8, 13, 14, 15], exclude: false },
  ],
};

/** Of a connection whose bytes are not looked into. */
const CONNECTION_FIELDS: JsonTemplate = {
  start_time: "%START_TIME%",
  protocol: "TCP",
  response_flags: "%RESPONSE_FLAGS%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_host: "%UPSTREAM_HOST%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  downstream_peer_uri_san: "%DOWNSTREAM_PEER_URI_SAN%",
};

/** On stderr, because stdout belongs to the program that the sidecar runs. */
export function accessLogs(settings: MeshSettings): readonly AccessLog[] {
  if (settings.accessLog === "Off") return [];
  return [
    {
      sink: { kind: "stderr" },
      format: { kind: "json", fields: FIELDS },
      filter:
        settings.accessLog === "On"
          ? null
          : {
              kind: "or",
              filters: [
                { kind: "status_code", op: "ge", value: 500 },
                { kind: "response_flag", flags: [] },
                FAILED_GRPC_CALL,
              ],
            },
    },
  ];
}

/** For connections whose bytes are not looked into: a failure is whatever has a response flag. */
export function tcpAccessLogs(settings: MeshSettings): readonly AccessLog[] {
  return connectionLogs(settings.accessLog === "On" ? null : { kind: "response_flag", flags: [] }, settings);
}

/** For connections that no filter chain takes. */
export function refusalLogs(settings: MeshSettings): readonly AccessLog[] {
  return connectionLogs({ kind: "response_flag", flags: ["NR"] }, settings);
}

function connectionLogs(filter: AccessLogFilter | null, settings: MeshSettings): readonly AccessLog[] {
  if (settings.accessLog === "Off") return [];
  return [{ sink: { kind: "stderr" }, format: { kind: "json", fields: CONNECTION_FIELDS }, filter }];
}

/** Spans of the sidecar of `service`. */
export function tracing(settings: MeshSettings, service: string): Tracing | null {
  if (settings.tracing === null) return null;
  const all = { numerator: 100, denominator: 100 };
  return {
    clientSampling: all,
    randomSampling: percentFraction(settings.tracing.samplingPercent),
    overallSampling: all,
    verbose: false,
    maxPathTagLength: 256,
    customTags: [],
    spawnUpstreamSpan: true,
    provider: provider(settings.tracing.endpoint, service),
  };
}

function percentFraction(percent: number): Fraction {
  return Number.isInteger(percent)
    ? { numerator: percent, denominator: 100 }
    : { numerator: Math.round(percent * 100), denominator: 10_000 };
}

function provider(endpoint: string, serviceName: string): TracingProvider {
  const timeoutMs = 5000;
  return {
    serviceName,
    export:
      new URL(endpoint).protocol === "grpc:"
        ? { protocol: "grpc", cluster: COLLECTOR_CLUSTER, timeoutMs }
        : { protocol: "http", uri: endpoint, cluster: COLLECTOR_CLUSTER, timeoutMs },
  };
}

/** Where traces go; null where tracing is off. */
export function collectorCluster(settings: MeshSettings): Cluster | null {
  if (settings.tracing === null) return null;
  const url = new URL(settings.tracing.endpoint);
  const grpc = url.protocol === "grpc:";
  const port = url.port === "" ? (grpc ? 4317 : 80) : Number(url.port);
  return {
    ...CLUSTER,
    name: COLLECTOR_CLUSTER,
    discovery: {
      kind: "strict_dns",
      dns: { refreshRateMs: 5000, respectTtl: false, lookupFamily: "auto" },
      endpoints: {
        name: COLLECTOR_CLUSTER,
        overprovisioningFactor: 140,
        localities: [
          {
            locality: { region: "", zone: "", subZone: "" },
            weight: null,
            priority: 0,
            endpoints: [
              {
                address: { kind: "tcp", host: url.hostname.replace(/^\[|\]$/g, ""), port },
                weight: 1,
                health: "healthy",
                hostname: "",
                transportSocketMatch: {},
                workload: "",
              },
            ],
          },
        ],
      },
    },
    connectTimeoutMs: 1000,
    http: { ...CLUSTER.http, protocol: grpc ? "http2" : "http1" },
  };
}
