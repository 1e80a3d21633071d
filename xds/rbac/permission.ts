/** What a policy allows or denies: `config.rbac.v3.Permission`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Permission as PermissionMessage,
  PermissionSchema,
} from "../../generated/envoy/config/rbac/v3/rbac_pb.js";
import type { Int32Range } from "../../generated/envoy/type/v3/range_pb.js";
import type { Permission } from "../../model/rbac.ts";
import { decodeCidr, encodeCidr } from "../address.ts";
import {
  decodeHeaderMatcher,
  decodePathMatcher,
  decodeStringMatcher,
  encodeHeaderMatcher,
  encodePathMatcher,
  encodeStringMatcher,
} from "../matcher.ts";
import type { Place } from "../place.ts";

const MAX_PORT = 65_535;

/** `scope`: whether there are requests to look at, or only connections. */
export function decodePermission(message: PermissionMessage, scope: "connection" | "request", at: Place): Permission {
  const { rule } = message;
  switch (rule.case) {
    case "andRules":
    case "orRules": {
      const and = rule.case === "andRules";
      const set = at.field(and ? "and_rules" : "or_rules");
      if (rule.value.rules.length === 0) set.field("rules").error("must not be empty");
      const rules = rule.value.rules.map((inner, i) => decodePermission(inner, scope, set.item("rules", i)));
      return { kind: and ? "and" : "or", rules };
    }
    case "any":
      if (!rule.value) at.field("any").error("must be true");
      return { kind: "any" };
    case "header":
      if (scope === "connection") at.field("header").error("the network filter has no headers to look at");
      return { kind: "header", header: decodeHeaderMatcher(rule.value, at.field("header")) };
    case "urlPath":
      return { kind: "url_path", path: decodePathMatcher(rule.value, at.field("url_path")) };
    case "destinationIp":
      return { kind: "destination_ip", cidr: decodeCidr(rule.value, at.field("destination_ip")) };
    case "destinationPort":
      if (rule.value > MAX_PORT) at.field("destination_port").error(`must be at most ${MAX_PORT}, got ${rule.value}`);
      return { kind: "destination_port", port: rule.value };
    case "destinationPortRange":
      return decodePortRange(rule.value, at.field("destination_port_range"));
    case "notRule":
      return { kind: "not", rule: decodePermission(rule.value, scope, at.field("not_rule")) };
    case "requestedServerName":
      return {
        kind: "requested_server_name",
        match: decodeStringMatcher(rule.value, at.field("requested_server_name")),
      };
    default:
      at.error("a permission must say what it is about");
      return { kind: "any" };
  }
}

function decodePortRange({ start, end }: Int32Range, at: Place): Permission {
  if (start < 0 || start > MAX_PORT) at.field("start").error(`must be from 0 to ${MAX_PORT}, got ${start}`);
  // The end is not part of the range.
  if (end < 0 || end > MAX_PORT + 1) at.field("end").error(`must be from 1 to ${MAX_PORT + 1}, got ${end}`);
  if (start >= end) at.error(`the start, ${start}, must be less than the end, ${end}`);
  return { kind: "destination_port_range", start, end };
}

type RuleInit = NonNullable<MessageInitShape<typeof PermissionSchema>["rule"]>;

export function encodePermission(permission: Permission): PermissionMessage {
  return create(PermissionSchema, { rule: ruleInit(permission) });
}

function ruleInit(permission: Permission): RuleInit {
  switch (permission.kind) {
    case "any":
      return { case: "any", value: true };
    case "and":
    case "or":
      return {
        case: permission.kind === "and" ? "andRules" : "orRules",
        value: { rules: permission.rules.map(encodePermission) },
      };
    case "not":
      return { case: "notRule", value: encodePermission(permission.rule) };
    case "header":
      return { case: "header", value: encodeHeaderMatcher(permission.header) };
    case "url_path":
      return { case: "urlPath", value: encodePathMatcher(permission.path) };
    case "destination_ip":
      return { case: "destinationIp", value: encodeCidr(permission.cidr) };
    case "destination_port":
      return { case: "destinationPort", value: permission.port };
    case "destination_port_range":
      return { case: "destinationPortRange", value: { start: permission.start, end: permission.end } };
    case "requested_server_name":
      return { case: "requestedServerName", value: encodeStringMatcher(permission.match) };
  }
}
