/** Which route a request takes: paths, headers, queries, methods, hosts, and which cluster of several. */
import type { Area, Case, JsonObject, Step } from "../harness/case.ts";
import { ANY, cluster, host, named, to } from "../harness/config.ts";
import { call, get, raw } from "../harness/http.ts";

const header = (name: string, match: JsonObject, more: JsonObject = {}): JsonObject => ({
  prefix: "/",
  headers: [{ name, ...match, ...more }],
});
const query = (name: string, match: JsonObject): JsonObject => ({
  prefix: "/",
  query_parameters: [{ name, ...match }],
});

const FALLBACK = named("fallback", ANY);

/** One case for each request, on the same routes. */
function each(
  title: string,
  routes: readonly JsonObject[],
  requests: Readonly<Record<string, readonly Step[]>>,
): Case[] {
  return Object.entries(requests).map(([name, steps]) => ({ name: `${title}: ${name}`, routes, steps }));
}

const paths: Case[] = [
  ...each("prefix", [named("a", { prefix: "/a" }), FALLBACK], {
    inside: get("/a/b"),
    "in the middle of a segment": get("/ab"),
    "other case": get("/A"),
    "with a query": get("/a?x=/b"),
  }),
  ...each("exact path", [named("exact", { path: "/a/b" }), FALLBACK], {
    same: get("/a/b"),
    "with a query": get("/a/b?q"),
    "slash at the end": get("/a/b/"),
    "escaped letter": get("/a/%62"),
  }),
  ...each("path separated prefix", [named("separated", { path_separated_prefix: "/api/v1" }), FALLBACK], {
    itself: get("/api/v1"),
    below: get("/api/v1/x"),
    "longer segment": get("/api/v10"),
    "with a query": get("/api/v1?x"),
  }),
  ...each("regex", [named("regex", { safe_regex: { regex: "/item/[0-9]+(\\.json)?" } }), FALLBACK], {
    "whole path": get("/item/12.json"),
    "only a part": get("/item/12/x"),
    "query is not part of it": get("/item/7?a=b"),
  }),
  ...each("any case", [named("folded", { prefix: "/Orders", case_sensitive: false }), FALLBACK], {
    lower: get("/orders/1"),
    upper: get("/ORDERS"),
  }),
  ...each("exact path in any case", [named("folded", { path: "/Orders", case_sensitive: false }), FALLBACK], {
    lower: get("/orders"),
    longer: get("/orders/1"),
  }),
  {
    name: "the first route that matches wins",
    routes: [named("first", { prefix: "/x" }), named("second", { path: "/x/y" })],
    steps: get("/x/y"),
  },
  { name: "no route matches", routes: [named("a", { prefix: "/a" })], steps: get("/b") },
  { name: "a virtual host without routes", routes: [], steps: get("/") },
];

