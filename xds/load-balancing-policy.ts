/** The newer way to say how endpoints are chosen: `LoadBalancingPolicy` with one of the policies as an extension. */
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Cluster as ClusterMessage,
  Cluster_LbPolicy as LbPolicy,
  type LoadBalancingPolicy,
} from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import type { LocalityLbConfig } from "../generated/envoy/extensions/load_balancing_policies/common/v3/common_pb.js";
import { LeastRequestSchema } from "../generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { RandomSchema } from "../generated/envoy/extensions/load_balancing_policies/random/v3/random_pb.js";
import {
  RingHash_HashFunction as HashFunction,
  type RingHash,
  RingHashSchema,
} from "../generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js";
import { RoundRobinSchema } from "../generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import type { Cluster } from "../model/cluster.ts";
import { unpackExtension } from "./extension.ts";
import type { Place } from "./place.ts";
import { extensionType } from "./registry.ts";

export interface TypedBalancing {
  readonly policy: Cluster["lbPolicy"];
  readonly localityWeighted: boolean;
}

/** Envoy's defaults and limits. */
export const CHOICES = 2;
export const MIN_RING_SIZE = 1024;
export const MAX_RING_SIZE = 8_388_608;

const POLICIES = [RoundRobinSchema, LeastRequestSchema, RandomSchema, RingHashSchema] as const;

const NAMES: ReadonlySet<string> = new Set(POLICIES.map((schema) => schema.typeName));

/** What `load_balancing_policy` says; null: it is not given, and `lb_policy` counts. */
export function decodeTypedBalancing(cluster: ClusterMessage, at: Place): TypedBalancing | null {
  const place = at.field("load_balancing_policy");
  const message = cluster.loadBalancingPolicy;
  if (!message) {
    if (cluster.lbPolicy === LbPolicy.LOAD_BALANCING_POLICY_CONFIG) place.error("is required");
    return null;
  }
  const common = cluster.commonLbConfig?.localityConfigSpecifier.case;
  if (common !== undefined) at.field("common_lb_config").error("a locality setting belongs into load_balancing_policy");
  return decodePolicy(message, place);
}

/** The first that is understood, as in Envoy; where none is, the first one's error says so. */
function decodePolicy(message: LoadBalancingPolicy, at: Place): TypedBalancing {
  const known = message.policies.findIndex(({ typedExtensionConfig: config }) => isKnown(config?.typedConfig));
  const index = Math.max(0, known);
  const chosen = message.policies[index];
  if (!chosen) {
    at.field("policies").error("must not be empty");
    return { policy: { kind: "round_robin" }, localityWeighted: false };
  }
  const place = at.item("policies", index).field("typed_extension_config").field("typed_config");
  return decodeExtension(chosen.typedExtensionConfig?.typedConfig, place);
}

function isKnown(any: Any | undefined): boolean {
  const type = any && extensionType(any.typeUrl)?.typeName;
  return type !== undefined && NAMES.has(type);
}

function decodeExtension(any: Any | undefined, at: Place): TypedBalancing {
  const message = unpackExtension(any, POLICIES, at);
  switch (message?.$typeName) {
    case "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest": {
      const choiceCount = message.choiceCount ?? CHOICES;
      if (choiceCount < CHOICES) at.field("choice_count").error(`must be at least ${CHOICES}`);
      return { policy: { kind: "least_request", choiceCount }, localityWeighted: isWeighted(message.localityLbConfig) };
    }
    case "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash":
      return { policy: decodeRing(message, at), localityWeighted: message.localityWeightedLbConfig !== undefined };
    case "envoy.extensions.load_balancing_policies.random.v3.Random":
      return { policy: { kind: "random" }, localityWeighted: isWeighted(message.localityLbConfig) };
    default:
      return { policy: { kind: "round_robin" }, localityWeighted: isWeighted(message?.localityLbConfig) };
  }
}

function isWeighted(message: LocalityLbConfig | undefined): boolean {
  return message?.localityConfigSpecifier.case === "localityWeightedLbConfig";
}

function decodeRing(message: RingHash, at: Place): Cluster["lbPolicy"] {
  if (message.hashFunction === HashFunction.MURMUR_HASH_2) {
    at.field("hash_function").error("MURMUR_HASH_2 is not supported");
  }
  return ringOf(message.minimumRingSize, message.maximumRingSize, at);
}

/** A ring's size, checked. */
export function ringOf(minimum: bigint | undefined, maximum: bigint | undefined, at: Place): Cluster["lbPolicy"] {
  const minimumRingSize = Number(minimum ?? MIN_RING_SIZE);
  const maximumRingSize = Number(maximum ?? MAX_RING_SIZE);
  if (maximumRingSize > MAX_RING_SIZE) at.field("maximum_ring_size").error(`must be at most ${MAX_RING_SIZE}`);
  if (minimumRingSize > maximumRingSize) at.field("minimum_ring_size").error("must not be above maximum_ring_size");
  return { kind: "ring_hash", minimumRingSize, maximumRingSize };
}
