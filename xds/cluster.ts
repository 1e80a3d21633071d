/** A group of like upstream endpoints: `envoy.config.cluster.v3.Cluster` to the model and back. */
import { create } from "@bufbuild/protobuf";
import { type Cluster as ClusterMessage, ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import type { TcpKeepalive } from "../generated/envoy/config/core/v3/address_pb.js";
import { HttpProtocolOptionsSchema } from "../generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { Cluster } from "../model/cluster.ts";
import { packAny } from "./any.ts";
import { decodeBindConfig, encodeBindConfig } from "./bind-config.ts";
import { decodeCircuitBreakers, encodeCircuitBreakers } from "./circuit-breakers.ts";
import { decodeDiscovery, encodeDiscovery } from "./cluster-discovery.ts";
import { decodeClusterExtension, encodeClusterExtension } from "./cluster-extension.ts";
import type { Codec } from "./codec.ts";
import { decodeStrings } from "./endpoint.ts";
import { extensionTypeOf, isHarmlessExtension } from "./extension.ts";
import { decodeBalancing, encodeCommonLb, encodeLbPolicy } from "./load-balancing.ts";
import { encodeMetadata, OUTRIGGER } from "./metadata.ts";
import { decodeOutlierDetection, encodeOutlierDetection } from "./outlier-detection.ts";
import type { Place } from "./place.ts";
import { decodeUpstreamSocket, encodeUpstreamSocket } from "./transport-socket.ts";
import { decodeUpstreamHttp, encodeUpstreamHttp, HTTP_PROTOCOL_OPTIONS } from "./upstream-http.ts";
import { duration, positiveDurationMs } from "./values.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const BUFFER_LIMIT = 1024 * 1024;

export const clusterCodec: Codec<typeof ClusterSchema, Cluster> = {
  schema: ClusterSchema,
  label: "cluster",
  nameOf: (message) => message.name,
  decode: decodeCluster,
  encode: encodeCluster,
};

function decodeCluster(message: ClusterMessage, at: Place): Cluster {
  if (message.name === "") at.field("name").error("is required");
  refuseExtensions(message, at);
  const discovery = decodeDiscovery(message, at);
  const balancing = decodeBalancing(message, at);
  checkProvided(message, discovery, balancing.lbPolicy, at);
  const connectTimeoutMs = positiveDurationMs(message.connectTimeout, CONNECT_TIMEOUT_MS, at.field("connect_timeout"));
  return {
    name: message.name,
    discovery,
    connectTimeoutMs,
    ...balancing,
    limits: decodeCircuitBreakers(message.circuitBreakers, at.field("circuit_breakers")),
    outlierDetection: message.outlierDetection
      ? decodeOutlierDetection(message.outlierDetection, at.field("outlier_detection"))
      : null,
    tls: decodeUpstreamSocket(message.transportSocket, at.field("transport_socket")),
    tlsMatches: message.transportSocketMatches.map((match, i) => {
      const place = at.item("transport_socket_matches", i);
      if (match.name === "") place.field("name").error("is required");
      return {
        name: match.name,
        match: decodeStrings(match.match ?? {}, place.field("match")),
        tls: decodeUpstreamSocket(match.transportSocket, place.field("transport_socket")),
      };
    }),
    http: decodeUpstreamHttp(message, at),
    perConnectionBufferLimitBytes: message.perConnectionBufferLimitBytes ?? BUFFER_LIMIT,
    tcpKeepalive: decodeKeepalive(message.upstreamConnectionOptions?.tcpKeepalive),
    ...decodeBindConfig(message.upstreamBindConfig, at.field("upstream_bind_config")),
    outrigger: decodeClusterExtension(message.metadata, at.field("metadata")),
  };
}

/** An ORIGINAL_DST cluster chooses its endpoints itself, and no other does. */
function checkProvided(
  message: ClusterMessage,
  discovery: Cluster["discovery"],
  policy: Cluster["lbPolicy"],
  at: Place,
): void {
  const original = discovery.kind === "original_dst";
  if (message.cleanupInterval && !original)
    at.field("cleanup_interval").note("ignored: only for ORIGINAL_DST clusters");
  if (original === (policy.kind === "cluster_provided")) return;
  const place = at.field(message.loadBalancingPolicy ? "load_balancing_policy" : "lb_policy");
  place.error(
    original ? "an ORIGINAL_DST cluster needs CLUSTER_PROVIDED" : "CLUSTER_PROVIDED is only for ORIGINAL_DST clusters",
  );
}

function refuseExtensions(message: ClusterMessage, at: Place): void {
  for (const key of Object.keys(message.typedExtensionProtocolOptions)) {
    if (key !== HTTP_PROTOCOL_OPTIONS) at.entry("typed_extension_protocol_options", key).error("is not supported");
  }
  message.filters.forEach((filter, i) => {
    const place = at.item("filters", i);
    if (isHarmlessExtension(filter.typedConfig, place)) return;
    const type = filter.typedConfig ? extensionTypeOf(filter.typedConfig) : filter.name;
    place.error(`upstream filter ${type} is not supported`);
  });
}

function decodeKeepalive(message: TcpKeepalive | undefined): Cluster["tcpKeepalive"] {
  if (!message) return null;
  return {
    probes: message.keepaliveProbes ?? null,
    timeS: message.keepaliveTime ?? null,
    intervalS: message.keepaliveInterval ?? null,
  };
}

function encodeCluster(cluster: Cluster): ClusterMessage {
  const { outlierDetection, tls, tcpKeepalive, outrigger } = cluster;
  const message = create(ClusterSchema, {
    name: cluster.name,
    ...encodeDiscovery(cluster.discovery),
    connectTimeout: duration(cluster.connectTimeoutMs),
    ...encodeLbPolicy(cluster.lbPolicy),
    commonLbConfig: encodeCommonLb(cluster.commonLb),
    circuitBreakers: encodeCircuitBreakers(cluster.limits),
    transportSocketMatches: cluster.tlsMatches.map((item) => ({
      name: item.name,
      match: { ...item.match },
      transportSocket: encodeUpstreamSocket(item.tls),
    })),
    typedExtensionProtocolOptions: {
      [HTTP_PROTOCOL_OPTIONS]: packAny(HttpProtocolOptionsSchema, encodeUpstreamHttp(cluster.http)),
    },
    perConnectionBufferLimitBytes: cluster.perConnectionBufferLimitBytes,
  });
  if (outlierDetection) message.outlierDetection = encodeOutlierDetection(outlierDetection);
  if (tls) message.transportSocket = encodeUpstreamSocket(tls);
  if (tcpKeepalive) message.upstreamConnectionOptions = encodeKeepalive(tcpKeepalive);
  const bind = encodeBindConfig(cluster);
  if (bind) message.upstreamBindConfig = bind;
  const metadata = encodeMetadata({ [OUTRIGGER]: outrigger ? encodeClusterExtension(outrigger) : undefined });
  if (metadata) message.metadata = metadata;
  return message;
}

function encodeKeepalive({
  probes,
  timeS,
  intervalS,
}: NonNullable<Cluster["tcpKeepalive"]>): NonNullable<ClusterMessage["upstreamConnectionOptions"]> {
  return {
    $typeName: "envoy.config.cluster.v3.UpstreamConnectionOptions",
    setLocalInterfaceNameOnUpstreamConnections: false,
    tcpKeepalive: {
      $typeName: "envoy.config.core.v3.TcpKeepalive",
      ...(probes === null ? {} : { keepaliveProbes: probes }),
      ...(timeS === null ? {} : { keepaliveTime: timeS }),
      ...(intervalS === null ? {} : { keepaliveInterval: intervalS }),
    },
  };
}
