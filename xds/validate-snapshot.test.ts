import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "../core/errors.ts";
import { BootstrapSchema } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import { RouteConfigurationSchema } from "../generated/envoy/config/route/v3/route_pb.js";
import type { RouteTable } from "../model/route.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { bootstrapCodec } from "./bootstrap.ts";
import { decodeRouteTable } from "./route.ts";
import {
  any,
  bootstrap,
  chain,
  cluster,
  host,
  type Json,
  listener,
  named,
  route,
  table,
  withChains,
  withHcm,
} from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";
import { type SnapshotSurroundings, validateSnapshot } from "./validate-snapshot.ts";

const ALONE: SnapshotSurroundings = { ads: false, workloadIdentity: false, root: "" };

const snapshot = (json: Json): Snapshot =>
  accepted(decodeJson(BootstrapSchema, json, bootstrapCodec.decode)).value.static;
const problems = (given: Snapshot, surroundings: Partial<SnapshotSurroundings> = {}): string[] =>
  validateSnapshot(given, { ...ALONE, ...surroundings }).map(formatProblem);

const ads = { ads: {}, resource_api_version: "V3" };
const through = (name: string): Json => ({
  resource_api_version: "V3",
  api_config_source: {
    api_type: "GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: name } }],
  },
});
const fetched = (source: Json): Snapshot =>
  snapshot(withHcm({ route_config: undefined, rds: { route_config_name: "r", config_source: source } }));
const unknownCluster = (fields: Json = {}): RouteTable =>
  accepted(
    decodeJson(
      RouteConfigurationSchema,
      table({ virtual_hosts: [host({ routes: [route({ route: { cluster: "z" } })] })], ...fields }),
      decodeRouteTable,
    ),
  ).value;
const withTables = (...tables: readonly RouteTable[]): Snapshot => ({
  ...snapshot(bootstrap(listener())),
  routes: new Map(tables.map((one) => [one.name, one])),
});

test("a whole snapshot has no problems", () => {
  assert.deepEqual(problems(snapshot(bootstrap(listener()))), []);
});

test("a table fetched by name may name clusters that are still to come, unless it says otherwise", () => {
  assert.deepEqual(problems(withTables(unknownCluster())), []);
  assert.deepEqual(problems(withTables(unknownCluster({ validate_clusters: true }))), [
    'route configuration "r": virtual_hosts[0].routes[0].route.cluster: there is no cluster "z"',
  ]);
});

test("a TCP proxy may name clusters that are not there, as in Envoy", () => {
  const tcp = any("extensions.filters.network.tcp_proxy.v3.TcpProxy", { stat_prefix: "t", cluster: "z" });
  assert.deepEqual(problems(snapshot(withChains(chain([named("t", tcp)])))), []);
});

test("routes that can come from nowhere are missing", () => {
  assert.deepEqual(problems(fetched(ads)), [
    'listener "l": filter_chains[0].filters[0].typed_config.rds: routes "r" cannot come: there is no ADS stream',
  ]);
  assert.deepEqual(problems(fetched(ads), { ads: true }), []);
  assert.deepEqual(problems({ ...fetched(ads), routes: new Map([["r", unknownCluster()]]) }), []);
});

test("what is fetched over gRPC needs a cluster that has its endpoints already", () => {
  assert.deepEqual(problems(fetched(through("c"))), []);
  assert.match(problems(fetched(through("z"))).join(), /there is no cluster "z"/);
  const eds = { name: "e", type: "EDS", eds_cluster_config: { eds_config: through("e") } };
  const self = snapshot({ static_resources: { clusters: [cluster, eds] } });
  assert.deepEqual(problems(self), [
    'cluster "e": eds_cluster_config: endpoints "e" cannot come through "e", an EDS cluster',
  ]);
});

test("endpoints that are there need no source", () => {
  const eds = { name: "e", type: "EDS", eds_cluster_config: { eds_config: ads, service_name: "s" } };
  const given = snapshot({ static_resources: { clusters: [eds] } });
  assert.match(problems(given).join(), /endpoints "s" cannot come/);
  const endpoints = new Map([["s", { name: "s", localities: [], overprovisioningFactor: 140 }]]);
  assert.deepEqual(problems({ ...given, endpoints }), []);
});

test("the workload's own secrets come from its CA, where it has one", () => {
  const tls = any("extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
    common_tls_context: { tls_certificate_sds_secret_configs: [{ name: "default" }] },
  });
  const given = snapshot(withChains(chain(undefined, { transport_socket: named("tls", tls) })));
  assert.deepEqual(problems(given), [
    'listener "l": filter_chains[0].transport_socket.typed_config.common_tls_context: there is no secret "default"',
  ]);
  assert.deepEqual(problems(given, { workloadIdentity: true }), []);
});

test("paths of a bootstrap's resources begin at its root", () => {
  const given = snapshot(bootstrap(listener({ name: "a" }), listener({ name: "b", default_filter_chain: chain() })));
  const broken = { ...given, clusters: new Map() };
  assert.deepEqual(
    validateSnapshot(broken, { ...ALONE, root: "static_resources" }).map(({ path }) => path),
    [
      "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster",
      "static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster",
      "static_resources.listeners[1].default_filter_chain.filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster",
    ],
  );
});
