/** Cross-origin policies of routes: `filters.http.cors.v3.CorsPolicy`. */
import { create } from "@bufbuild/protobuf";
import {
  type CorsPolicy as CorsPolicyMessage,
  CorsPolicySchema,
} from "../../generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { CorsPolicy } from "../../model/cors.ts";
import { checkHeaderValue } from "../header-name.ts";
import { decodeStringMatcher, encodeStringMatcher } from "../matcher.ts";
import type { Place } from "../place.ts";
import { runtimeFraction, runtimeFractionOf } from "../values.ts";

export function decodeCors(message: CorsPolicyMessage, at: Place): CorsPolicy {
  return {
    allowOrigins: message.allowOriginStringMatch.map((matcher, i) =>
      decodeStringMatcher(matcher, at.item("allow_origin_string_match", i)),
    ),
    allowMethods: checkHeaderValue(message.allowMethods, at.field("allow_methods")),
    allowHeaders: checkHeaderValue(message.allowHeaders, at.field("allow_headers")),
    exposeHeaders: checkHeaderValue(message.exposeHeaders, at.field("expose_headers")),
    maxAge: checkHeaderValue(message.maxAge, at.field("max_age")),
    allowCredentials: message.allowCredentials ?? null,
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess ?? null,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights ?? null,
    enabled: message.filterEnabled ? runtimeFractionOf(message.filterEnabled, at.field("filter_enabled")) : null,
  };
}

export function encodeCors(policy: CorsPolicy): CorsPolicyMessage {
  const message = create(CorsPolicySchema, {
    allowOriginStringMatch: policy.allowOrigins.map(encodeStringMatcher),
    allowMethods: policy.allowMethods,
    allowHeaders: policy.allowHeaders,
    exposeHeaders: policy.exposeHeaders,
    maxAge: policy.maxAge,
  });
  const { allowCredentials, allowPrivateNetworkAccess, forwardNotMatchingPreflights, enabled } = policy;
  if (allowCredentials !== null) message.allowCredentials = allowCredentials;
  if (allowPrivateNetworkAccess !== null) message.allowPrivateNetworkAccess = allowPrivateNetworkAccess;
  if (forwardNotMatchingPreflights !== null) message.forwardNotMatchingPreflights = forwardNotMatchingPreflights;
  if (enabled) message.filterEnabled = runtimeFraction(enabled);
  return message;
}
