/** Where a request is forwarded to and how: `route.v3.RouteAction`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RoutingPriority } from "../../generated/envoy/config/core/v3/base_pb.js";
import {
  RouteAction_ClusterNotFoundResponseCode as NotFoundCode,
  type RouteAction,
  RouteAction_ClusterNotFoundResponseCodeSchema,
  RouteAction_MaxStreamDurationSchema,
  RouteActionSchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { ForwardAction } from "../../model/route.ts";
import { checkHeaderValue, decodeHeaderName } from "../header-name.ts";
import { decodeRegexRewrite, encodeRegexRewrite } from "../matcher.ts";
import type { Place } from "../place.ts";
import { decodeUpgrades } from "../upgrade.ts";
import { duration, durationMs, numberOf, wordOf } from "../values.ts";
import { decodeHashPolicy, encodeHashPolicy } from "./hash-policy.ts";
import { decodeMirrors, encodeMirror } from "./mirror.ts";
import { decodeRetryPolicy, encodeRetryPolicy } from "./retry-policy.ts";
import { decodeWeightedClusters, encodeWeightedClusters } from "./weighted-cluster.ts";

const NOT_FOUND = {
  [NotFoundCode.SERVICE_UNAVAILABLE]: 503,
  [NotFoundCode.NOT_FOUND]: 404,
  [NotFoundCode.INTERNAL_SERVER_ERROR]: 500,
} as const;

export function decodeForward(message: RouteAction, at: Place): ForwardAction {
  if (message.prefixRewrite !== "" && message.regexRewrite) {
    at.error("only one of prefix_rewrite and regex_rewrite may be set");
  }
  const stream = message.maxStreamDuration;
  const streamAt = at.field("max_stream_duration");
  return {
    kind: "forward",
    cluster: decodeCluster(message, at),
    clusterNotFoundStatus:
      wordOf(
        RouteAction_ClusterNotFoundResponseCodeSchema,
        message.clusterNotFoundResponseCode,
        NOT_FOUND,
        at.field("cluster_not_found_response_code"),
      ) ?? 503,
    prefixRewrite:
      message.prefixRewrite === "" ? null : checkHeaderValue(message.prefixRewrite, at.field("prefix_rewrite")),
    regexRewrite: message.regexRewrite ? decodeRegexRewrite(message.regexRewrite, at.field("regex_rewrite")) : null,
    hostRewrite: decodeHostRewrite(message, at),
    appendXForwardedHost: message.appendXForwardedHost,
    timeoutMs: durationMs(message.timeout, null, at.field("timeout")),
    idleTimeoutMs: durationMs(message.idleTimeout, null, at.field("idle_timeout")),
    maxStreamDurationMs: durationMs(stream?.maxStreamDuration, null, streamAt.field("max_stream_duration")),
    maxGrpcTimeoutMs: durationMs(message.maxGrpcTimeout, null, at.field("max_grpc_timeout")),
    ...decodeGrpcTimeouts(message, at),
    retryPolicy: message.retryPolicy ? decodeRetryPolicy(message.retryPolicy, at.field("retry_policy")) : null,
    requestMirrors: decodeMirrors(message.requestMirrorPolicies, at),
    hashPolicies: message.hashPolicy
      .map((policy, i) => decodeHashPolicy(policy, at.item("hash_policy", i)))
      .filter((policy) => policy !== null),
    priority: message.priority === RoutingPriority.HIGH ? "high" : "default",
    upgrades: decodeUpgrades(message.upgradeConfigs, at),
  };
}

function decodeGrpcTimeouts(
  message: RouteAction,
  at: Place,
): Pick<ForwardAction, "grpcTimeoutOffsetMs" | "grpcStreamTimeout"> {
  const grpcTimeoutOffsetMs = durationMs(message.grpcTimeoutOffset, 0, at.field("grpc_timeout_offset"));
  const stream = message.maxStreamDuration;
  const place = at.field("max_stream_duration");
  const offsetMs = durationMs(stream?.grpcTimeoutHeaderOffset, 0, place.field("grpc_timeout_header_offset"));
  const maxMs = durationMs(stream?.grpcTimeoutHeaderMax, null, place.field("grpc_timeout_header_max"));
  return {
    ...(grpcTimeoutOffsetMs > 0 ? { grpcTimeoutOffsetMs } : {}),
    ...(maxMs === null ? {} : { grpcStreamTimeout: { maxMs, offsetMs } }),
  };
}

function decodeCluster(message: RouteAction, at: Place): ForwardAction["cluster"] {
  const { clusterSpecifier: cluster } = message;
  switch (cluster.case) {
    case "cluster":
      if (cluster.value === "") at.field("cluster").error("must not be empty");
      return { kind: "name", name: cluster.value };
    case "clusterHeader":
      return { kind: "header", header: decodeHeaderName(cluster.value, at.field("cluster_header"), true) };
    case "weightedClusters":
      return decodeWeightedClusters(cluster.value, at.field("weighted_clusters"));
    default:
      at.error("one of cluster, cluster_header and weighted_clusters is required");
      return { kind: "name", name: "" };
  }
}

/** An empty literal or header name rewrites nothing, as in Envoy. */
function decodeHostRewrite(message: RouteAction, at: Place): ForwardAction["hostRewrite"] {
  const { hostRewriteSpecifier: host } = message;
  switch (host.case) {
    case "hostRewriteLiteral":
      if (host.value === "") return { kind: "keep" };
      return { kind: "literal", value: checkHeaderValue(host.value, at.field("host_rewrite_literal")) };
    case "autoHostRewrite":
      return { kind: host.value.value ? "auto" : "keep" };
    case "hostRewriteHeader":
      if (host.value === "") return { kind: "keep" };
      return { kind: "header", header: decodeHeaderName(host.value, at.field("host_rewrite_header"), true) };
    case "hostRewritePathRegex":
      return { kind: "path_regex", rewrite: decodeRegexRewrite(host.value, at.field("host_rewrite_path_regex")) };
    default:
      return { kind: "keep" };
  }
}

