/** What is changed on the way: paths, hosts, and headers at every level. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, add, cluster, host, to } from "../harness/config.ts";
import { get, respond } from "../harness/http.ts";

const rewrite = (regex: string, substitution: string): JsonObject => ({
  regex_rewrite: { pattern: { regex }, substitution },
});

const paths: Case[] = [
  { name: "prefix rewrite", routes: [to({ prefix: "/a/" }, { prefix_rewrite: "/b/" })], steps: get("/a/x?q=1") },
  { name: "prefix rewrite to the root", routes: [to({ prefix: "/a" }, { prefix_rewrite: "/" })], steps: get("/a/x") },
  {
    name: "prefix rewrite of an exact path",
    routes: [to({ path: "/a" }, { prefix_rewrite: "/z" })],
    steps: get("/a?q"),
  },
  {
    name: "prefix rewrite of a separated prefix",
    routes: [to({ path_separated_prefix: "/a" }, { prefix_rewrite: "/b/c" })],
    steps: get("/a/x"),
  },
  {
    name: "prefix rewrite of a regex match",
    routes: [to({ safe_regex: { regex: "/a/.*" } }, { prefix_rewrite: "/whole" })],
    steps: get("/a/x?q"),
  },
  {
    name: "prefix rewrite in any case",
    routes: [to({ prefix: "/Abc", case_sensitive: false }, { prefix_rewrite: "/x" })],
    steps: get("/aBC/d"),
  },
  {
    name: "regex rewrite",
    routes: [to(ANY, rewrite("^/svc/([^/]+)(/.*)$", "\\2/at/\\1"))],
    steps: get("/svc/orders/v1/x?q=/svc/a/b"),
  },
  { name: "regex rewrite of each match", routes: [to(ANY, rewrite("aa", "b"))], steps: get("/aaa/aa") },
  { name: "regex rewrite that does not match", routes: [to(ANY, rewrite("nothing", "b"))], steps: get("/a") },
  {
    name: "rewrite without the original path",
    router: { suppress_envoy_headers: true },
    routes: [to({ prefix: "/a" }, { prefix_rewrite: "/b", host_rewrite_literal: "b.internal" })],
    steps: get("/a/x"),
  },
];

const hosts: Case[] = [
  { name: "literal host", routes: [to(ANY, { host_rewrite_literal: "orders.internal:81" })], steps: get("/") },
  {
    name: "host from a header",
    routes: [to(ANY, { host_rewrite_header: "x-to" })],
    steps: get("/", { "x-to": "b.internal" }),
  },
  { name: "host from a header that is not there", routes: [to(ANY, { host_rewrite_header: "x-to" })], steps: get("/") },
  {
    name: "host from the path",
    routes: [
      to(ANY, { host_rewrite_path_regex: { pattern: { regex: "^/(\\w+)/.*$" }, substitution: "\\1.internal" } }),
    ],
    steps: get("/orders/1?x=y"),
  },
  {
    name: "host of the endpoint",
    clusters: [cluster("{case}", [host("up", {}, "endpoint.internal")])],
    routes: [to(ANY, { cluster: "{case}", auto_host_rewrite: true })],
    steps: get("/"),
  },
  { name: "host of an endpoint without a name", routes: [to(ANY, { auto_host_rewrite: true })], steps: get("/") },
  {
    name: "forwarded host",
    routes: [to(ANY, { host_rewrite_literal: "b.internal", append_x_forwarded_host: true })],
    steps: get("/"),
  },
  {
    name: "forwarded host after another",
    routes: [to(ANY, { host_rewrite_literal: "b.internal", append_x_forwarded_host: true })],
    steps: get("/", { "x-forwarded-host": "first.dom" }),
  },
];

const OPERATORS = [
  "%PROTOCOL%",
  "%REQ(:METHOD)%",
  "%REQ(:path)%",
  "%REQ(:AUTHORITY)%",
  "%REQ(X-NONE?:METHOD)%",
  "%REQ(X-LONG):4%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%DOWNSTREAM_LOCAL_ADDRESS%",
  "%DOWNSTREAM_LOCAL_PORT%",
  "%ROUTE_NAME%",
  "%UPSTREAM_CLUSTER%",
  "%START_TIME(nothing)%",
  "100%%",
];

const requestHeaders: Case[] = [
  {
    name: "request headers of all levels, most specific first",
    table: {
      request_headers_to_add: [add("x-level", "table"), add("x-table", "1")],
      request_headers_to_remove: ["x-drop-table"],
    },
    virtualHost: {
      request_headers_to_add: [add("x-level", "host"), add("x-host", "1")],
      request_headers_to_remove: ["x-drop-host"],
    },
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [add("x-level", "route"), add("x-route", "1")],
          request_headers_to_remove: ["x-drop-route"],
        },
      ),
    ],
    steps: get("/", { "x-drop-table": "1", "x-drop-host": "1", "X-Drop-Route": "1", "x-stays": "1" }),
  },
  {
    name: "request headers of all levels, most specific last",
    table: {
      most_specific_header_mutations_wins: true,
      request_headers_to_add: [add("x-level", "table", "OVERWRITE_IF_EXISTS_OR_ADD")],
      response_headers_to_add: [add("x-level", "table", "OVERWRITE_IF_EXISTS_OR_ADD")],
    },
    virtualHost: {
      request_headers_to_add: [add("x-level", "host", "OVERWRITE_IF_EXISTS_OR_ADD")],
      response_headers_to_add: [add("x-level", "host", "OVERWRITE_IF_EXISTS_OR_ADD")],
    },
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [add("x-level", "route", "OVERWRITE_IF_EXISTS_OR_ADD")],
          response_headers_to_add: [add("x-level", "route", "OVERWRITE_IF_EXISTS_OR_ADD")],
        },
      ),
    ],
    steps: get("/"),
  },
  {
    name: "append actions",
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [
            add("x-appended", "new", "APPEND_IF_EXISTS_OR_ADD"),
            add("x-absent", "new", "ADD_IF_ABSENT"),
            add("x-present", "new", "ADD_IF_ABSENT"),
            add("x-replaced", "new", "OVERWRITE_IF_EXISTS_OR_ADD"),
            add("x-only-if", "new", "OVERWRITE_IF_EXISTS"),
            add("x-not-there", "new", "OVERWRITE_IF_EXISTS"),
          ],
        },
      ),
    ],
    steps: get("/", { "x-appended": "old", "x-present": "old", "x-replaced": ["old", "older"], "x-only-if": "old" }),
  },
  {
    name: "appending to a header of one field",
    routes: [
      to(ANY, {}, { request_headers_to_add: [add("user-agent", "more"), add("accept", "b/c"), add("cookie", "c=d")] }),
    ],
    steps: get("/", { "user-agent": "me", accept: "a/b", cookie: "a=b" }),
  },
  {
    name: "empty values",
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [
            add("x-empty", ""),
            add("x-kept", "", undefined, { keep_empty_value: true }),
            add("x-missing", "%REQ(X-NONE)%"),
            add("x-partly", "a%REQ(X-NONE)%b"),
          ],
        },
      ),
    ],
    steps: get("/"),
  },
  {
    name: "command operators",
    routes: [
      to(
        ANY,
        {},
        {
          name: "the-route",
          request_headers_to_add: OPERATORS.map((value, index) => add(`x-${String(index).padStart(2, "0")}`, value)),
        },
      ),
    ],
    steps: get("/op?q=1", { "x-long": "abcdefgh" }),
  },
];

const responseHeaders: Case[] = [
  {
    name: "response headers of all levels",
    table: { response_headers_to_add: [add("x-level", "table")], response_headers_to_remove: ["x-drop-table"] },
    virtualHost: { response_headers_to_add: [add("x-level", "host")], response_headers_to_remove: ["x-drop-host"] },
    routes: [
      to(
        ANY,
        {},
        {
          response_headers_to_add: [
            add("x-level", "route"),
            add("x-code", "%RESPONSE_CODE%"),
            add("x-up", "%RESP(x-own)%"),
          ],
          response_headers_to_remove: ["x-drop-route"],
        },
      ),
    ],
    answers: [respond(201, { "X-Drop-Table": "1", "x-drop-host": "1", "x-drop-route": "1", "x-own": "mine" }, "ok")],
    steps: get("/"),
  },
  {
    name: "response headers on a direct response",
    virtualHost: { response_headers_to_add: [add("x-host", "%ROUTE_NAME% %RESPONSE_CODE%")] },
    routes: [
      {
        name: "direct",
        match: ANY,
        direct_response: { status: 409, body: { inline_string: "teapot" } },
        response_headers_to_add: [add("content-type", "text/tea", "OVERWRITE_IF_EXISTS_OR_ADD")],
      },
    ],
    steps: get("/"),
  },
  {
    name: "response headers on a failure of the upstream",
    routes: [to(ANY, { cluster: "{case}" }, { response_headers_to_add: [add("x-route", "1")] })],
    clusters: [cluster("{case}", [host("closed")])],
    steps: get("/"),
  },
  {
    name: "no response headers where no route is",
    table: { response_headers_to_add: [add("x-table", "1")] },
    virtualHost: { response_headers_to_add: [add("x-host", "1")] },
    routes: [to({ prefix: "/a" })],
    steps: get("/b"),
  },
  {
    name: "internal only headers",
    table: { internal_only_headers: ["x-secret"] },
    steps: get("/", { "X-Secret": "1", "x-open": "1" }),
  },
];

export const rewriting: Area = {
  name: "rewriting",
  cases: [...paths, ...hosts, ...requestHeaders, ...responseHeaders],
};
