/** Resources in the shapes in which a mesh control plane sends what interception needs: all of it is understood. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../generated/envoy/config/listener/v3/listener_pb.js";
import { clusterCodec } from "./cluster.ts";
import { decodeListener } from "./listener.ts";
import { any, httpOptions, type Json, named } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";

const typedStruct = (type: string): Json => ({
  "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
  type_url: `type.googleapis.com/${type}`,
  value: { protocol: "istio-peer-exchange" },
});

const METADATA_EXCHANGE = named("exchange", typedStruct("envoy.tcp.metadataexchange.config.MetadataExchange"));
const STATS = named("stats", {
  "@type": "type.googleapis.com/stats.PluginConfig",
});

const accessLog = (fields: Json = {}): Json => ({
  ...named(
    "envoy.access_loggers.file",
    any("extensions.access_loggers.file.v3.FileAccessLog", {
      path: "/dev/stdout",
      log_format: { text_format_source: { inline_string: "%START_TIME% %RESPONSE_FLAGS% %UPSTREAM_HOST%\n" } },
    }),
  ),
  ...fields,
});

const NO_ROUTE = accessLog({ filter: { response_flag_filter: { flags: ["NR"] } } });

const tcpProxy = (cluster: string): Json =>
  named(
    "envoy.filters.network.tcp_proxy",
    any("extensions.filters.network.tcp_proxy.v3.TcpProxy", {
      stat_prefix: cluster,
      cluster,
      idle_timeout: "3600s",
      access_log: [accessLog()],
      hash_policy: [{ source_ip: {} }],
    }),
  );

const inspector = (kind: "tls" | "http", fields: Json = {}): Json => {
  const type = kind === "tls" ? "TlsInspector" : "HttpInspector";
  return {
    ...named(
      `envoy.filters.listener.${kind}_inspector`,
      any(`extensions.filters.listener.${kind}_inspector.v3.${type}`),
    ),
    ...fields,
  };
};

const ORIGINAL_DST = named(
  "envoy.filters.listener.original_dst",
  any("extensions.filters.listener.original_dst.v3.OriginalDst"),
);

const ports = (start: number): Json => ({ destination_port_range: { start, end: start + 1 } });

const at = (address: string, port_value: number): Json => ({ socket_address: { address, port_value } });

const listenerOf = (fields: Json) => accepted(decodeJson(ListenerSchema, fields, decodeListener));
const clusterOf = (fields: Json) => accepted(decodeJson(ClusterSchema, fields, clusterCodec.decode));

test("the listener that outbound connections are led to", () => {
  const { value, notes } = listenerOf({
    name: "virtualOutbound",
    address: at("0.0.0.0", 15001),
    additional_addresses: [{ address: at("::", 15001) }],
    use_original_dst: true,
    traffic_direction: "OUTBOUND",
    max_connections_to_accept_per_socket_event: 1,
    access_log: [NO_ROUTE],
    filter_chains: [
      {
        name: "virtualOutbound-blackhole",
        filter_chain_match: { destination_port: 15001 },
        filters: [STATS, tcpProxy("BlackHoleCluster")],
      },
    ],
    default_filter_chain: { name: "virtualOutbound-catchall-tcp", filters: [STATS, tcpProxy("PassthroughCluster")] },
  });
  assert.equal(value.useOriginalDst, true);
  assert.deepEqual(
    value.defaultFilterChain?.filters.map(({ kind }) => kind),
    ["tcp_proxy"],
  );
  assert.deepEqual(notes.map((note) => note.replace(/: ignored.*/, "")).toSorted(), [
    "default_filter_chain.filters[0].typed_config",
    "filter_chains[0].filters[0].typed_config",
    "max_connections_to_accept_per_socket_event",
  ]);
});

