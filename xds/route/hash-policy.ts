/** What a request is hashed by when the cluster balances by hash: `RouteAction.HashPolicy`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type RouteAction_HashPolicy,
  RouteAction_HashPolicySchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { HashPolicy } from "../../model/route.ts";
import { decodeHeaderName } from "../header-name.ts";
import type { Place } from "../place.ts";
import { duration, durationMs } from "../values.ts";

/** null where the policy has no effect (a connection hash that hashes nothing), or after an error. */
export function decodeHashPolicy(message: RouteAction_HashPolicy, at: Place): HashPolicy | null {
  const { policySpecifier: policy, terminal } = message;
  switch (policy.case) {
    case "header": {
      const name = decodeHeaderName(policy.value.headerName, at.field("header").field("header_name"), true);
      return { kind: "header", name, terminal };
    }
    case "cookie": {
      const { name, ttl, path } = policy.value;
      if (name === "") at.field("cookie").field("name").error("is required");
      return {
        kind: "cookie",
        name,
        ttlMs: durationMs(ttl, null, at.field("cookie").field("ttl")),
        path,
        terminal,
      };
    }
    case "connectionProperties":
      return policy.value.sourceIp ? { kind: "source_ip", terminal } : null;
    case "queryParameter":
      if (policy.value.name === "") at.field("query_parameter").field("name").error("is required");
      return { kind: "query", name: policy.value.name, terminal };
    default:
      at.error("one of header, cookie, connection_properties and query_parameter is required");
      return null;
  }
}

type PolicyInit = NonNullable<MessageInitShape<typeof RouteAction_HashPolicySchema>["policySpecifier"]>;

function policyInit(policy: HashPolicy): PolicyInit {
  switch (policy.kind) {
    case "header":
      return { case: "header", value: { headerName: policy.name } };
    case "cookie":
      return {
        case: "cookie",
        value: {
          name: policy.name,
          path: policy.path,
          ...(policy.ttlMs === null ? {} : { ttl: duration(policy.ttlMs) }),
        },
      };
    case "source_ip":
      return { case: "connectionProperties", value: { sourceIp: true } };
    case "query":
      return { case: "queryParameter", value: { name: policy.name } };
  }
}

export function encodeHashPolicy(policy: HashPolicy): RouteAction_HashPolicy {
  return create(RouteAction_HashPolicySchema, { policySpecifier: policyInit(policy), terminal: policy.terminal });
}
