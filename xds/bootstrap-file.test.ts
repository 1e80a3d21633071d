import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "../core/errors.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import { decodeBootstrapText } from "./bootstrap-file.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

function load(text: string): Bootstrap {
  const decoded = decodeBootstrapText({ text, file: "envoy.yaml" }, NO_WORLD);
  assert.deepEqual(decoded.ok ? [] : decoded.problems.map(formatProblem), []);
  assert.ok(decoded.ok);
  return decoded.value;
}

function problems(text: string): string[] {
  const decoded = decodeBootstrapText({ text, file: "envoy.yaml" }, NO_WORLD);
  assert.ok(!decoded.ok);
  return decoded.problems.map(formatProblem);
}

const ASSIGNMENT = "{cluster_name: x, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: /x}}}}]}]}";

test("reads a bootstrap whose ADS cluster speaks HTTP/2", () => {
  const bootstrap = load(`
node: {id: me, cluster: c, locality: {zone: z}, metadata: {a: [1, b]}}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 15000}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds}, initial_metadata: [{key: k, value: v}]}]
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {path_config_source: {path: /lds.yaml}, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - {name: xds, http2_protocol_options: {}, load_assignment: ${ASSIGNMENT}}
`);
  assert.deepEqual(bootstrap.node, {
    id: "me",
    cluster: "c",
    locality: { region: "", zone: "z", subZone: "" },
    metadata: { a: [1, "b"] },
  });
  assert.deepEqual(bootstrap.admin, { address: { kind: "tcp", host: "127.0.0.1", port: 15_000 } });
  assert.deepEqual(bootstrap.dynamic, {
    ads: { variant: "delta", clusters: ["xds"], initialMetadata: [{ key: "k", value: "v" }] },
    clusters: { kind: "ads", initialFetchTimeoutMs: 15_000 },
    listeners: { kind: "file", path: "/lds.yaml", initialFetchTimeoutMs: 0 },
  });
  assert.equal(bootstrap.static.clusters.get("xds")?.http.protocol, "http2");
  assert.ok(Object.isFrozen(bootstrap.static.clusters.get("xds")));
});

test("errors of shape and of meaning come together, each with position, resource and path", () => {
  const text = `static_resources:
  clusters:
  - name: a
    lb_policy: BEST
    health_checks: []
  - name: b
    http2_protocol_options: {max_concurrent_streams: 0}
  - name: c
    lb_policy: MAGLEV
  - name: c
admin: {address: {}}
`;
  assert.deepEqual(problems(text), [
    'envoy.yaml:4:5: cluster "a": static_resources.clusters[0].lb_policy: expected one of ROUND_ROBIN, LEAST_REQUEST, ' +
      'RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG, got "BEST"',
    'envoy.yaml:5:5: cluster "a": static_resources.clusters[0].health_checks: is not supported',
    "envoy.yaml:11:9: admin.address: an address is required",
    'envoy.yaml:7:30: cluster "b": static_resources.clusters[1].http2_protocol_options.max_concurrent_streams: must be ' +
      "from 1 to 2147483647, got 0",
    'envoy.yaml:9:5: cluster "c": static_resources.clusters[2].lb_policy: MAGLEV is not supported',
    'envoy.yaml:10:5: cluster "c": static_resources.clusters[3].name: there is another cluster of this name',
  ]);
});

test("ADS must be configured where it is named, and zones are not known", () => {
  assert.deepEqual(problems("dynamic_resources: {cds_config: {ads: {}}}\ncluster_manager: {local_cluster_name: a}\n"), [
    "envoy.yaml:2:19: cluster_manager.local_cluster_name: zone-aware routing is not supported",
    "envoy.yaml:1:21: dynamic_resources.cds_config: names ADS, but ads_config is not set",
  ]);
});

test("static runtime layers are taken, Envoy's own switches and the admin layer noted", () => {
  const text = `layered_runtime:
  layers:
  - name: base
    static_layer: {routing: {share: 5}, envoy.reloadable_features.x: true}
  - {name: admin, admin_layer: {}}
`;
  const decoded = decodeBootstrapText({ text, file: "f" }, NO_WORLD);
  assert.deepEqual(decoded.notes.map(formatProblem), [
    "layered_runtime.layers[0].static_layer.envoy.reloadable_features.x: ignored: switches a feature of Envoy itself",
    "layered_runtime.layers[1].admin_layer: ignored: runtime values cannot be changed while running",
  ]);
  assert.deepEqual(problems("layered_runtime: {layers: [{name: d, static_layer: {}}, {name: d, static_layer: {}}]}"), [
    "envoy.yaml:1:58: layered_runtime.layers[1].name: there is another layer of this name",
  ]);
  assert.deepEqual(problems("layered_runtime: {layers: [{name: d, disk_layer: {}}]}"), [
    "envoy.yaml:1:38: layered_runtime.layers[0].disk_layer: is not supported",
  ]);
});
