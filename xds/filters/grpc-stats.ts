/** The filter that counts gRPC calls: `filters.http.grpc_stats.v3.FilterConfig`. */
import { create } from "@bufbuild/protobuf";
import { BoolValueSchema } from "@bufbuild/protobuf/wkt";
import type { GrpcMethodList } from "../../generated/envoy/config/core/v3/grpc_method_list_pb.js";
import {
  type FilterConfig,
  FilterConfigSchema,
} from "../../generated/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import type { GrpcStats } from "../../model/http.ts";
import type { Place } from "../place.ts";

export function decodeGrpcStats(message: FilterConfig, at: Place): GrpcStats {
  return {
    methods: decodeMethods(message.perMethodStatSpecifier, at),
    emitFilterState: message.emitFilterState,
    upstreamStats: message.enableUpstreamStats,
    replaceDots: message.replaceDotsInGrpcServiceName,
  };
}

function decodeMethods(methods: FilterConfig["perMethodStatSpecifier"], at: Place): GrpcStats["methods"] {
  switch (methods.case) {
    case "individualMethodStatsAllowlist":
      return decodeList(methods.value, at.field("individual_method_stats_allowlist"));
    case "statsForAllMethods":
      return methods.value.value ? "all" : "none";
    default:
      return "none";
  }
}

function decodeList(list: GrpcMethodList, at: Place): GrpcStats["methods"] {
  return list.services.map(({ name, methodNames }, i) => {
    const place = at.item("services", i);
    if (name === "") place.field("name").error("is required");
    if (methodNames.length === 0) place.field("method_names").error("must not be empty");
    return { service: name, methods: [...methodNames] };
  });
}

export function encodeGrpcStats(stats: GrpcStats): FilterConfig {
  return create(FilterConfigSchema, {
    emitFilterState: stats.emitFilterState,
    perMethodStatSpecifier: encodeMethods(stats.methods),
    enableUpstreamStats: stats.upstreamStats,
    replaceDotsInGrpcServiceName: stats.replaceDots,
  });
}

function encodeMethods(methods: GrpcStats["methods"]): FilterConfig["perMethodStatSpecifier"] {
  if (methods === "all" || methods === "none") {
    const value = create(BoolValueSchema, { value: methods === "all" });
    return { case: "statsForAllMethods", value };
  }
  return {
    case: "individualMethodStatsAllowlist",
    value: {
      $typeName: "envoy.config.core.v3.GrpcMethodList",
      services: methods.map(({ service, methods: methodNames }) => ({
        $typeName: "envoy.config.core.v3.GrpcMethodList.Service",
        name: service,
        methodNames: [...methodNames],
      })),
    },
  };
}
