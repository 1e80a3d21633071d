/** The chain of HTTP filters of a connection manager; the router ends it. */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { CorsSchema } from "../../generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { FilterConfigSchema as GrpcStatsSchema } from "../../generated/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import { RBACSchema } from "../../generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RouterSchema } from "../../generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  type HttpFilter as HttpFilterMessage,
  HttpFilterSchema,
} from "../../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { HttpFilter } from "../../model/http.ts";
import { packAny } from "../any.ts";
import { extensionTypeOf, isHarmlessExtension, unpackExtension } from "../extension.ts";
import type { Place } from "../place.ts";
import { decodeFault, encodeFault } from "./fault.ts";
import { decodeGrpcStats, encodeGrpcStats } from "./grpc-stats.ts";
import { decodeHttpRbac, encodeHttpRbac } from "./rbac.ts";
import { decodeRouter, encodeRouter } from "./router.ts";

const FILTERS = [RouterSchema, RBACSchema, HTTPFaultSchema, CorsSchema, GrpcStatsSchema] as const;

/** The field `http_filters` of the message at `at`, without those that may be left out. */
export function decodeHttpFilters(messages: readonly HttpFilterMessage[], at: Place): HttpFilter[] {
  const filters: HttpFilter[] = [];
  messages.forEach((message, i) => {
    const place = at.item("http_filters", i);
    const filter = decodeFilter(message, place);
    if (!filter) return;
    const last = i === messages.length - 1;
    if (filter.kind === "router" && !last) place.error("the router must be the last HTTP filter");
    if (filter.kind !== "router" && last) place.error("the last HTTP filter must be the router");
    if (filter.kind === "router" && filter.disabled) place.field("disabled").error("the router cannot be disabled");
    filters.push(filter);
  });
  if (messages.length === 0) at.field("http_filters").error("must end with the router");
  return filters;
}

function decodeFilter(message: HttpFilterMessage, at: Place): HttpFilter | null {
  const { name, disabled } = message;
  if (name === "") at.field("name").error("is required");
  const config = message.configType.value;
  const place = at.field("typed_config");
  if (isHarmlessExtension(config, place)) return null;
  const type = config ? extensionTypeOf(config) : "";
  if (message.isOptional && !FILTERS.some((schema) => schema.typeName === type)) {
    place.note(`ignored: optional, and ${type || "a filter without a type"} is not supported`);
    return null;
  }
  const filter = unpackExtension(config, FILTERS, place);
  switch (filter?.$typeName) {
    case "envoy.extensions.filters.http.router.v3.Router":
      return { name, disabled, kind: "router", ...decodeRouter(filter) };
    case "envoy.extensions.filters.http.rbac.v3.RBAC":
      return { name, disabled, kind: "rbac", ...decodeHttpRbac(filter, place) };
    case "envoy.extensions.filters.http.fault.v3.HTTPFault":
      return { name, disabled, kind: "fault", policy: decodeFault(filter, place) };
    case "envoy.extensions.filters.http.cors.v3.Cors":
      return { name, disabled, kind: "cors" };
    case "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig":
      return { name, disabled, kind: "grpc_stats", stats: decodeGrpcStats(filter, place) };
    case undefined:
      return null;
  }
}

export function encodeHttpFilter(filter: HttpFilter): HttpFilterMessage {
  return create(HttpFilterSchema, {
    name: filter.name,
    disabled: filter.disabled,
    configType: { case: "typedConfig", value: encodeConfig(filter) },
  });
}

function encodeConfig(filter: HttpFilter): Any {
  switch (filter.kind) {
    case "router":
      return packAny(RouterSchema, encodeRouter(filter));
    case "rbac":
      return packAny(RBACSchema, encodeHttpRbac(filter));
    case "fault":
      return packAny(HTTPFaultSchema, encodeFault(filter.policy));
    case "cors":
      return packAny(CorsSchema, create(CorsSchema));
    case "grpc_stats":
      return packAny(GrpcStatsSchema, encodeGrpcStats(filter.stats));
  }
}
