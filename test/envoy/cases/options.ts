/** Switches of connection managers, routes and clusters that change an answer or what the upstream sees. */
import type { Area, Case, JsonObject, Step } from "../harness/case.ts";
import { ANY, filter, host, named, to } from "../harness/config.ts";
import { call, get, late, resets, respond } from "../harness/http.ts";

const redirect: JsonObject = { match: { path: "/away" }, redirect: { path_redirect: "/there" } };

const loopback: JsonObject = { cidr_ranges: [{ address_prefix: "127.0.0.0", prefix_len: 8 }] };
const edge: JsonObject = { use_remote_address: true, internal_address_config: loopback };
const inner: JsonObject = { internal_address_config: { cidr_ranges: [{ address_prefix: "10.0.0.0", prefix_len: 8 }] } };

/** What only internal callers may say. */
const asking = { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "1", "x-secret": "s" };

const internal: Case[] = [
  { name: "internal: the caller's address is", manager: edge, steps: get("/", asking) },
  {
    name: "internal: the caller's address is not",
    manager: { ...edge, internal_address_config: {} },
    steps: get("/", asking),
  },
  {
    name: "internal: not through another proxy",
    manager: edge,
    steps: get("/", { ...asking, "x-forwarded-for": "127.0.0.1" }),
  },
  {
    name: "internal: a request id is kept",
    manager: edge,
    steps: get("/", { "x-request-id": "0e56b7c0-c5cd-4d3e-8a3b-0d6f0d3f6b1a" }),
  },
  {
    name: "internal: nobody may say so himself",
    manager: edge,
    steps: get("/", { "x-envoy-internal": "true", "x-forwarded-for": "9.9.9.9" }),
  },
  {
    name: "internal: by x-forwarded-for",
    manager: inner,
    steps: get("/", { ...asking, "x-forwarded-for": "10.1.2.3" }),
  },
  {
    name: "internal: x-forwarded-for of two",
    manager: inner,
    steps: get("/", { ...asking, "x-forwarded-for": "10.1.2.3, 10.1.2.4" }),
  },
  { name: "internal: no x-forwarded-for", manager: inner, steps: get("/", asking) },
  {
    name: "internal: x-forwarded-for from elsewhere",
    manager: inner,
    steps: get("/", { ...asking, "x-forwarded-for": "9.9.9.9" }),
  },
  {
    name: "internal: its retries are obeyed",
    manager: edge,
    steps: get("/", { "x-envoy-retry-on": "5xx" }),
    answers: [respond(503), respond(200)],
  },
  {
    name: "internal: headers of the table's own",
    manager: edge,
    table: { internal_only_headers: ["x-secret"] },
    steps: get("/", asking),
  },
  {
    name: "external: headers of the table's own",
    manager: { use_remote_address: true },
    table: { internal_only_headers: ["x-secret"] },
    steps: get("/", asking),
  },
  {
    name: "internal: TLS is for others",
    manager: edge,
    virtualHost: { require_tls: "EXTERNAL_ONLY" },
    steps: get("/"),
  },
  {
    name: "external: TLS is required",
    manager: { use_remote_address: true },
    virtualHost: { require_tls: "EXTERNAL_ONLY" },
    steps: get("/"),
  },
];

const scheme = { scheme_header_transformation: { scheme_to_overwrite: "https" } };

const manager: Case[] = [
  { name: "scheme overwritten: upstream", manager: scheme, steps: get("/") },
  { name: "scheme overwritten: redirect", manager: scheme, routes: [redirect], steps: get("/away") },
  {
    name: "scheme overwritten: x-forwarded-proto",
    manager: scheme,
    steps: get("/", { "x-forwarded-proto": "http" }),
  },
  {
    name: "scheme overwritten at the edge",
    manager: { ...scheme, use_remote_address: true },
    steps: get("/"),
  },
  {
    name: "scheme overwritten: require_tls",
    manager: scheme,
    virtualHost: { require_tls: "ALL" },
    steps: get("/"),
  },
  ...["{host}.", "{host}.:80", "{host}", "."].map(
    (name): Case => ({
      name: `trailing dot stripped: ${name}`,
      manager: { strip_trailing_host_dot: true },
      steps: call("GET", "/", { host: name }),
    }),
  ),
  {
    name: "trailing dot and port stripped",
    manager: { strip_trailing_host_dot: true, strip_any_host_port: true },
    steps: call("GET", "/", { host: "{host}.:8080" }),
  },
  { name: "trailing dot left", steps: call("GET", "/", { host: "{host}." }) },
  ...["PURGE", "MKCOL", "MSEARCH", "M-SEARCH", "QUERY", "FOO", "get"].map(
    (method): Case => ({ name: `method ${method}`, steps: call(method, "/") }),
  ),
  { name: "method QUERY with a type", steps: call("QUERY", "/", { headers: { "content-type": "a/b" }, body: "q" }) },
  {
    name: "method FOO where methods are free",
    manager: { http_protocol_options: { allow_custom_methods: true } },
    steps: call("FOO", "/"),
  },
];

