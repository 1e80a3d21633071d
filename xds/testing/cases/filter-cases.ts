/** HTTP filters, access rules, faults and per-route overrides that load or do not. */
import { any, chain, hcm, host, type Json, named, router, table, withChains, withHcm } from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const RBAC = "extensions.filters.http.rbac.v3.RBAC";
const fault = (fields: Json = {}): Json => named("fault", any("extensions.filters.http.fault.v3.HTTPFault", fields));
const filters = (...list: readonly Json[]): Json => withHcm({ http_filters: list });
const before = (...list: readonly Json[]): Json => filters(...list, router);
const ANY = [{ any: true }];
const grpcStats = (fields: Json): Json => named("g", any("extensions.filters.http.grpc_stats.v3.FilterConfig", fields));
const only = (...services: readonly Json[]): Json => ({ individual_method_stats_allowlist: { services } });
const policy = (permissions: readonly Json[], principals: readonly Json[]): Json => ({
  policies: { p: { permissions, principals } },
});
const rbac = (rules: Json): Json => named("rbac", any(RBAC, { rules }));
const allow = (permissions: readonly Json[], principals: readonly Json[] = ANY): Json =>
  before(rbac(policy(permissions, principals)));
const network = (permissions: readonly Json[], principals: readonly Json[] = ANY): Json =>
  withChains(
    chain([
      named(
        "rbac",
        any("extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "s", rules: policy(permissions, principals) }),
      ),
      named("http", hcm()),
    ]),
  );
const OPTIONAL_UNKNOWN = {
  name: "x",
  is_optional: true,
  typed_config: { "@type": "type.googleapis.com/google.protobuf.Struct" },
};

export const CHAIN_CASES = cases(
  ["no filters", filters(), "http_filters", /must end with the router/, "Envoy answers nothing then"],
  ["the router first", filters(router, fault()), "http_filters[0]", /must be the last/],
  ["the router twice", filters(router, router), "http_filters[0]", /must be the last/],
  ["no router", filters(fault()), "http_filters[0]", /must be the router/],
  ["the router disabled", filters({ ...router, disabled: true }), "http_filters[0].disabled", /cannot be disabled/],
  ["a filter disabled", before({ ...fault(), disabled: true })],
  ["two filters of one name", before(fault(), fault())],
  ["a filter without a name", before({ ...fault(), name: "" }), "http_filters[0].name", /is required/],
  ["a filter without a type", filters({ name: "envoy.filters.http.router" }), "typed_config", /is required/],
  ["an unknown filter that is optional", before(OPTIONAL_UNKNOWN)],
  ["an unknown filter", before({ ...OPTIONAL_UNKNOWN, is_optional: false }), "typed_config", /is not supported here/],
  ["gRPC calls counted", before(grpcStats({ stats_for_all_methods: true, emit_filter_state: true }))],
  ["some methods counted by name", before(grpcStats(only({ name: "a.B", method_names: ["C"] })))],
  ["no service counted", before(grpcStats(only()))],
  ["a service without a name", before(grpcStats(only({ method_names: ["C"] }))), "services[0].name", /is required/],
  ["a service without methods", before(grpcStats(only({ name: "a.B" }))), "method_names", /must not be empty/],
  [
    "gRPC of browsers",
    before(named("w", any("extensions.filters.http.grpc_web.v3.GrpcWeb"))),
    "typed_config",
    /GrpcWeb is not supported/,
    "gRPC is passed on as it is",
  ],
  [
    "gRPC made of HTTP/1.1",
    before(named("b", any("extensions.filters.http.grpc_http1_bridge.v3.Config"))),
    "typed_config",
    /grpc_http1_bridge.v3.Config is not supported/,
    "gRPC is passed on as it is",
  ],
  [
    "a filter that is still to come",
    before(named("c", any("extensions.filters.http.jwt_authn.v3.JwtAuthentication"))),
    "typed_config",
    /is not supported yet/,
    "a filter to come",
  ],
);

export const RBAC_CASES = cases(
  ["no rules", before(named("rbac", any(RBAC)))],
  ["no policies", before(rbac({ action: "DENY" }))],
  ["no permissions", allow([]), 'policies["p"].permissions', /must not be empty/],
  ["no principals", allow(ANY, []), 'policies["p"].principals', /must not be empty/],
  ["any that is false", allow([{ any: false }]), "permissions[0].any", /must be true/],
  ["a permission of nothing", allow([{}]), "permissions[0]", /must say what it is about/],
  ["all of no rules", allow([{ and_rules: { rules: [] } }]), "and_rules.rules", /must not be empty/],
  ["a port beyond all ports", allow([{ destination_port: 70000 }]), "destination_port", /at most 65535/],
  [
    "a range from high to low",
    allow([{ destination_port_range: { start: 5, end: 3 } }]),
    "destination_port_range",
    /must be less than/,
  ],
  [
    "a range of nothing",
    allow([{ destination_port_range: { start: 5, end: 5 } }]),
    "destination_port_range",
    /must be less than/,
  ],
  ["a range beyond all ports", allow([{ destination_port_range: { start: 5, end: 70000 } }]), "end", /from 1 to 65536/],
  ["a range below all ports", allow([{ destination_port_range: { start: -1, end: 7 } }]), "start", /from 0 to 65535/],
  ["a path without a pattern", allow([{ url_path: {} }]), "url_path", /path must be set/],
  [
    "an address that is none",
    allow(ANY, [{ remote_ip: { address_prefix: "x" } }]),
    "remote_ip.address_prefix",
    /malformed IP address/,
  ],
  ["any authenticated peer", allow(ANY, [{ authenticated: {} }])],
  ["the deprecated source address", allow(ANY, [{ source_ip: { address_prefix: "10.0.0.0", prefix_len: 8 } }])],
  ["an unknown action", before(rbac({ action: "MAYBE" })), "rules.action", /expected one of ALLOW/],
  ["connections: by port", network([{ destination_port: 80 }])],
  ["connections: by header", network([{ header: { name: "a" } }]), "permissions[0].header", /no headers/],
  [
    "connections: by header, deep down",
    network([{ not_rule: { and_rules: { rules: [{ header: { name: "a" } }] } } }]),
    "rules[0].header",
    /no headers/,
  ],
  ["connections: who, by header", network(ANY, [{ header: { name: "a" } }]), "principals[0].header", /no headers/],
);

export const FAULT_CASES = cases(
  ["no fault", before(fault())],
  ["a delay of no time", before(fault({ delay: { fixed_delay: "0s" } })), "delay.fixed_delay", /greater than 0/],
  ["a delay of nothing", before(fault({ delay: {} })), "typed_config.delay", /one of fixed_delay/],
  ["an abort with nothing", before(fault({ abort: {} })), "typed_config.abort", /one of http_status/],
  ["a status below 200", before(fault({ abort: { http_status: 100 } })), "http_status", /from 200 to 599/],
  ["a gRPC status that is none", before(fault({ abort: { grpc_status: 99 } }))],
  ["a share above the whole", before(fault({ delay: { fixed_delay: "1s", percentage: { numerator: 200 } } }))],
);

const override = (config: Json, name = "rbac"): Json =>
  withHcm({
    http_filters: [rbac({}), router],
    route_config: table({ virtual_hosts: [host({ typed_per_filter_config: { [name]: config } })] }),
  });
const PER_ROUTE = any("extensions.filters.http.rbac.v3.RBACPerRoute");
const wrapped = (fields: Json): Json => any("config.route.v3.FilterConfig", fields);
const STRUCT = { "@type": "type.googleapis.com/google.protobuf.Struct" };

export const OVERRIDE_CASES = cases(
  ["rules", override(PER_ROUTE)],
  ["rules for a filter that is not in the chain", override(PER_ROUTE, "other")],
  ["a fault", override(any("extensions.filters.http.fault.v3.HTTPFault"), "fault")],
  [
    "the router",
    override(any("extensions.filters.http.router.v3.Router"), "r"),
    'typed_per_filter_config["r"]',
    /not supported here/,
  ],
  ["an unknown type", override(STRUCT), 'typed_per_filter_config["rbac"]', /not supported here/],
  ["disabled", override(wrapped({ disabled: true }))],
  ["disabled, with a configuration", override(wrapped({ disabled: true, config: PER_ROUTE }))],
  ["wrapped", override(wrapped({ config: PER_ROUTE }))],
  ["wrapped twice", override(wrapped({ config: wrapped({ config: PER_ROUTE }) })), "config", /not supported here/],
  [
    "wrapped, with nothing inside",
    override(wrapped({})),
    'typed_per_filter_config["rbac"]',
    /must be disabled or have/,
  ],
  ["wrapped, unknown and optional", override(wrapped({ config: STRUCT, is_optional: true }))],
);
