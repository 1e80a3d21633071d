import assert from "node:assert/strict";
import { test } from "node:test";
import { FilterConfigSchema } from "../../generated/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import type { GrpcStats } from "../../model/http.ts";
import type { Decoded } from "../place.ts";
import type { Json } from "../testing/bootstrap-json.ts";
import { accepted, decodeJson, refused } from "../testing/decode-json.ts";
import { decodeGrpcStats } from "./grpc-stats.ts";

const decode = (json: Json): Decoded<GrpcStats> => decodeJson(FilterConfigSchema, json, decodeGrpcStats);

test("without a word about methods none is counted by its name", () => {
  assert.deepEqual(accepted(decode({})).value, {
    methods: "none",
    emitFilterState: false,
    upstreamStats: false,
    replaceDots: false,
  });
  assert.equal(accepted(decode({ stats_for_all_methods: false })).value.methods, "none");
});

test("all methods, or some, are counted by name", () => {
  assert.deepEqual(
    accepted(
      decode({
        stats_for_all_methods: true,
        emit_filter_state: true,
        enable_upstream_stats: true,
        replace_dots_in_grpc_service_name: true,
      }),
    ).value,
    { methods: "all", emitFilterState: true, upstreamStats: true, replaceDots: true },
  );
  const services = [{ name: "shop.v1.Orders", method_names: ["Place", "Cancel"] }];
  assert.deepEqual(accepted(decode({ individual_method_stats_allowlist: { services } })).value.methods, [
    { service: "shop.v1.Orders", methods: ["Place", "Cancel"] },
  ]);
});

test("a list must name services and methods", () => {
  assert.deepEqual(refused(decode({ individual_method_stats_allowlist: { services: [{}] } })), [
    "individual_method_stats_allowlist.services[0].name: is required",
    "individual_method_stats_allowlist.services[0].method_names: must not be empty",
  ]);
});