const compare = (op: string, value: number): JsonObject => ({
  comparison: { op, value: { default_value: value, runtime_key: "none" } },
});
const reply = (filter: JsonObject): JsonObject => ({
  local_reply_config: { mappers: [{ filter, status_code: 418 }] },
});
const status = (code: number): JsonObject => ({ match: ANY, direct_response: { status: code } });

const replies: Case[] = [
  {
    name: "replies: another status",
    manager: reply({ status_code_filter: compare("NE", 404) }),
    routes: [status(403)],
    steps: get("/"),
  },
  {
    name: "replies: that very status",
    manager: reply({ status_code_filter: compare("NE", 403) }),
    routes: [status(403)],
    steps: get("/"),
  },
  {
    name: "replies: slow ones",
    manager: reply({ duration_filter: compare("GE", 5000) }),
    routes: [status(403)],
    steps: get("/"),
  },
  {
    name: "replies: fast ones",
    manager: reply({ duration_filter: compare("LE", 5000) }),
    routes: [status(403)],
    steps: get("/"),
  },
  {
    name: "replies: no health checks",
    manager: reply({ not_health_check_filter: {} }),
    routes: [status(403)],
    steps: get("/"),
  },
];

const GRPC = { "content-type": "application/grpc" };
const grpc = (timeout: string): readonly Step[] =>
  call("POST", "/", { headers: { ...GRPC, "grpc-timeout": timeout }, body: "x" });

const stream = (fields: JsonObject): readonly JsonObject[] => [to(ANY, { max_stream_duration: fields })];

const retries = { retry_on: "5xx,reset", num_retries: 2, retry_back_off: { base_interval: "0.001s" } };
const limited = (route: JsonObject, virtualHost: JsonObject = {}): Partial<Case> => ({
  routes: [to(ANY, { retry_policy: retries }, route)],
  virtualHost,
  answers: [respond(503), respond(200)],
});
const post = (size: number): readonly Step[] => call("POST", "/", { body: "x".repeat(size) });

const callers = (fields: JsonObject): readonly JsonObject[] => [
  named("tls", { prefix: "/", tls_context: fields }),
  named("fallback", ANY),
];

const routes: Case[] = [
  {
    name: "grpc-timeout less an offset",
    routes: stream({ grpc_timeout_header_max: "5s", grpc_timeout_header_offset: "0.1s" }),
    steps: grpc("3S"),
  },
  {
    name: "grpc-timeout that the offset eats up",
    routes: stream({ grpc_timeout_header_max: "5s", grpc_timeout_header_offset: "4s" }),
    answers: [late(150, respond(200))],
    steps: grpc("3S"),
  },
  {
    name: "grpc-timeout of 0",
    routes: stream({ grpc_timeout_header_max: "5s" }),
    answers: [late(150, respond(200))],
    steps: grpc("0m"),
  },
  {
    name: "a cap for grpc-timeout, and no header",
    routes: stream({ grpc_timeout_header_max: "5s" }),
    steps: call("POST", "/", { headers: GRPC, body: "x" }),
  },
  {
    name: "grpc-timeout counts for other calls too",
    routes: stream({ grpc_timeout_header_max: "5s" }),
    answers: [late(300, respond(200))],
    steps: get("/", { "grpc-timeout": "100m" }),
  },
  {
    name: "a cap for other calls that name one",
    routes: stream({ grpc_timeout_header_max: "0.1s" }),
    answers: [late(300, respond(200))],
    steps: get("/", { "grpc-timeout": "3S" }),
  },
  { name: "grpc-timeout below its cap", routes: stream({ grpc_timeout_header_max: "5s" }), steps: grpc("3S") },
  {
    name: "max_grpc_timeout less an offset",
    routes: [to(ANY, { max_grpc_timeout: "5s", grpc_timeout_offset: "0.5s" })],
    steps: grpc("3S"),
  },
  {
    name: "max_grpc_timeout and an offset beyond it",
    routes: [to(ANY, { max_grpc_timeout: "5s", grpc_timeout_offset: "4s" })],
    steps: grpc("3S"),
  },
  {
    name: "buffer limit: small enough for a retry",
    ...limited({ per_request_buffer_limit_bytes: 100 }),
    steps: post(90),
  },
  { name: "buffer limit: just the limit", ...limited({ per_request_buffer_limit_bytes: 100 }), steps: post(100) },
  {
    name: "buffer limit: too large for a retry",
    ...limited({ per_request_buffer_limit_bytes: 100 }),
    steps: post(200),
  },
  {
    name: "buffer limit: too large after a reset",
    ...limited({ per_request_buffer_limit_bytes: 100 }),
    answers: [resets, respond(200)],
    steps: post(200),
  },
  { name: "buffer limit of 0", ...limited({ per_request_buffer_limit_bytes: 0 }), steps: post(1) },
  {
    name: "buffer limit of the virtual host",
    ...limited({}, { per_request_buffer_limit_bytes: 100 }),
    steps: post(200),
  },
  {
    name: "buffer limit of the route before its host's",
    ...limited({ per_request_buffer_limit_bytes: 1000 }, { per_request_buffer_limit_bytes: 100 }),
    steps: post(200),
  },
  { name: "caller's certificate: presented", routes: callers({ presented: true }), steps: get("/") },
  { name: "caller's certificate: none", routes: callers({ presented: false }), steps: get("/") },
  { name: "caller's certificate: validated", routes: callers({ validated: true }), steps: get("/") },
  {
    name: "rate limits without their filter",
    routes: [to(ANY, { rate_limits: [{ actions: [{ remote_address: {} }] }] })],
    steps: get("/"),
  },
];