test("the listener that inbound connections are led to", () => {
  const { value } = listenerOf({
    name: "virtualInbound",
    address: at("0.0.0.0", 15006),
    traffic_direction: "INBOUND",
    continue_on_listener_filters_timeout: true,
    listener_filters_timeout: "0s",
    access_log: [NO_ROUTE],
    listener_filters: [
      ORIGINAL_DST,
      inspector("tls", { filter_disabled: ports(3306) }),
      inspector("http", { filter_disabled: { or_match: { rules: [ports(3306), ports(5432)] } } }),
    ],
    filter_chains: [
      {
        name: "0.0.0.0_5432",
        filter_chain_match: { destination_port: 5432, transport_protocol: "raw_buffer" },
        filters: [
          METADATA_EXCHANGE,
          named("r", any("extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "tcp." })),
          tcpProxy("inbound|5432||"),
        ],
        metadata: { filter_metadata: { istio: {} } },
      },
    ],
    default_filter_chain: {
      name: "virtualInbound-catchall",
      filter_chain_match: {},
      filters: [METADATA_EXCHANGE, tcpProxy("InboundPassthroughCluster")],
      transport_socket_connect_timeout: "15s",
    },
  });
  assert.deepEqual(
    value.listenerFilters.map(({ kind, disabled }) => [kind, disabled?.kind ?? null]),
    [
      ["original_dst", null],
      ["tls_inspector", "ports"],
      ["http_inspector", "or"],
    ],
  );
  assert.equal(value.listenerFiltersTimeoutMs, 0);
  assert.deepEqual(
    value.filterChains[0]?.filters.map(({ kind }) => kind),
    ["rbac", "tcp_proxy"],
  );
});

test("a listener for the connections to one service, without a socket of its own", () => {
  const { value } = listenerOf({
    name: "10.0.0.1_5432",
    address: at("10.0.0.1", 5432),
    bind_to_port: false,
    traffic_direction: "OUTBOUND",
    listener_filters: [inspector("tls")],
    filter_chains: [
      {
        filter_chain_match: {
          server_names: ["*.example.org"],
          prefix_ranges: [{ address_prefix: "10.0.0.1", prefix_len: 32 }],
        },
        filters: [tcpProxy("outbound|443||a.example.org")],
      },
      { filters: [tcpProxy("outbound|5432||db")] },
    ],
  });
  assert.equal(value.bindToPort, false);
});

test("the clusters that interception needs", () => {
  const inbound = clusterOf({
    name: "InboundPassthroughCluster",
    type: "ORIGINAL_DST",
    connect_timeout: "10s",
    lb_policy: "CLUSTER_PROVIDED",
    cleanup_interval: "60s",
    circuit_breakers: { thresholds: [{ max_connections: 4294967295, track_remaining: true }] },
    typed_extension_protocol_options: httpOptions({
      common_http_protocol_options: { idle_timeout: "300s" },
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
    upstream_bind_config: {
      source_address: { address: "127.0.0.6", port_value: 0 },
      extra_source_addresses: [{ address: { address: "::6", port_value: 0 } }],
    },
    filters: [METADATA_EXCHANGE],
    metadata: { filter_metadata: { istio: { services: [] } } },
  });
  assert.deepEqual(inbound.value.discovery, { kind: "original_dst", cleanupIntervalMs: 60_000 });
  assert.deepEqual(inbound.value.lbPolicy, { kind: "cluster_provided" });
  assert.deepEqual(inbound.value.bindAddress, { kind: "tcp", host: "127.0.0.6", port: 0 });
  assert.deepEqual(inbound.value.extraBindAddresses, [{ kind: "tcp", host: "::6", port: 0 }]);
  assert.deepEqual(
    inbound.notes.map((note) => note.replace(/: ignored.*/, "")),
    ["circuit_breakers.thresholds[0].track_remaining", "filters[0]"],
  );
  const nowhere = clusterOf({ name: "BlackHoleCluster", type: "STATIC", connect_timeout: "10s" });
  assert.ok(nowhere.value.discovery.kind === "static" && nowhere.value.discovery.endpoints.localities.length === 0);
});
