/** Access rules as a filter: for requests (`filters.http.rbac.v3`) and for connections (`filters.network.rbac.v3`). */
import { create } from "@bufbuild/protobuf";
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
  type RBACPerRoute,
  RBACPerRouteSchema,
} from "../../generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import {
  type RBAC as NetworkRbac,
  RBACSchema as NetworkRbacSchema,
} from "../../generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { RbacPolicy } from "../../model/rbac.ts";
import type { Place } from "../place.ts";
import { decodeRbacPolicy, encodeRbacPolicy } from "../rbac.ts";

interface RbacFilter {
  readonly statPrefix: string;
  readonly policy: RbacPolicy;
}

export function decodeHttpRbac(message: HttpRbac, at: Place): RbacFilter {
  return { statPrefix: message.rulesStatPrefix, policy: decodeRbacPolicy(message, "request", at) };
}

export function encodeHttpRbac(filter: RbacFilter): HttpRbac {
  return create(HttpRbacSchema, { rulesStatPrefix: filter.statPrefix, ...encodeRbacPolicy(filter.policy) });
}

/** null: no checks on this route. */
export function decodeRbacPerRoute(message: RBACPerRoute, at: Place): RbacPolicy | null {
  return message.rbac ? decodeRbacPolicy(message.rbac, "request", at.field("rbac")) : null;
}

export function encodeRbacPerRoute(policy: RbacPolicy | null): RBACPerRoute {
  return create(RBACPerRouteSchema, policy ? { rbac: encodeRbacPolicy(policy) } : {});
}

export function decodeNetworkRbac(message: NetworkRbac, at: Place): RbacFilter {
  if (message.statPrefix === "") at.field("stat_prefix").error("is required");
  return { statPrefix: message.statPrefix, policy: decodeRbacPolicy(message, "connection", at) };
}

export function encodeNetworkRbac(filter: RbacFilter): NetworkRbac {
  return create(NetworkRbacSchema, { statPrefix: filter.statPrefix, ...encodeRbacPolicy(filter.policy) });
}