const policy = (name: string, fields: JsonObject = {}): JsonObject => ({
  load_balancing_policy: {
    policies: [
      {
        typed_extension_config: {
          name,
          typed_config: {
            "@type": `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}`,
            ...fields,
          },
        },
      },
    ],
  },
});

const denial = filter("envoy.filters.http.rbac", "RBAC", { rules: { action: "ALLOW" } });
const abort = filter("envoy.filters.http.fault", "HTTPFault", {
  abort: { http_status: 418, percentage: { numerator: 100 } },
});
const marked = { response_headers_to_add: [{ header: { key: "x-route", value: "%RESPONSE_CODE%" } }] };

/** Whose local replies carry the response headers of their route. */
const early: Case[] = [
  { name: "headers of the route on a denial", filters: [denial], virtualHost: marked, steps: get("/") },
  {
    name: "headers of the route on a denial before other filters",
    filters: [denial, abort],
    virtualHost: marked,
    steps: get("/"),
  },
  { name: "headers of the route on an aborted call", filters: [abort], virtualHost: marked, steps: get("/") },
  ...[denial, abort].map(
    (stage, index): Case => ({
      name: `headers of a route that answers itself, before it does (${index})`,
      filters: [stage],
      virtualHost: marked,
      routes: [status(200)],
      steps: get("/"),
    }),
  ),
  {
    name: "headers of the route on a refused upgrade",
    virtualHost: marked,
    steps: get("/", { connection: "upgrade", upgrade: "websocket" }),
  },
  {
    name: "headers of a route that redirects, before it does",
    filters: [denial],
    virtualHost: marked,
    routes: [redirect],
    steps: get("/away"),
  },
  {
    name: "headers of the route where nobody serves",
    virtualHost: marked,
    cluster: { load_assignment: { cluster_name: "{case}" } },
    steps: get("/"),
  },
];

const clusters: Case[] = [
  ...["round_robin.v3.RoundRobin", "random.v3.Random", "least_request.v3.LeastRequest", "ring_hash.v3.RingHash"].map(
    (name): Case => ({ name: `balancing by ${name}`, cluster: policy(name), steps: get("/") }),
  ),
  ...[false, true].map(
    (single): Case => ({
      name: `a typed DNS cluster, ${single ? "all addresses in one endpoint" : "each address an endpoint"}`,
      cluster: {
        type: null,
        cluster_type: {
          name: "envoy.cluster.dns",
          typed_config: {
            "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
            dns_lookup_family: "V4_ONLY",
            all_addresses_in_single_endpoint: single,
          },
        },
        load_assignment: {
          cluster_name: "{case}",
          endpoints: [{ lb_endpoints: [byName("localhost")] }],
        },
      },
      steps: get("/"),
    }),
  ),
  {
    name: "a cluster type by name",
    cluster: { type: null, cluster_type: { name: "envoy.cluster.static" } },
    steps: get("/"),
  },
];

function byName(name: string): JsonObject {
  const socketAddress = { address: name, port_value: "{port:up}" };
  return { ...host("up"), endpoint: { address: { socket_address: socketAddress } } };
}

export const options: Area = {
  name: "options",
  cases: [...internal, ...manager, ...replies, ...routes, ...early, ...clusters],
};
