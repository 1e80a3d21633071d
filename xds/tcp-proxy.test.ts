import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpProxySchema } from "../generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { TcpProxy } from "../model/tcp.ts";
import { decodeTcpProxy } from "./tcp-proxy.ts";
import type { Json } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";

const decoded = (fields: Json) => accepted(decodeJson(TcpProxySchema, { stat_prefix: "s", ...fields }, decodeTcpProxy));
const value = (fields: Json): TcpProxy => decoded(fields).value;

test("what is not given has Envoy's defaults", () => {
  assert.deepEqual(value({ cluster: "c" }), {
    statPrefix: "s",
    cluster: { kind: "name", name: "c" },
    idleTimeoutMs: 3_600_000,
    maxConnectAttempts: 1,
    maxDownstreamConnectionDurationMs: 0,
    accessLogs: [],
    logOnConnected: false,
    logIntervalMs: 0,
    hashSourceIp: false,
  });
});

test("log options have deprecated spellings", () => {
  const options = { access_log_flush_interval: "2s", flush_access_log_on_connected: true };
  for (const fields of [options, { access_log_options: options }]) {
    const { logOnConnected, logIntervalMs } = value({ cluster: "c", ...fields });
    assert.deepEqual({ logOnConnected, logIntervalMs }, { logOnConnected: true, logIntervalMs: 2000 });
  }
});

test("the choice of endpoints by metadata is ignored, with its reason, as in routes", () => {
  const metadata_match = { filter_metadata: { "envoy.lb": { a: "b" } } };
  const weighted_clusters = { clusters: [{ name: "c", weight: 1, metadata_match }] };
  assert.deepEqual(decoded({ metadata_match, weighted_clusters }).notes, [
    "metadata_match: ignored: only for subset load balancing, which is refused",
    "weighted_clusters.clusters[0].metadata_match: ignored: only for subset load balancing, which is refused",
  ]);
});
