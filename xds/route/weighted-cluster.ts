/** Traffic split between clusters: `route.v3.WeightedCluster`. */
import { create } from "@bufbuild/protobuf";
import {
  type WeightedCluster_ClusterWeight,
  WeightedCluster_ClusterWeightSchema,
  type WeightedCluster as WeightedClusterMessage,
  WeightedClusterSchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { ForwardAction, WeightedCluster } from "../../model/route.ts";
import { decodeFilterOverrides, encodeFilterOverrides } from "../filters/override.ts";
import { decodeHeaderMutations, encodeHeaderMutations } from "../header-mutation.ts";
import { checkHeaderValue, decodeHeaderName } from "../header-name.ts";
import type { Place } from "../place.ts";

type Weighted = Extract<ForwardAction["cluster"], { kind: "weighted" }>;

const MAX_TOTAL = 0xffff_ffff;

export function decodeWeightedClusters(message: WeightedClusterMessage, at: Place): Weighted {
  if (message.clusters.length === 0) at.field("clusters").error("must not be empty");
  const clusters = message.clusters.map((cluster, i) => decodeWeighted(cluster, at.item("clusters", i)));
  const total = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  if (clusters.length > 0 && total === 0) at.error("the sum of the weights must be greater than 0");
  if (total > MAX_TOTAL) at.error(`the sum of the weights must not be greater than ${MAX_TOTAL}`);
  const { randomValueSpecifier: random } = message;
  return {
    kind: "weighted",
    clusters,
    headerName: random.case && random.value !== "" ? decodeHeaderName(random.value, at.field("header_name"), true) : "",
  };
}

function decodeWeighted(message: WeightedCluster_ClusterWeight, at: Place): WeightedCluster {
  if (message.name === "") at.field("name").error("is required");
  if (message.weight === undefined) at.field("weight").error("is required");
  const { hostRewriteSpecifier: host } = message;
  return {
    name: message.name,
    weight: message.weight ?? 0,
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, at),
    // An empty literal rewrites nothing, as in Envoy.
    hostRewrite: host.value ? checkHeaderValue(host.value, at.field("host_rewrite_literal")) : null,
    ...decodeHeaderMutations(message, at),
  };
}

export function encodeWeightedClusters(weighted: Weighted): WeightedClusterMessage {
  return create(WeightedClusterSchema, {
    clusters: weighted.clusters.map(encodeWeighted),
    randomValueSpecifier:
      weighted.headerName === "" ? { case: undefined } : { case: "headerName", value: weighted.headerName },
  });
}

function encodeWeighted(cluster: WeightedCluster): WeightedCluster_ClusterWeight {
  return create(WeightedCluster_ClusterWeightSchema, {
    name: cluster.name,
    weight: cluster.weight,
    typedPerFilterConfig: encodeFilterOverrides(cluster.filterOverrides),
    hostRewriteSpecifier:
      cluster.hostRewrite === null ? { case: undefined } : { case: "hostRewriteLiteral", value: cluster.hostRewrite },
    ...encodeHeaderMutations(cluster),
  });
}
