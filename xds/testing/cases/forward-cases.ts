/** Forwarding actions, weights and retry policies that load or do not. */
import { any, host, type Json, route, withForward, withHosts, withRoute, withTable } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const weights = (clusters: readonly Json[], fields: Json = {}): Json =>
  withRoute({ route: { weighted_clusters: { clusters, ...fields } } });
const retry = (fields: Json): Json => withForward({ retry_policy: { retry_on: "5xx", ...fields } });
const hash = (policy: Json): Json => withForward({ hash_policy: [policy] });
const PREVIOUS_HOSTS = any("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate");

const GRPC_RETRY = { retry_on: "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable" };

export const FORWARD_CASES = cases(
  ["no cluster", withRoute({ route: {} }), "routes[0].route", /one of cluster, cluster_header/],
  ["an empty cluster", withForward({ cluster: "" }), "route.cluster", /must not be empty/],
  ["an unknown cluster", withForward({ cluster: "z" }), "route.cluster", /there is no cluster "z"/],
  [
    "an unknown cluster where none is asked for",
    withTable({ validate_clusters: false, virtual_hosts: [host({ routes: [route({ route: { cluster: "z" } })] })] }),
  ],
  ["the cluster from a header", withRoute({ route: { cluster_header: ":method" } })],
  ["the cluster from a header without a name", withRoute({ route: { cluster_header: "" } }), "cluster_header", /empty/],
  [
    "two rewrites of the path",
    withForward({ prefix_rewrite: "/a", regex_rewrite: { pattern: { regex: "a" }, substitution: "b" } }),
    "routes[0].route",
    /only one of prefix_rewrite/,
  ],
  ["a bad expression", withForward({ regex_rewrite: { pattern: { regex: "(" } } }), "pattern.regex", /RE2/],
  [
    "a rewrite without a pattern",
    withForward({ regex_rewrite: { substitution: "b" } }),
    "regex_rewrite.pattern",
    /must be set/,
  ],
  [
    "a substitution of a group that is not there",
    withForward({ regex_rewrite: { pattern: { regex: "a" }, substitution: "\\5" } }),
  ],
  [
    "a line break in a substitution",
    withForward({ regex_rewrite: { pattern: { regex: "a" }, substitution: "a\nb" } }),
    "substitution",
    /must not contain/,
  ],
  ["a line break in a prefix", withForward({ prefix_rewrite: "/a\nb" }), "prefix_rewrite", /must not contain/],
  ["a line break in a host", withForward({ host_rewrite_literal: "a\n" }), "host_rewrite_literal", /must not contain/],
  ["an empty host", withForward({ host_rewrite_literal: "" })],
  [
    "two hosts",
    withForward({ host_rewrite_literal: "a", auto_host_rewrite: true }),
    "auto_host_rewrite",
    /only one of/,
  ],
  [
    "an unknown status for a missing cluster",
    withForward({ cluster_not_found_response_code: 5 }),
    "cluster_not_found_response_code",
    /expected one of/,
  ],
  ["a negative timeout", withForward({ timeout: "-1s" }), "route.timeout", /must not be negative/],
  ["a timeout of no time", withForward({ timeout: "0s" })],
  [
    "both limits for gRPC",
    withForward({ max_stream_duration: { grpc_timeout_header_max: "1s" }, max_grpc_timeout: "2s" }),
  ],
  [
    "an upgrade twice",
    withForward({ upgrade_configs: [{ upgrade_type: "websocket" }, { upgrade_type: "WebSocket" }] }),
    "upgrade_configs[1].upgrade_type",
    /twice/,
  ],
  [
    "the end of a tunnel",
    withForward({ upgrade_configs: [{ upgrade_type: "CONNECT", connect_config: {} }] }),
    "connect_config",
    /is not supported/,
    "tunnels are to come",
  ],
  [
    "a deadline of gRPC",
    withForward({ timeout: "5s", max_grpc_timeout: "2s", grpc_timeout_offset: "0.1s", retry_policy: GRPC_RETRY }),
  ],
  ["an upgrade to nothing", withForward({ upgrade_configs: [{}] }), "upgrade_type", /is required/],
  [
    "a mirror to an unknown cluster",
    withForward({ request_mirror_policies: [{ cluster: "z" }] }),
    "request_mirror_policies[0].cluster",
    /no cluster/,
  ],
  [
    "a table's mirror to an unknown cluster",
    withTable({ request_mirror_policies: [{ cluster: "z" }] }),
    "request_mirror_policies[0].cluster",
    /no cluster/,
  ],
  [
    "a virtual host's mirror to an unknown cluster",
    withHosts(host({ request_mirror_policies: [{ cluster: "z" }] })),
    "request_mirror_policies[0].cluster",
    /no cluster/,
  ],
  [
    "a mirror to nowhere",
    withForward({ request_mirror_policies: [{}] }),
    "request_mirror_policies[0].cluster",
    /is required/,
  ],
  ["a hash of nothing", hash({}), "hash_policy[0]", /one of header/],
  ["a hash of a header without a name", hash({ header: { header_name: "" } }), "header_name", /must not be empty/],
  ["a hash of a cookie without a name", hash({ cookie: { name: "" } }), "cookie.name", /is required/],
  [
    "a hash of a parameter without a name",
    hash({ query_parameter: { name: "" } }),
    "query_parameter.name",
    /is required/,
  ],
  ["a hash of no part of the connection", hash({ connection_properties: {} })],
);