const headers: Case[] = [
  ...each("header exact", [named("h", header("x-h", { string_match: { exact: "v" } })), FALLBACK], {
    same: get("/", { "X-H": "v" }),
    other: get("/", { "x-h": "w" }),
    missing: get("/"),
    twice: get("/", { "x-h": ["v", "w"] }),
  }),
  ...each("header prefix", [named("h", header("x-h", { string_match: { prefix: "ab" } })), FALLBACK], {
    yes: get("/", { "x-h": "abc" }),
    no: get("/", { "x-h": "cab" }),
  }),
  ...each("header suffix", [named("h", header("x-h", { string_match: { suffix: "yz" } })), FALLBACK], {
    yes: get("/", { "x-h": "xyz" }),
    no: get("/", { "x-h": "yzx" }),
  }),
  ...each(
    "header contains",
    [named("h", header("x-h", { string_match: { contains: "mid", ignore_case: true } })), FALLBACK],
    {
      yes: get("/", { "x-h": "aMIDb" }),
      no: get("/", { "x-h": "mi-d" }),
    },
  ),
  ...each("header regex", [named("h", header("x-h", { string_match: { safe_regex: { regex: "a+b?" } } })), FALLBACK], {
    whole: get("/", { "x-h": "aab" }),
    part: get("/", { "x-h": "aabc" }),
  }),
  ...each("header present", [named("h", header("x-h", { present_match: true })), FALLBACK], {
    there: get("/", { "x-h": "1" }),
    empty: get("/", { "x-h": "" }),
    missing: get("/"),
  }),
  ...each("header absent", [named("h", header("x-h", { present_match: false })), FALLBACK], {
    there: get("/", { "x-h": "1" }),
    missing: get("/"),
  }),
  ...each("header range", [named("h", header("x-h", { range_match: { start: "-5", end: "5" } })), FALLBACK], {
    "first of it": get("/", { "x-h": "-5" }),
    "after it": get("/", { "x-h": "5" }),
    "no number": get("/", { "x-h": "1a" }),
  }),
  ...each(
    "header inverted",
    [named("h", header("x-h", { string_match: { exact: "v" } }, { invert_match: true })), FALLBACK],
    { same: get("/", { "x-h": "v" }), other: get("/", { "x-h": "w" }), missing: get("/") },
  ),
  ...each(
    "missing header as empty",
    [named("h", header("x-h", { string_match: { exact: "" } }, { treat_missing_header_as_empty: true })), FALLBACK],
    { missing: get("/"), there: get("/", { "x-h": "v" }) },
  ),
  ...each("method", [named("put", header(":method", { string_match: { exact: "PUT" } })), FALLBACK], {
    same: call("PUT", "/", { body: "x" }),
    other: call("POST", "/", { body: "x" }),
    unknown: call("BREW", "/"),
  }),
  {
    name: "all headers must match",
    routes: [
      named("both", {
        prefix: "/",
        headers: [
          { name: "x-a", string_match: { exact: "1" } },
          { name: "x-b", present_match: true },
        ],
      }),
      FALLBACK,
    ],
    steps: get("/", { "x-a": "1" }),
  },
  {
    name: "authority as a header",
    routes: [named("authority", header(":authority", { string_match: { suffix: ".test" } })), FALLBACK],
    steps: get("/"),
  },
];

const queries: Case[] = [
  ...each("query exact", [named("q", query("a", { string_match: { exact: "1" } })), FALLBACK], {
    same: get("/?a=1"),
    "not first": get("/?b=2&a=1"),
    "second value": get("/?a=2&a=1"),
    escaped: get("/?a=%31"),
    missing: get("/"),
  }),
  ...each("query present", [named("q", query("a", { present_match: true })), FALLBACK], {
    "without value": get("/?a"),
    missing: get("/?b=a"),
  }),
  ...each("query regex", [named("q", query("a", { string_match: { safe_regex: { regex: "[a-c]+" } } })), FALLBACK], {
    yes: get("/?a=abc"),
    no: get("/?a=abd"),
  }),
];

const others: Case[] = [
  ...each("grpc", [named("grpc", { prefix: "/", grpc: {} }), FALLBACK], {
    yes: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
    proto: call("POST", "/", { headers: { "content-type": "application/grpc+proto" } }),
    web: call("POST", "/", { headers: { "content-type": "application/grpc-web" } }),
  }),
  {
    name: "a fraction of nothing",
    routes: [
      named("never", { prefix: "/", runtime_fraction: { default_value: { numerator: 0, denominator: "HUNDRED" } } }),
      FALLBACK,
    ],
    steps: get("/"),
  },
  {
    name: "a fraction of all",
    routes: [
      named("always", { prefix: "/", runtime_fraction: { default_value: { numerator: 100, denominator: "HUNDRED" } } }),
      FALLBACK,
    ],
    steps: get("/"),
  },
];

const DOMAINS: readonly JsonObject[] = [
  { name: "exact", domains: ["exact.dom"], routes: [named("exact", ANY)] },
  { name: "port", domains: ["exact.dom:8080"], routes: [named("port", ANY)] },
  { name: "suffix", domains: ["*.wild.dom"], routes: [named("suffix", ANY)] },
  { name: "longer", domains: ["*.very.wild.dom"], routes: [named("longer", ANY)] },
  { name: "prefix", domains: ["front.*"], routes: [named("prefix", ANY)] },
  { name: "dash", domains: ["*-api.dom"], routes: [named("dash", ANY)] },
  { name: "six", domains: ["[::1]:80"], routes: [named("six", ANY)] },
];
const ALL_DOMAINS: readonly JsonObject[] = [...DOMAINS, { name: "any", domains: ["*"], routes: [named("any", ANY)] }];

function domainCase(name: string, authority: string, virtualHosts = ALL_DOMAINS, table: JsonObject = {}): Case {
  return { name: `domain: ${name}`, virtualHosts, table, steps: call("GET", "/", { host: authority }) };
}

