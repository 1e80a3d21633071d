/** Filters configured anew for a virtual host, a route or a weighted cluster: `typed_per_filter_config`. */
import { create, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type FilterConfig, FilterConfigSchema } from "../../generated/envoy/config/route/v3/route_components_pb.js";
import { CorsPolicySchema } from "../../generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { RBACPerRouteSchema } from "../../generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { FilterOverride } from "../../model/http.ts";
import { packAny } from "../any.ts";
import { extensionTypeOf, isHarmlessExtension, unpackExtension } from "../extension.ts";
import type { Place } from "../place.ts";
import { decodeCors, encodeCors } from "./cors.ts";
import { decodeFault, encodeFault } from "./fault.ts";
import { decodeRbacPerRoute, encodeRbacPerRoute } from "./rbac.ts";

const OVERRIDES = [RBACPerRouteSchema, HTTPFaultSchema, CorsPolicySchema] as const;
const OVERRIDES_OR_WRAPPER = [...OVERRIDES, FilterConfigSchema] as const;

type Overrides = Readonly<Record<string, FilterOverride>>;

/** The field `typed_per_filter_config` of the message at `at`, by the filter's name in the chain. */
export function decodeFilterOverrides(configs: { readonly [name: string]: Any }, at: Place): Overrides {
  const overrides = Object.keys(configs)
    .sort()
    .map((name) => [name, decodeAny(configs[name], at.entry("typed_per_filter_config", name))] as const);
  return Object.fromEntries(overrides.filter((entry): entry is readonly [string, FilterOverride] => entry[1] !== null));
}

function decodeAny(config: Any | undefined, at: Place): FilterOverride | null {
  if (isHarmlessExtension(config, at)) return null;
  const message = unpackExtension(config, OVERRIDES_OR_WRAPPER, at);
  if (!message) return null;
  return message.$typeName === "envoy.config.route.v3.FilterConfig"
    ? decodeWrapper(message, at)
    : decodeMessage(message, at);
}

/** `FilterConfig`: switches the filter off, or holds its configuration, which may be unknown if it is optional. */
function decodeWrapper(wrapper: FilterConfig, at: Place): FilterOverride | null {
  if (wrapper.disabled) return { kind: "disabled" };
  const { config } = wrapper;
  const place = at.field("config");
  if (!config) {
    at.error("must be disabled or have a config");
    return null;
  }
  if (isHarmlessExtension(config, place)) return null;
  const type = extensionTypeOf(config);
  if (wrapper.isOptional && !OVERRIDES.some((schema) => schema.typeName === type)) {
    place.note(`ignored: optional, and ${type} is not supported`);
    return null;
  }
  const message = unpackExtension(config, OVERRIDES, place);
  return message ? decodeMessage(message, place) : null;
}

function decodeMessage(message: MessageShape<(typeof OVERRIDES)[number]>, at: Place): FilterOverride {
  switch (message.$typeName) {
    case "envoy.extensions.filters.http.rbac.v3.RBACPerRoute":
      return { kind: "rbac", policy: decodeRbacPerRoute(message, at) };
    case "envoy.extensions.filters.http.fault.v3.HTTPFault":
      return { kind: "fault", policy: decodeFault(message, at) };
    case "envoy.extensions.filters.http.cors.v3.CorsPolicy":
      return { kind: "cors", policy: decodeCors(message, at) };
  }
}

export function encodeFilterOverrides(overrides: Overrides): Record<string, Any> {
  return Object.fromEntries(Object.entries(overrides).map(([name, override]) => [name, encodeOverride(override)]));
}

function encodeOverride(override: FilterOverride): Any {
  switch (override.kind) {
    case "rbac":
      return packAny(RBACPerRouteSchema, encodeRbacPerRoute(override.policy));
    case "fault":
      return packAny(HTTPFaultSchema, encodeFault(override.policy));
    case "cors":
      return packAny(CorsPolicySchema, encodeCors(override.policy));
    case "disabled":
      return packAny(FilterConfigSchema, create(FilterConfigSchema, { disabled: true }));
  }
}