export const WEIGHT_CASES = cases(
  [
    "weights",
    weights([
      { name: "c", weight: 1 },
      { name: "c", weight: 0 },
    ]),
  ],
  ["no clusters", weights([]), "weighted_clusters.clusters", /must not be empty/],
  ["weights that are all zero", weights([{ name: "c", weight: 0 }]), "weighted_clusters", /greater than 0/],
  ["no weight", weights([{ name: "c" }]), "clusters[0].weight", /is required/],
  [
    "weights beyond 32 bits",
    weights([
      { name: "c", weight: 4294967295 },
      { name: "c", weight: 1 },
    ]),
    "weighted_clusters",
    /not be greater than 4294967295/,
  ],
  ["a total that is not the sum", weights([{ name: "c", weight: 5 }], { total_weight: 10 })],
  ["no name", weights([{ weight: 5 }]), "clusters[0].name", /is required/],
  [
    "an unknown cluster",
    weights([
      { name: "c", weight: 5 },
      { name: "z", weight: 0 },
    ]),
    "clusters[1].name",
    /no cluster "z"/,
  ],
);

export const RETRY_CASES = cases(
  ["a condition that is none", retry({ retry_on: "foo,5xx" })],
  ["no conditions", retry({ retry_on: "" })],
  ["no retries", retry({ num_retries: 0 })],
  ["no base interval", retry({ retry_back_off: {} }), "base_interval", /is required/],
  ["a base interval of no time", retry({ retry_back_off: { base_interval: "0s" } }), "base_interval", /greater than 0/],
  ["a base interval under a millisecond", retry({ retry_back_off: { base_interval: "0.0001s" } })],
  [
    "a longest interval under the base",
    retry({ retry_back_off: { base_interval: "1s", max_interval: "0.5s" } }),
    "max_interval",
    /not be less than/,
  ],
  ["no headers to wait by", retry({ rate_limited_retry_back_off: {} }), "reset_headers", /must not be empty/],
  [
    "a header to wait by without a name",
    retry({ rate_limited_retry_back_off: { reset_headers: [{ name: "" }] } }),
    "reset_headers[0].name",
    /must not be empty/,
  ],
  ["a header to wait by", retry({ rate_limited_retry_back_off: { reset_headers: [{ name: "a" }] } })],
  [
    "a predicate without a type",
    retry({ retry_host_predicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }] }),
    "typed_config",
    /is required/,
  ],
  ["previous hosts", retry({ retry_host_predicate: [{ name: "x", typed_config: PREVIOUS_HOSTS }] })],
  ["a negative timeout", retry({ per_try_timeout: "-1s" }), "per_try_timeout", /must not be negative/],
  ["a try longer than the whole", retry({ per_try_timeout: "100s" })],
  [
    "a number of choices below zero",
    retry({ host_selection_retry_max_attempts: -1 }),
    "host_selection_retry_max_attempts",
    /from 0/,
    "Envoy takes it for a very large number",
  ],
);
