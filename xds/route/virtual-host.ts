/** The routes of a set of host names: `route.v3.VirtualHost`. */
import { create } from "@bufbuild/protobuf";
import {
  VirtualHost_TlsRequirementType as TlsRequirement,
  VirtualHost_TlsRequirementTypeSchema,
  type VirtualHost as VirtualHostMessage,
  VirtualHostSchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { VirtualHost } from "../../model/route.ts";
import { decodeFilterOverrides, encodeFilterOverrides } from "../filters/override.ts";
import { decodeHeaderMutations, encodeHeaderMutations } from "../header-mutation.ts";
import { checkHeaderValue } from "../header-name.ts";
import type { Place } from "../place.ts";
import { numberOf, wordOf } from "../values.ts";
import { decodeMirrors, encodeMirror } from "./mirror.ts";
import { decodeRetryPolicy, encodeRetryPolicy } from "./retry-policy.ts";
import { bufferLimitOf, decodeRoute, encodeRoute } from "./route.ts";

const TLS = {
  [TlsRequirement.NONE]: "none",
  [TlsRequirement.EXTERNAL_ONLY]: "external_only",
  [TlsRequirement.ALL]: "all",
} as const;

/** `maxBody`: the table's limit for bodies of direct responses, bytes. */
export function decodeVirtualHost(message: VirtualHostMessage, maxBody: number, at: Place): VirtualHost {
  if (message.name === "") at.field("name").error("is required");
  if (message.domains.length === 0) at.field("domains").error("must not be empty");
  return {
    name: message.name,
    domains: message.domains.map((domain, i) => checkHeaderValue(domain, at.item("domains", i)).toLowerCase()),
    routes: message.routes.map((route, i) => decodeRoute(route, maxBody, at.item("routes", i))),
    requireTls:
      wordOf(VirtualHost_TlsRequirementTypeSchema, message.requireTls, TLS, at.field("require_tls")) ?? "none",
    retryPolicy: message.retryPolicy ? decodeRetryPolicy(message.retryPolicy, at.field("retry_policy")) : null,
    includeRequestAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse,
    requestMirrors: decodeMirrors(message.requestMirrorPolicies, at),
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, at),
    ...bufferLimitOf(message),
    ...decodeHeaderMutations(message, at),
  };
}

export function encodeVirtualHost(host: VirtualHost): VirtualHostMessage {
  const message = create(VirtualHostSchema, {
    name: host.name,
    domains: [...host.domains],
    routes: host.routes.map(encodeRoute),
    requireTls: numberOf(TLS, host.requireTls),
    includeRequestAttemptCount: host.includeRequestAttemptCount,
    includeAttemptCountInResponse: host.includeAttemptCountInResponse,
    requestMirrorPolicies: host.requestMirrors.map(encodeMirror),
    typedPerFilterConfig: encodeFilterOverrides(host.filterOverrides),
    ...encodeHeaderMutations(host),
  });
  if (host.requestBufferLimitBytes !== undefined) message.perRequestBufferLimitBytes = host.requestBufferLimitBytes;
  if (host.retryPolicy) message.retryPolicy = encodeRetryPolicy(host.retryPolicy);
  return message;
}
