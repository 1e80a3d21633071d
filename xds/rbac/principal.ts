/** Whom a policy is about: `config.rbac.v3.Principal`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Principal as PrincipalMessage, PrincipalSchema } from "../../generated/envoy/config/rbac/v3/rbac_pb.js";
import type { Principal } from "../../model/rbac.ts";
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

/** `scope`: whether there are requests to look at, or only connections. */
export function decodePrincipal(message: PrincipalMessage, scope: "connection" | "request", at: Place): Principal {
  const { identifier: id } = message;
  switch (id.case) {
    case "andIds":
    case "orIds": {
      const and = id.case === "andIds";
      const set = at.field(and ? "and_ids" : "or_ids");
      if (id.value.ids.length === 0) set.field("ids").error("must not be empty");
      const ids = id.value.ids.map((inner, i) => decodePrincipal(inner, scope, set.item("ids", i)));
      return { kind: and ? "and" : "or", ids };
    }
    case "any":
      if (!id.value) at.field("any").error("must be true");
      return { kind: "any" };
    case "authenticated": {
      const { principalName } = id.value;
      const place = at.field("authenticated").field("principal_name");
      return { kind: "authenticated", name: principalName ? decodeStringMatcher(principalName, place) : null };
    }
    // Deprecated; without PROXY protocol the connection's peer is the direct remote.
    case "sourceIp":
      return { kind: "direct_remote_ip", cidr: decodeCidr(id.value, at.field("source_ip")) };
    case "directRemoteIp":
      return { kind: "direct_remote_ip", cidr: decodeCidr(id.value, at.field("direct_remote_ip")) };
    case "remoteIp":
      return { kind: "remote_ip", cidr: decodeCidr(id.value, at.field("remote_ip")) };
    case "header":
      if (scope === "connection") at.field("header").error("the network filter has no headers to look at");
      return { kind: "header", header: decodeHeaderMatcher(id.value, at.field("header")) };
    case "urlPath":
      return { kind: "url_path", path: decodePathMatcher(id.value, at.field("url_path")) };
    case "notId":
      return { kind: "not", id: decodePrincipal(id.value, scope, at.field("not_id")) };
    default:
      at.error("a principal must say who it is");
      return { kind: "any" };
  }
}

type IdentifierInit = NonNullable<MessageInitShape<typeof PrincipalSchema>["identifier"]>;

export function encodePrincipal(principal: Principal): PrincipalMessage {
  return create(PrincipalSchema, { identifier: identifierInit(principal) });
}

function identifierInit(principal: Principal): IdentifierInit {
  switch (principal.kind) {
    case "any":
      return { case: "any", value: true };
    case "and":
    case "or":
      return {
        case: principal.kind === "and" ? "andIds" : "orIds",
        value: { ids: principal.ids.map(encodePrincipal) },
      };
    case "not":
      return { case: "notId", value: encodePrincipal(principal.id) };
    case "authenticated":
      return {
        case: "authenticated",
        value: principal.name ? { principalName: encodeStringMatcher(principal.name) } : {},
      };
    case "direct_remote_ip":
      return { case: "directRemoteIp", value: encodeCidr(principal.cidr) };
    case "remote_ip":
      return { case: "remoteIp", value: encodeCidr(principal.cidr) };
    case "header":
      return { case: "header", value: encodeHeaderMatcher(principal.header) };
    case "url_path":
      return { case: "urlPath", value: encodePathMatcher(principal.path) };
  }
}