type Init = MessageInitShape<typeof RouteActionSchema>;

function clusterInit(cluster: ForwardAction["cluster"]): NonNullable<Init["clusterSpecifier"]> {
  switch (cluster.kind) {
    case "name":
      return { case: "cluster", value: cluster.name };
    case "header":
      return { case: "clusterHeader", value: cluster.header };
    case "weighted":
      return { case: "weightedClusters", value: encodeWeightedClusters(cluster) };
  }
}

function hostInit(host: ForwardAction["hostRewrite"]): NonNullable<Init["hostRewriteSpecifier"]> {
  switch (host.kind) {
    case "keep":
      return { case: undefined };
    case "literal":
      return { case: "hostRewriteLiteral", value: host.value };
    case "auto":
      return { case: "autoHostRewrite", value: { value: true } };
    case "header":
      return { case: "hostRewriteHeader", value: host.header };
    case "path_regex":
      return { case: "hostRewritePathRegex", value: encodeRegexRewrite(host.rewrite) };
  }
}

export function encodeForward(action: ForwardAction): RouteAction {
  const message = create(RouteActionSchema, {
    clusterSpecifier: clusterInit(action.cluster),
    clusterNotFoundResponseCode: numberOf(NOT_FOUND, action.clusterNotFoundStatus),
    prefixRewrite: action.prefixRewrite ?? "",
    hostRewriteSpecifier: hostInit(action.hostRewrite),
    appendXForwardedHost: action.appendXForwardedHost,
    requestMirrorPolicies: action.requestMirrors.map(encodeMirror),
    hashPolicy: action.hashPolicies.map(encodeHashPolicy),
    priority: action.priority === "high" ? RoutingPriority.HIGH : RoutingPriority.DEFAULT,
    upgradeConfigs: action.upgrades.map(({ type, enabled }) => ({ upgradeType: type, enabled })),
  });
  if (action.regexRewrite) message.regexRewrite = encodeRegexRewrite(action.regexRewrite);
  if (action.timeoutMs !== null) message.timeout = duration(action.timeoutMs);
  if (action.idleTimeoutMs !== null) message.idleTimeout = duration(action.idleTimeoutMs);
  if (action.retryPolicy) message.retryPolicy = encodeRetryPolicy(action.retryPolicy);
  if (action.maxGrpcTimeoutMs !== null) message.maxGrpcTimeout = duration(action.maxGrpcTimeoutMs);
  if (action.grpcTimeoutOffsetMs !== undefined) message.grpcTimeoutOffset = duration(action.grpcTimeoutOffsetMs);
  const { maxStreamDurationMs, grpcStreamTimeout } = action;
  if (maxStreamDurationMs !== null || grpcStreamTimeout !== undefined) {
    const limit = create(RouteAction_MaxStreamDurationSchema);
    if (maxStreamDurationMs !== null) limit.maxStreamDuration = duration(maxStreamDurationMs);
    if (grpcStreamTimeout !== undefined) {
      limit.grpcTimeoutHeaderMax = duration(grpcStreamTimeout.maxMs);
      if (grpcStreamTimeout.offsetMs > 0) limit.grpcTimeoutHeaderOffset = duration(grpcStreamTimeout.offsetMs);
    }
    message.maxStreamDuration = limit;
  }
  return message;
}
