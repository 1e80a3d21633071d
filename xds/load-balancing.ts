/** How a cluster chooses among its endpoints: the balancing fields of `Cluster` to the model and back. */
import { create } from "@bufbuild/protobuf";
import {
  type Cluster_CommonLbConfig,
  Cluster_CommonLbConfigSchema,
  Cluster_LbPolicySchema,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_RingHashLbConfigSchema,
  type Cluster as ClusterMessage,
  Cluster_RingHashLbConfig_HashFunction as HashFunction,
  Cluster_LbPolicy as LbPolicy,
} from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import type { Cluster, CommonLb } from "../model/cluster.ts";
import { CHOICES, decodeTypedBalancing, ringOf } from "./load-balancing-policy.ts";
import type { Place } from "./place.ts";
import { percent, percentOf, wordOf } from "./values.ts";

type Balancing = Cluster["lbPolicy"];

const PANIC_THRESHOLD = 50;

const POLICIES: Readonly<Record<number, Balancing["kind"]>> = {
  [LbPolicy.ROUND_ROBIN]: "round_robin",
  [LbPolicy.LEAST_REQUEST]: "least_request",
  [LbPolicy.RING_HASH]: "ring_hash",
  [LbPolicy.RANDOM]: "random",
  [LbPolicy.CLUSTER_PROVIDED]: "cluster_provided",
  // Reported where the policy that it announces is missing.
  [LbPolicy.LOAD_BALANCING_POLICY_CONFIG]: "round_robin",
};

/** Both fields that a typed policy speaks about. */
export function decodeBalancing(message: ClusterMessage, at: Place): Pick<Cluster, "lbPolicy" | "commonLb"> {
  const typed = decodeTypedBalancing(message, at);
  const commonLb = decodeCommonLb(message.commonLbConfig, at.field("common_lb_config"));
  if (!typed) return { lbPolicy: decodeLbPolicy(message, at), commonLb };
  return { lbPolicy: typed.policy, commonLb: { ...commonLb, localityWeighted: typed.localityWeighted } };
}

/** The policy with its settings; settings of another policy are not looked at, as in Envoy. */
function decodeLbPolicy(message: ClusterMessage, at: Place): Balancing {
  const kind = wordOf(Cluster_LbPolicySchema, message.lbPolicy, POLICIES, at.field("lb_policy")) ?? "round_robin";
  const config = message.lbConfig;
  if (kind === "least_request") {
    const choiceCount = (config.case === "leastRequestLbConfig" ? config.value.choiceCount : undefined) ?? CHOICES;
    if (choiceCount < CHOICES) at.field("least_request_lb_config.choice_count").error(`must be at least ${CHOICES}`);
    return { kind, choiceCount };
  }
  if (kind === "ring_hash") {
    const ring = config.case === "ringHashLbConfig" ? config.value : undefined;
    const place = at.field("ring_hash_lb_config");
    if (ring?.hashFunction === HashFunction.MURMUR_HASH_2) {
      place.field("hash_function").error("MURMUR_HASH_2 is not supported");
    }
    return ringOf(ring?.minimumRingSize, ring?.maximumRingSize, place);
  }
  return { kind };
}

export function encodeLbPolicy(
  policy: Balancing,
): Pick<ClusterMessage, "lbPolicy"> & Partial<Pick<ClusterMessage, "lbConfig">> {
  switch (policy.kind) {
    case "round_robin":
      return { lbPolicy: LbPolicy.ROUND_ROBIN };
    case "random":
      return { lbPolicy: LbPolicy.RANDOM };
    case "cluster_provided":
      return { lbPolicy: LbPolicy.CLUSTER_PROVIDED };
    case "least_request":
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        lbConfig: {
          case: "leastRequestLbConfig",
          value: create(Cluster_LeastRequestLbConfigSchema, { choiceCount: policy.choiceCount }),
        },
      };
    case "ring_hash":
      return {
        lbPolicy: LbPolicy.RING_HASH,
        lbConfig: {
          case: "ringHashLbConfig",
          value: create(Cluster_RingHashLbConfigSchema, {
            minimumRingSize: BigInt(policy.minimumRingSize),
            maximumRingSize: BigInt(policy.maximumRingSize),
          }),
        },
      };
  }
}

function decodeCommonLb(message: Cluster_CommonLbConfig | undefined, at: Place): CommonLb {
  if (message?.closeConnectionsOnHostSetChange) {
    at.field("close_connections_on_host_set_change").error("is not supported");
  }
  return {
    healthyPanicThreshold: percentOf(
      message?.healthyPanicThreshold,
      PANIC_THRESHOLD,
      at.field("healthy_panic_threshold"),
    ),
    localityWeighted: message?.localityConfigSpecifier.case === "localityWeightedLbConfig",
  };
}

export function encodeCommonLb(common: CommonLb): Cluster_CommonLbConfig {
  return create(Cluster_CommonLbConfigSchema, {
    healthyPanicThreshold: percent(common.healthyPanicThreshold),
    ...(common.localityWeighted ? { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } } : {}),
  });
}
