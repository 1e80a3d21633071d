/** Access rules and faults. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, filter, named, to, typed } from "../harness/config.ts";
import { call, get } from "../harness/http.ts";

const rbac = (fields: JsonObject): readonly JsonObject[] => [filter("envoy.filters.http.rbac", "RBAC", fields)];

const rules = (permission: JsonObject, principal: JsonObject = { any: true }, action = "ALLOW"): JsonObject => ({
  action,
  policies: { rule: { permissions: [permission], principals: [principal] } },
});
const allow = (permission: JsonObject, principal: JsonObject = { any: true }): readonly JsonObject[] =>
  rbac({ rules: rules(permission, principal) });

const path = (match: JsonObject): JsonObject => ({ url_path: { path: match } });
const header = (name: string, match: JsonObject): JsonObject => ({ header: { name, ...match } });

function pair(title: string, filters: readonly JsonObject[], yes: Case["steps"], no: Case["steps"]): Case[] {
  return [
    { name: `${title}: allowed`, filters, ...(yes === undefined ? {} : { steps: yes }) },
    { name: `${title}: denied`, filters, ...(no === undefined ? {} : { steps: no }) },
  ];
}

const access: Case[] = [
  ...pair("path prefix", allow(path({ prefix: "/open" })), get("/open/x?q"), get("/closed")),
  ...pair("exact path without the query", allow(path({ exact: "/a" })), get("/a?x=1"), get("/a/")),
  ...pair("path regex", allow(path({ safe_regex: { regex: "/[a-z]+" } })), get("/abc"), get("/ab1")),
  ...pair(
    "header",
    allow(header("x-role", { string_match: { exact: "admin" } })),
    get("/", { "x-role": "admin" }),
    get("/"),
  ),
  ...pair("method", allow(header(":method", { string_match: { exact: "GET" } })), get("/"), call("DELETE", "/")),
  ...pair(
    "and, or, not",
    allow({
      and_rules: {
        rules: [
          { or_rules: { rules: [path({ prefix: "/a" }), path({ prefix: "/b" })] } },
          { not_rule: header("x-bad", { present_match: true }) },
        ],
      },
    }),
    get("/b"),
    get("/a", { "x-bad": "1" }),
  ),
  ...pair(
    "principal header",
    allow({ any: true }, header("x-user", { string_match: { prefix: "ops-" } })),
    get("/", { "x-user": "ops-1" }),
    get("/", { "x-user": "dev-1" }),
  ),
  ...pair("principal path", allow({ any: true }, path({ suffix: ".json" })), get("/a.json?x"), get("/a.xml")),
  {
    name: "source address allowed",
    filters: allow({ any: true }, { direct_remote_ip: { address_prefix: "127.0.0.0", prefix_len: 8 } }),
    steps: get("/"),
  },
  {
    name: "source address denied",
    filters: allow({ any: true }, { direct_remote_ip: { address_prefix: "10.0.0.0", prefix_len: 8 } }),
    steps: get("/"),
  },
  {
    name: "forwarded address allowed",
    filters: allow({ any: true }, { remote_ip: { address_prefix: "9.9.9.9", prefix_len: 32 } }),
    steps: get("/", { "x-forwarded-for": "9.9.9.9" }),
  },
  {
    name: "destination port of another listener",
    filters: allow({ destination_port: 1 }),
    steps: get("/"),
  },
  {
    name: "authenticated without TLS",
    filters: allow({ any: true }, { authenticated: {} }),
    steps: get("/"),
  },
  { name: "no rules allow all", filters: rbac({}), steps: get("/") },
  { name: "no policies allow nothing", filters: rbac({ rules: { action: "ALLOW", policies: {} } }), steps: get("/") },
  {
    name: "deny rule that matches",
    filters: rbac({ rules: rules(path({ prefix: "/" }), { any: true }, "DENY") }),
    steps: get("/"),
  },
  {
    name: "deny rule that does not match",
    filters: rbac({ rules: rules(path({ prefix: "/x" }), { any: true }, "DENY") }),
    steps: get("/"),
  },
  { name: "log rule", filters: rbac({ rules: rules(path({ prefix: "/x" }), { any: true }, "LOG") }), steps: get("/") },
  { name: "shadow rule denies", filters: rbac({ shadow_rules: rules(path({ prefix: "/x" })) }), steps: get("/") },
  {
    name: "shadow rule allows what the rule denies",
    filters: rbac({ rules: rules(path({ prefix: "/x" })), shadow_rules: rules(path({ prefix: "/" })) }),
    steps: get("/"),
  },
  {
    name: "the first of several policies in order of name",
    filters: rbac({
      rules: {
        action: "DENY",
        policies: {
          zeta: { permissions: [{ any: true }], principals: [{ any: true }] },
          alpha: { permissions: [{ any: true }], principals: [{ any: true }] },
        },
      },
    }),
    steps: get("/"),
  },
  {
    name: "rules of the route",
    filters: allow(path({ prefix: "/nowhere" })),
    routes: [
      to(
        ANY,
        {},
        {
          typed_per_filter_config: {
            "envoy.filters.http.rbac": typed("RBACPerRoute", { rbac: { rules: rules({ any: true }) } }),
          },
        },
      ),
    ],
    steps: get("/"),
  },
  {
    name: "rules switched off by the virtual host",
    filters: allow(path({ prefix: "/nowhere" })),
    virtualHost: { typed_per_filter_config: { "envoy.filters.http.rbac": typed("RBACPerRoute") } },
    steps: get("/"),
  },
  {
    name: "filter disabled on the route",
    filters: allow(path({ prefix: "/nowhere" })),
    routes: [
      to(
        ANY,
        {},
        {
          typed_per_filter_config: { "envoy.filters.http.rbac": typed("FilterConfig", { disabled: true, config: {} }) },
        },
      ),
    ],
    steps: get("/"),
  },
  {
    name: "denied before a route is missed",
    filters: allow(path({ prefix: "/x" })),
    routes: [named("a", { prefix: "/a" })],
    steps: get("/b"),
  },
  { name: "denied HEAD", filters: allow(path({ prefix: "/x" })), steps: call("HEAD", "/") },
  { name: "denied POST", filters: allow(path({ prefix: "/x" })), steps: call("POST", "/", { body: "abc" }) },
  {
    name: "denied gRPC",
    filters: allow(path({ prefix: "/x" })),
    steps: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
  },
];

const ALWAYS = { numerator: 100, denominator: "HUNDRED" };
const NEVER = { numerator: 0, denominator: "HUNDRED" };
const fault = (fields: JsonObject): readonly JsonObject[] => [filter("envoy.filters.http.fault", "HTTPFault", fields)];

const faults: Case[] = [
  { name: "abort", filters: fault({ abort: { http_status: 409, percentage: ALWAYS } }), steps: get("/") },
  { name: "abort of nothing", filters: fault({ abort: { http_status: 409, percentage: NEVER } }), steps: get("/") },
  {
    name: "abort with a gRPC status",
    filters: fault({ abort: { grpc_status: 14, percentage: ALWAYS } }),
    steps: get("/"),
  },
  {
    name: "abort of gRPC",
    filters: fault({ abort: { grpc_status: 14, percentage: ALWAYS } }),
    steps: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
  },
  {
    name: "abort by header",
    filters: fault({ abort: { header_abort: {}, percentage: ALWAYS } }),
    steps: get("/", { "x-envoy-fault-abort-request": "503" }),
  },
  {
    name: "abort by header, none given",
    filters: fault({ abort: { header_abort: {}, percentage: ALWAYS } }),
    steps: get("/"),
  },
  {
    name: "abort by header, fewer than configured",
    filters: fault({ abort: { header_abort: {}, percentage: ALWAYS } }),
    steps: get("/", { "x-envoy-fault-abort-request": "503", "x-envoy-fault-abort-request-percentage": "0" }),
  },
  {
    name: "abort by header, gRPC",
    filters: fault({ abort: { header_abort: {}, percentage: ALWAYS } }),
    steps: get("/", { "x-envoy-fault-abort-grpc-request": "5" }),
  },
  { name: "delay", filters: fault({ delay: { fixed_delay: "0.1s", percentage: ALWAYS } }), steps: get("/") },
  {
    name: "delay by header",
    filters: fault({ delay: { header_delay: {}, percentage: ALWAYS } }),
    steps: get("/", { "x-envoy-fault-delay-request": "80" }),
  },
  {
    name: "delay and abort",
    filters: fault({
      delay: { fixed_delay: "0.05s", percentage: ALWAYS },
      abort: { http_status: 429, percentage: ALWAYS },
    }),
    steps: get("/"),
  },
  {
    name: "delay of a body",
    filters: fault({ delay: { fixed_delay: "0.08s", percentage: ALWAYS } }),
    steps: call("POST", "/", { body: "abc" }),
  },
  {
    name: "delay that the caller does not wait for",
    filters: fault({ delay: { fixed_delay: "0.4s", percentage: ALWAYS } }),
    steps: [{ send: "GET / HTTP/1.1\r\nhost: {host}\r\n\r\n" }, { waitMs: 60 }, { end: "close" }],
  },
  {
    name: "only for some headers",
    filters: fault({
      abort: { http_status: 409, percentage: ALWAYS },
      headers: [{ name: "x-fault", present_match: true }],
    }),
    steps: [...get("/"), ...get("/", { "x-fault": "1" })],
  },
  {
    name: "only for another cluster",
    filters: fault({ abort: { http_status: 409, percentage: ALWAYS }, upstream_cluster: "other" }),
    steps: get("/"),
  },
  {
    name: "only for this cluster",
    filters: fault({ abort: { http_status: 409, percentage: ALWAYS }, upstream_cluster: "up" }),
    steps: get("/"),
  },
  {
    name: "no more faults at once than none",
    filters: fault({ abort: { http_status: 409, percentage: ALWAYS }, max_active_faults: 0 }),
    steps: get("/"),
  },
  {
    name: "fault of the route",
    filters: fault({}),
    routes: [
      to(
        ANY,
        {},
        {
          typed_per_filter_config: {
            "envoy.filters.http.fault": typed("HTTPFault", { abort: { http_status: 429, percentage: ALWAYS } }),
          },
        },
      ),
    ],
    steps: get("/"),
  },
  {
    name: "route's response headers on an abort",
    filters: fault({ abort: { http_status: 409, percentage: ALWAYS } }),
    routes: [to(ANY, {}, { response_headers_to_add: [{ header: { key: "x-route", value: "1" } }] })],
    steps: get("/"),
  },
  {
    name: "fault where no route is",
    filters: fault({ abort: { http_status: 409, percentage: ALWAYS } }),
    routes: [named("a", { prefix: "/a" })],
    steps: get("/b"),
  },
];

export const filters: Area = {
  name: "filters",
  cases: [...access, ...faults],
};
