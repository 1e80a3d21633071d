/** TCP proxies, and clusters of original destinations, that load or do not. */
import { any, chain, hcm, type Json, named, withChains, withCluster } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const TCP = "extensions.filters.network.tcp_proxy.v3.TcpProxy";
const proxy = (fields: Json = {}, name = "t"): Json =>
  named(name, any(TCP, { stat_prefix: "t", cluster: "c", ...fields }));
const tcp = (fields: Json = {}): Json => withChains(chain([proxy(fields)]));
const weighted = (...clusters: readonly Json[]): Json => tcp({ cluster: undefined, weighted_clusters: { clusters } });
const logged = (fields: Json): Json => tcp({ access_log_options: fields });
const rules = named("a", any("extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "s" }));

export const TCP_CASES = cases(
  ["a cluster", tcp()],
  ["no prefix for statistics", tcp({ stat_prefix: undefined }), "stat_prefix", /is required/],
  ["no cluster", tcp({ cluster: undefined }), "typed_config", /one of cluster and weighted_clusters/],
  ["a cluster that is not there", tcp({ cluster: "none" })],
  ["a cluster without a name", tcp({ cluster: "" })],
  ["clusters by weight", weighted({ name: "c", weight: 1 }, { name: "none", weight: 4_294_967_295 })],
  ["one cluster twice", weighted({ name: "c", weight: 1 }, { name: "c", weight: 2 })],
  ["no clusters by weight", weighted(), "weighted_clusters.clusters", /must not be empty/],
  ["a weight of 0", weighted({ name: "c", weight: 0 }, { name: "c", weight: 1 }), "clusters[0].weight", /at least 1/],
  ["no weight", weighted({ name: "c" }), "clusters[0].weight", /at least 1/],
  ["a weight without a name", weighted({ weight: 1 }), "clusters[0].name", /is required/],
  ["tries", tcp({ max_connect_attempts: 3 })],
  ["no try", tcp({ max_connect_attempts: 0 }), "max_connect_attempts", /at least 1/],
  [
    "waits between tries",
    tcp({ backoff_options: { base_interval: "1s" } }),
    "backoff_options",
    /is not supported/,
    "tries follow at once",
  ],
  ["idle for ever", tcp({ idle_timeout: "0s" })],
  ["a negative idle time", tcp({ idle_timeout: "-1s" }), "idle_timeout", /must not be negative/],
  ["an age at which connections end", tcp({ max_downstream_connection_duration: "1s" })],
  ["an age of nothing", tcp({ max_downstream_connection_duration: "0s" }), "connection_duration", /at least 1 ms/],
  ["an age of half a millisecond", tcp({ max_downstream_connection_duration: "0.0005s" }), "duration", /at least 1 ms/],
  [
    "an age that varies",
    tcp({
      max_downstream_connection_duration: "1s",
      max_downstream_connection_duration_jitter_percentage: { value: 9 },
    }),
    "jitter_percentage",
    /is not supported/,
    "an option to come",
  ],
  ["lines while a connection lasts", logged({ access_log_flush_interval: "1s", flush_access_log_on_connected: true })],
  ["lines all the time", logged({ access_log_flush_interval: "0s" }), "access_log_flush_interval", /at least 1 ms/],
  [
    "a line at the start",
    logged({ flush_access_log_on_start: true }),
    "on_start",
    /is not supported/,
    "an option to come",
  ],
  ["lines by the deprecated fields", tcp({ access_log_flush_interval: "1s", flush_access_log_on_connected: true })],
  [
    "an interval by both",
    tcp({ access_log_flush_interval: "1s", access_log_options: {} }),
    "access_log_options",
    /not possible together/,
  ],
  [
    "a line by both",
    tcp({ flush_access_log_on_connected: true, access_log_options: {} }),
    "access_log_options",
    /not possible together/,
  ],
  ["a hash of the caller", tcp({ hash_policy: [{ source_ip: {} }] })],
  ["a hash of nothing", tcp({ hash_policy: [{}] }), "hash_policy[0]", /source_ip is required/],
  ["two hashes", tcp({ hash_policy: [{ source_ip: {} }, { source_ip: {} }] }), "hash_policy", /at most one/],
  [
    "a hash of the filter state",
    tcp({ hash_policy: [{ filter_state: { key: "k" } }] }),
    "filter_state",
    /is not supported/,
    "there is no filter state",
  ],
  ["a subset of endpoints", tcp({ metadata_match: { filter_metadata: { "envoy.lb": { a: "b" } } } })],
  [
    "a tunnel",
    tcp({ tunneling_config: { hostname: "a:1" } }),
    "tunneling_config",
    /is not supported/,
    "CONNECT is to come",
  ],
  ["a cluster on demand", tcp({ on_demand: {} }), "on_demand", /is not supported/, "clusters are fetched beforehand"],
  [
    "a connection made later",
    tcp({ upstream_connect_mode: "ON_DOWNSTREAM_DATA", max_early_data_bytes: 9 }),
    "upstream_connect_mode",
    /is not supported/,
    "an option to come",
  ],
  ["a connection made at once", tcp({ upstream_connect_mode: "IMMEDIATE" })],
  [
    "connections closed to drain",
    tcp({ check_drain_close: true }),
    "check_drain_close",
    /is not supported/,
    "an option to come",
  ],
  ["after access rules", withChains(chain([rules, proxy()]))],
  ["before access rules", withChains(chain([proxy(), rules])), "filters[0]", /TCP proxy must be the last/],
  ["twice", withChains(chain([proxy(), proxy({}, "u")])), "filters[0]", /TCP proxy must be the last/],
  ["after the HTTP manager", withChains(chain([named("h", hcm()), proxy()])), "filters[0]", /manager must be the last/],
  [
    "another terminal filter",
    withChains(chain([named("e", any("extensions.filters.network.echo.v3.Echo"))])),
    "typed_config",
    /echo.v3.Echo is not supported here/,
    "only HTTP and opaque bytes are served",
  ],
  [
    "the server name as the cluster",
    withChains(chain([named("s", any("extensions.filters.network.sni_cluster.v3.SniCluster")), proxy()])),
    "filters[0].typed_config",
    /SniCluster is not supported here/,
    "clusters are known beforehand",
  ],
);

const original = (fields: Json = {}): Json =>
  withCluster({ type: "ORIGINAL_DST", lb_policy: "CLUSTER_PROVIDED", load_assignment: undefined, ...fields });
const typedPolicy = (name: string): Json => ({
  policies: [
    { typed_extension_config: { name: "p", typed_config: any(`extensions.load_balancing_policies.${name}`) } },
  ],
});

export const ORIGINAL_DST_CASES = cases(
  ["the cluster's own choice", original()],
  ["by name", original({ type: undefined, cluster_type: { name: "envoy.cluster.original_dst" } })],
  ["round robin", original({ lb_policy: "ROUND_ROBIN" }), "lb_policy", /needs CLUSTER_PROVIDED/],
  ["no policy", original({ lb_policy: undefined }), "lb_policy", /needs CLUSTER_PROVIDED/],
  [
    "a typed policy",
    original({ load_balancing_policy: typedPolicy("round_robin.v3.RoundRobin") }),
    "load_balancing_policy",
    /needs CLUSTER_PROVIDED/,
  ],
  ["the own choice of another", withCluster({ lb_policy: "CLUSTER_PROVIDED" }), "lb_policy", /only for ORIGINAL_DST/],
  ["endpoints", original({ load_assignment: { cluster_name: "c" } }), "load_assignment", /has no meaning/],
  [
    "endpoints to be fetched",
    original({ eds_cluster_config: {} }),
    "eds_cluster_config",
    /only for clusters of type EDS/,
  ],
  ["time until endpoints are forgotten", original({ cleanup_interval: "1s" })],
  ["endpoints that are forgotten at once", original({ cleanup_interval: "0s" }), "cleanup_interval", /greater than 0/],
  ["time until endpoints of another are forgotten", withCluster({ cleanup_interval: "1s" })],
  [
    "the destination from a header",
    original({ original_dst_lb_config: { use_http_header: true } }),
    "original_dst_lb_config",
    /is not supported/,
    "a caller would choose where calls go",
  ],
);

const bound = (config: Json): Json => withCluster({ upstream_bind_config: config });
const from = (host: string): Json => ({ address: host, port_value: 0 });

export const BIND_CASES = cases(
  ["an address", bound({ source_address: from("127.0.0.6") })],
  ["an address of IPv6", bound({ source_address: from("::6") })],
  ["none", bound({})],
  ["a name", bound({ source_address: from("localhost") }), "source_address.address", /malformed IP address/],
  ["no port", bound({ source_address: { address: "127.0.0.6" } }), "port_value", /is required/],
  [
    "one of each version",
    bound({ source_address: from("127.0.0.6"), extra_source_addresses: [{ address: from("::6") }] }),
  ],
  [
    "one of each, by the deprecated field",
    bound({ source_address: from("::6"), additional_source_addresses: [from("127.0.0.6")] }),
  ],
  [
    "two of one version",
    bound({ source_address: from("127.0.0.6"), extra_source_addresses: [{ address: from("127.0.0.7") }] }),
    "extra_source_addresses[0].address",
    /of the other IP version/,
  ],
  [
    "three",
    bound({
      source_address: from("127.0.0.6"),
      extra_source_addresses: [{ address: from("::6") }, { address: from("::7") }],
    }),
    "extra_source_addresses[1].address",
    /more than one/,
  ],
  [
    "a further one alone",
    bound({ extra_source_addresses: [{ address: from("::6") }] }),
    "extra_source_addresses[0].address",
    /needs a source_address/,
  ],
  [
    "further ones by both fields",
    bound({
      source_address: from("127.0.0.6"),
      extra_source_addresses: [{ address: from("::6") }],
      additional_source_addresses: [from("::6")],
    }),
    "additional_source_addresses",
    /not possible together/,
  ],
  [
    "chosen by an extension",
    bound({
      source_address: from("127.0.0.6"),
      local_address_selector: named("s", any("config.upstream.local_address_selector.v3.DefaultLocalAddressSelector")),
    }),
    "local_address_selector",
    /is not supported/,
    "the address of the endpoint's IP version is taken",
  ],
);