const domains: Case[] = [
  domainCase("exact", "exact.dom"),
  domainCase("any case", "EXACT.Dom"),
  domainCase("its own port", "exact.dom:8080"),
  domainCase("another port", "exact.dom:81"),
  domainCase("suffix", "a.wild.dom"),
  domainCase("longest suffix", "a.very.wild.dom"),
  domainCase("suffix needs a character", ".wild.dom"),
  domainCase("suffix without dot", "orders-api.dom"),
  domainCase("prefix", "front.anything"),
  domainCase("IPv6 with port", "[::1]:80"),
  domainCase("none of them", "nobody.dom", DOMAINS),
  domainCase("port ignored", "exact.dom:99", DOMAINS, { ignore_port_in_host_matching: true }),
  domainCase("trailing dot", "exact.dom.", DOMAINS),
  {
    name: "domain: any port stripped",
    virtualHosts: [{ name: "exact", domains: ["exact.dom"], routes: [to(ANY)] }],
    manager: { strip_any_host_port: true },
    steps: call("GET", "/", { host: "exact.dom:1234" }),
  },
  {
    name: "domain: matching port stripped, another port",
    virtualHosts: [{ name: "exact", domains: ["exact.dom", "exact.dom:1234"], routes: [to(ANY)] }],
    manager: { strip_matching_host_port: true },
    steps: call("GET", "/", { host: "exact.dom:1234" }),
  },
  {
    name: "TLS required",
    virtualHost: { require_tls: "ALL" },
    steps: get("/a?b"),
  },
];

const TWO = [cluster("{case}-a", [host("a")]), cluster("{case}-b", [host("b")])];
const weights = (a: number, b: number, more: JsonObject = {}): JsonObject =>
  to(ANY, {
    weighted_clusters: {
      clusters: [
        { name: "{case}-a", weight: a },
        { name: "{case}-b", weight: b },
      ],
      ...more,
    },
  });

const clusters: Case[] = [
  { name: "weights: all to the first", clusters: TWO, routes: [weights(100, 0)], steps: get("/") },
  { name: "weights: all to the second", clusters: TWO, routes: [weights(0, 100)], steps: get("/") },
  {
    name: "weights: a header decides",
    clusters: TWO,
    routes: [weights(50, 50, { header_name: "x-point" })],
    steps: get("/", { "x-point": "75" }),
  },
  {
    name: "weighted cluster's own headers and host",
    clusters: TWO,
    routes: [
      to(ANY, {
        weighted_clusters: {
          clusters: [
            {
              name: "{case}-a",
              weight: 1,
              request_headers_to_add: [{ header: { key: "x-chosen", value: "a" } }],
              response_headers_to_add: [{ header: { key: "x-from", value: "%UPSTREAM_CLUSTER%" } }],
              response_headers_to_remove: ["content-type"],
              host_rewrite_literal: "a.internal",
            },
          ],
        },
      }),
    ],
    steps: get("/"),
  },
  {
    name: "cluster header",
    clusters: TWO,
    routes: [to(ANY, { cluster_header: "x-cluster" })],
    steps: get("/", { "x-cluster": "{case}-b" }),
  },
  {
    name: "cluster header that names nothing",
    routes: [to(ANY, { cluster_header: "x-cluster" })],
    steps: get("/", { "x-cluster": "nothing" }),
  },
  {
    name: "cluster header missing",
    routes: [to(ANY, { cluster_header: "x-cluster" })],
    steps: get("/"),
  },
  {
    name: "cluster header that names nothing, 404 asked for",
    routes: [to(ANY, { cluster_header: "x-cluster", cluster_not_found_response_code: "NOT_FOUND" })],
    steps: get("/", { "x-cluster": "nothing" }),
  },
  {
    name: "a cluster without hosts",
    cluster: { load_assignment: { cluster_name: "{case}", endpoints: [] } },
    steps: get("/"),
  },
  {
    name: "a host that nobody listens on",
    clusters: [cluster("{case}", [host("closed")])],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: get("/"),
  },
  {
    name: "an authority in the request line",
    steps: raw("GET http://{host}/p HTTP/1.1\r\nhost: other.dom\r\nx-case: {case}\r\n\r\n"),
  },
];

export const routing: Area = {
  name: "routing",
  upstreams: { a: null, b: null },
  cases: [...paths, ...headers, ...queries, ...others, ...domains, ...clusters],
};
