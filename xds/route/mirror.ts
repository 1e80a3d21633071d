/** Copies of requests sent elsewhere: `RouteAction.RequestMirrorPolicy`. */
import { create } from "@bufbuild/protobuf";
import {
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { RequestMirror } from "../../model/route.ts";
import type { Place } from "../place.ts";
import { runtimeFraction, runtimeFractionOf } from "../values.ts";

/** The field `request_mirror_policies` of the message at `at`. */
export function decodeMirrors(policies: readonly RouteAction_RequestMirrorPolicy[], at: Place): RequestMirror[] {
  return policies.map((policy, i) => decodeMirror(policy, at.item("request_mirror_policies", i)));
}

function decodeMirror(policy: RouteAction_RequestMirrorPolicy, at: Place): RequestMirror {
  if (policy.cluster === "") at.field("cluster").error("is required");
  return {
    cluster: policy.cluster,
    fraction: policy.runtimeFraction ? runtimeFractionOf(policy.runtimeFraction, at.field("runtime_fraction")) : null,
    traceSampled: policy.traceSampled ?? null,
    disableShadowHostSuffix: policy.disableShadowHostSuffixAppend,
  };
}

export function encodeMirror(mirror: RequestMirror): RouteAction_RequestMirrorPolicy {
  const message = create(RouteAction_RequestMirrorPolicySchema, {
    cluster: mirror.cluster,
    disableShadowHostSuffixAppend: mirror.disableShadowHostSuffix,
  });
  if (mirror.fraction) message.runtimeFraction = runtimeFraction(mirror.fraction);
  if (mirror.traceSampled !== null) message.traceSampled = mirror.traceSampled;
  return message;
}
