/** Forwarding of opaque bytes: `tcp_proxy.v3.TcpProxy`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type TcpProxy as TcpProxyMessage,
  TcpProxySchema,
  type TcpProxy_WeightedCluster as WeightedClusterMessage,
} from "../generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { TcpProxy, WeightedCluster } from "../model/tcp.ts";
import { decodeAccessLogs, encodeAccessLog } from "./access-log.ts";
import type { Place } from "./place.ts";
import { duration, durationMs } from "./values.ts";

/** Envoy's defaults. */
const IDLE_TIMEOUT_MS = 3_600_000;
const CONNECT_ATTEMPTS = 1;

export function decodeTcpProxy(message: TcpProxyMessage, at: Place): TcpProxy {
  if (message.statPrefix === "") at.field("stat_prefix").error("is required");
  refuseUnsupported(message, at);
  const maxConnectAttempts = message.maxConnectAttempts ?? CONNECT_ATTEMPTS;
  if (maxConnectAttempts === 0) at.field("max_connect_attempts").error("must be at least 1");
  return {
    statPrefix: message.statPrefix,
    cluster: decodeCluster(message, at),
    idleTimeoutMs: durationMs(message.idleTimeout, IDLE_TIMEOUT_MS, at.field("idle_timeout")),
    maxConnectAttempts,
    maxDownstreamConnectionDurationMs: atLeastOneMs(
      message.maxDownstreamConnectionDuration,
      at.field("max_downstream_connection_duration"),
    ),
    accessLogs: decodeAccessLogs(message.accessLog, at),
    ...decodeLogOptions(message, at),
    hashSourceIp: decodeHashPolicy(message, at),
  };
}

/** Switches of which only the default is understood. */
function refuseUnsupported(message: TcpProxyMessage, at: Place): void {
  if (message.backoffOptions) at.field("backoff_options").error("is not supported");
  if (message.maxDownstreamConnectionDurationJitterPercentage) {
    at.field("max_downstream_connection_duration_jitter_percentage").error("is not supported");
  }
  if (message.upstreamConnectMode !== 0) at.field("upstream_connect_mode").error("is not supported");
  if (message.maxEarlyDataBytes !== undefined) at.field("max_early_data_bytes").error("is not supported");
  if (message.checkDrainClose) at.field("check_drain_close").error("is not supported");
  if (message.accessLogOptions?.flushAccessLogOnStart) {
    at.field("access_log_options.flush_access_log_on_start").error("is not supported");
  }
}

function decodeCluster(message: TcpProxyMessage, at: Place): TcpProxy["cluster"] {
  const { clusterSpecifier: given } = message;
  switch (given.case) {
    case "cluster":
      return { kind: "name", name: given.value };
    case "weightedClusters":
      return { kind: "weighted", clusters: decodeWeighted(given.value, at.field("weighted_clusters")) };
    default:
      at.error("one of cluster and weighted_clusters is required");
      return { kind: "name", name: "" };
  }
}

function decodeWeighted(message: WeightedClusterMessage, at: Place): readonly WeightedCluster[] {
  if (message.clusters.length === 0) at.field("clusters").error("must not be empty");
  return message.clusters.map(({ name, weight }, i) => {
    const place = at.item("clusters", i);
    if (name === "") place.field("name").error("is required");
    if (weight === 0) place.field("weight").error("must be at least 1");
    return { name, weight };
  });
}

/** The fields of the proxy itself are deprecated spellings of those in `access_log_options`. */
function decodeLogOptions(message: TcpProxyMessage, at: Place): Pick<TcpProxy, "logOnConnected" | "logIntervalMs"> {
  const options = message.accessLogOptions;
  if (!options) {
    return {
      logOnConnected: message.flushAccessLogOnConnected,
      logIntervalMs: atLeastOneMs(message.accessLogFlushInterval, at.field("access_log_flush_interval")),
    };
  }
  const place = at.field("access_log_options");
  if (message.accessLogFlushInterval) place.error("is not possible together with access_log_flush_interval");
  if (message.flushAccessLogOnConnected) place.error("is not possible together with flush_access_log_on_connected");
  return {
    logOnConnected: options.flushAccessLogOnConnected,
    logIntervalMs: atLeastOneMs(options.accessLogFlushInterval, place.field("access_log_flush_interval")),
  };
}

/** At most one, of the caller's address. */
function decodeHashPolicy(message: TcpProxyMessage, at: Place): boolean {
  const [policy, second] = message.hashPolicy;
  if (second) at.field("hash_policy").error("must have at most one entry");
  if (policy && policy.policySpecifier.case === undefined) at.item("hash_policy", 0).error("source_ip is required");
  return policy !== undefined;
}

/** 0 if it is not set; given, it cannot be less than a millisecond. */
function atLeastOneMs(message: Duration | undefined, at: Place): number {
  const ms = durationMs(message, 0, at);
  const negative = message && (message.seconds < 0n || message.nanos < 0);
  if (message && ms === 0 && !negative) at.error("must be at least 1 ms");
  return ms;
}

export function encodeTcpProxy(config: TcpProxy): TcpProxyMessage {
  const message = create(TcpProxySchema, {
    statPrefix: config.statPrefix,
    clusterSpecifier: encodeCluster(config.cluster),
    idleTimeout: duration(config.idleTimeoutMs),
    maxConnectAttempts: config.maxConnectAttempts,
    accessLog: config.accessLogs.map(encodeAccessLog),
    hashPolicy: config.hashSourceIp ? [{ policySpecifier: { case: "sourceIp", value: {} } }] : [],
  });
  const { maxDownstreamConnectionDurationMs: longest, logOnConnected, logIntervalMs } = config;
  if (longest > 0) message.maxDownstreamConnectionDuration = duration(longest);
  if (logOnConnected || logIntervalMs > 0) {
    message.accessLogOptions = {
      $typeName: "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions",
      flushAccessLogOnConnected: logOnConnected,
      flushAccessLogOnStart: false,
      ...(logIntervalMs > 0 ? { accessLogFlushInterval: duration(logIntervalMs) } : {}),
    };
  }
  return message;
}

type Specifier = NonNullable<MessageInitShape<typeof TcpProxySchema>["clusterSpecifier"]>;

function encodeCluster(cluster: TcpProxy["cluster"]): Specifier {
  if (cluster.kind === "name") return { case: "cluster", value: cluster.name };
  return { case: "weightedClusters", value: { clusters: cluster.clusters.map((weighted) => ({ ...weighted })) } };
}
