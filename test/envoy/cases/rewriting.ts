/** What is changed on the way: paths, hosts, headers at every level, redirects, direct responses, forwarded headers. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, assignment, cluster, host, to, typed } from "../harness/config.ts";
import { call, get, raw, respond, sends } from "../harness/http.ts";

const add = (key: string, value: string, action?: string, more: JsonObject = {}): JsonObject => ({
  header: { key, value },
  ...(action === undefined ? {} : { append_action: action }),
  ...more,
});
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

/** A host found by name. */
const named = (name: string): JsonObject => ({
  endpoint: { address: { socket_address: { address: name, port_value: "{port:up}" } } },
});

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

const redirect = (fields: JsonObject, match: JsonObject = ANY): readonly JsonObject[] => [{ match, redirect: fields }];

const redirects: Case[] = [
  { name: "redirect to https", routes: redirect({ https_redirect: true }), steps: get("/a?b=c") },
  {
    name: "redirect to https drops the default port",
    virtualHosts: [{ name: "any", domains: ["*"], routes: redirect({ https_redirect: true }) }],
    steps: call("GET", "/", { host: "a.dom:80" }),
  },
  {
    name: "redirect to https keeps another port",
    virtualHosts: [{ name: "any", domains: ["*"], routes: redirect({ https_redirect: true }) }],
    steps: call("GET", "/", { host: "a.dom:81" }),
  },
  { name: "redirect scheme", routes: redirect({ scheme_redirect: "wss" }), steps: get("/") },
  { name: "redirect host", routes: redirect({ host_redirect: "b.dom" }), steps: get("/a?b") },
  { name: "redirect port", routes: redirect({ port_redirect: 8443 }), steps: get("/a") },
  { name: "redirect path", routes: redirect({ path_redirect: "/new" }), steps: get("/old?q=1") },
  { name: "redirect path with a query", routes: redirect({ path_redirect: "/new?x=y" }), steps: get("/old?q=1") },
  {
    name: "redirect without the query",
    routes: redirect({ path_redirect: "/new", strip_query: true }),
    steps: get("/old?q=1"),
  },
  {
    name: "redirect prefix",
    routes: redirect({ prefix_rewrite: "/new" }, { prefix: "/old" }),
    steps: get("/old/a?q=1"),
  },
  {
    name: "redirect by regex",
    routes: redirect({ regex_rewrite: { pattern: { regex: "^/(.)/(.)" }, substitution: "/\\2/\\1" } }),
    steps: get("/a/b/c?q"),
  },
  ...["FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"].map((code) => ({
    name: `redirect code ${code}`,
    routes: redirect({ host_redirect: "b.dom", response_code: code }),
    steps: get("/"),
  })),
  {
    name: "redirect of a POST",
    routes: redirect({ host_redirect: "b.dom" }),
    steps: call("POST", "/", { body: "abc" }),
  },
];

const direct = (status: number, body?: string): readonly JsonObject[] => [
  { match: ANY, direct_response: { status, ...(body === undefined ? {} : { body: { inline_string: body } }) } },
];

const directs: Case[] = [
  { name: "direct response without a body", routes: direct(200), steps: get("/") },
  { name: "direct response to HEAD", routes: direct(200, "body"), steps: call("HEAD", "/") },
  { name: "direct 204", routes: direct(204), steps: get("/") },
  { name: "direct 201", routes: direct(201, "made"), steps: get("/a?b") },
  { name: "direct 503 in UTF-8", routes: direct(503, "grüß"), steps: get("/") },
  {
    name: "direct response to a body that is read",
    routes: direct(200, "ok"),
    steps: call("POST", "/", { body: "abc" }),
  },
  {
    name: "direct response to a body that is not there yet",
    routes: direct(200, "ok"),
    steps: raw("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\n123"),
  },
  {
    name: "direct response to gRPC",
    routes: direct(403, "no"),
    steps: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
  },
];

const forwarded: Case[] = [
  {
    name: "forwarded headers are believed",
    steps: get("/", { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https" }),
  },
  {
    name: "edge: forwarded for",
    manager: { use_remote_address: true },
    steps: get("/", { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https" }),
  },
  { name: "edge: nothing forwarded", manager: { use_remote_address: true }, steps: get("/") },
  {
    name: "edge: trusted hops",
    manager: { use_remote_address: true, xff_num_trusted_hops: 1 },
    steps: get("/", { "x-forwarded-for": "1.2.3.4, 5.6.7.8", "x-forwarded-proto": "https" }),
  },
  {
    name: "edge: skip append",
    manager: { use_remote_address: true, skip_xff_append: true },
    steps: get("/", { "x-forwarded-for": "1.2.3.4" }),
  },
  {
    name: "edge: forwarded port",
    manager: { use_remote_address: true, append_x_forwarded_port: true },
    steps: get("/"),
  },
  {
    name: "edge: Envoy's own headers from outside",
    manager: { use_remote_address: true },
    steps: get("/", {
      "x-envoy-internal": "true",
      "x-envoy-upstream-rq-timeout-ms": "10",
      "x-envoy-max-retries": "9",
      "x-envoy-retry-on": "5xx",
      "x-envoy-expected-rq-timeout-ms": "5",
      "x-envoy-decorator-operation": "x",
    }),
  },
  {
    name: "inner: Envoy's own headers",
    steps: get("/", { "x-envoy-internal": "true", "x-envoy-decorator-operation": "x", "x-envoy-original-path": "/y" }),
  },
  { name: "forwarded proto in another case", steps: get("/", { "x-forwarded-proto": "HTTPS" }) },
  { name: "forwarded proto that is no scheme", steps: get("/", { "x-forwarded-proto": "gopher" }) },
  {
    name: "forwarded proto decides a redirect's scheme",
    routes: redirect({ host_redirect: "b.dom" }),
    steps: get("/", { "x-forwarded-proto": "https" }),
  },
  {
    name: "trusted address in a header",
    routes: [to(ANY, {}, { request_headers_to_add: [add("x-caller", "%DOWNSTREAM_REMOTE_ADDRESS%")] })],
    manager: { xff_num_trusted_hops: 1 },
    steps: get("/", { "x-forwarded-for": "1.1.1.1,2.2.2.2" }),
  },
  {
    name: "via",
    manager: { via: "hop-1" },
    steps: get("/", { via: "1.1 first" }),
    answers: [respond(200, { via: "1.1 origin" }, "ok")],
  },
  { name: "via, none before", manager: { via: "hop-1" }, steps: get("/") },
  { name: "referer that is no URL", steps: get("/", { referer: "http://user:pw@a.dom/x#frag" }) },
];

const SERVER = [respond(200, { server: "origin/1" }, "ok")];

const names: Case[] = [
  { name: "server name", manager: { server_name: "mine" }, answers: SERVER, steps: get("/") },
  {
    name: "server header if absent",
    manager: { server_header_transformation: "APPEND_IF_ABSENT" },
    answers: SERVER,
    steps: get("/"),
  },
  {
    name: "server header if absent, absent",
    manager: { server_header_transformation: "APPEND_IF_ABSENT" },
    steps: get("/"),
  },
  {
    name: "server header passed",
    manager: { server_header_transformation: "PASS_THROUGH" },
    answers: SERVER,
    steps: get("/"),
  },
  {
    name: "server header passed, direct response",
    manager: { server_header_transformation: "PASS_THROUGH" },
    routes: direct(200, "x"),
    steps: get("/"),
  },
  { name: "date of the upstream", answers: [respond(200, { date: "Thu, 01 Jan 1970 00:00:00 GMT" })], steps: get("/") },
  { name: "request id is kept", steps: get("/", { "x-request-id": "given" }) },
  {
    name: "request id at the edge",
    manager: { use_remote_address: true },
    steps: get("/", { "x-request-id": "given" }),
  },
  {
    name: "request id preserved at the edge",
    manager: { use_remote_address: true, preserve_external_request_id: true },
    steps: get("/", { "x-request-id": "given" }),
  },
  { name: "no request id", manager: { generate_request_id: false }, steps: get("/") },
  {
    name: "request id in the response",
    manager: { always_set_request_id_in_response: true },
    steps: get("/", { "x-request-id": "given" }),
  },
  {
    name: "request id extension",
    manager: { request_id_extension: { typed_config: typed("UuidRequestIdConfig", { pack_trace_reason: false }) } },
    steps: get("/"),
  },
];

const bodyFormat: JsonObject = {
  text_format_source: { inline_string: "%RESPONSE_CODE%: %LOCAL_REPLY_BODY% (%REQ(:path)%)\n" },
};
const statusIs = (value: number): JsonObject => ({
  status_code_filter: { comparison: { op: "EQ", value: { default_value: value, runtime_key: "none" } } },
});

const replies: Case[] = [
  {
    name: "local reply format",
    manager: { local_reply_config: { body_format: bodyFormat } },
    routes: direct(403, "no"),
    steps: get("/a"),
  },
  {
    name: "local reply in JSON",
    manager: {
      local_reply_config: {
        body_format: {
          json_format: {
            code: "%RESPONSE_CODE%",
            text: "%LOCAL_REPLY_BODY%",
            path: "%REQ(:path)%",
            flags: "%RESPONSE_FLAGS%",
          },
          content_type: "application/problem+json",
        },
      },
    },
    routes: direct(400, 'a "quote"'),
    steps: get("/x"),
  },
  {
    name: "local reply mapper",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: statusIs(404),
            status_code: 410,
            body: { inline_string: "gone" },
            headers_to_add: [add("x-mapped", "%RESPONSE_CODE%")],
          },
        ],
        body_format: bodyFormat,
      },
    },
    routes: [to({ prefix: "/a" })],
    steps: get("/b"),
  },
  {
    name: "local reply mapper with a format of its own",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: { response_flag_filter: { flags: ["NR"] } },
            body_format_override: {
              text_format_source: { inline_string: "<b>%RESPONSE_FLAGS%</b>" },
              content_type: "text/html",
            },
          },
        ],
      },
    },
    routes: [to({ prefix: "/a" })],
    steps: get("/b"),
  },
  {
    name: "local reply mapper by header",
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: { header_filter: { header: { name: "x-json", present_match: true } } },
            body: { inline_string: "{}" },
          },
        ],
      },
    },
    routes: direct(400, "plain"),
    steps: [...get("/", { "x-json": "1" }), ...get("/")],
  },
  {
    name: "local reply config leaves the upstream's answers alone",
    manager: { local_reply_config: { mappers: [{ filter: statusIs(503), body: { inline_string: "mapped" } }] } },
    answers: [respond(503, {}, "own")],
    steps: get("/"),
  },
];

const hops: Case[] = [
  {
    name: "connection headers stop here",
    steps: get("/", {
      connection: "x-one, keep-alive",
      "x-one": "1",
      "keep-alive": "timeout=5",
      "proxy-connection": "x",
      te: "trailers, deflate",
    }),
  },
  { name: "te trailers goes on", steps: get("/", { te: "trailers" }) },
  {
    name: "response hop headers stop here",
    answers: [
      sends(
        "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-two\r\nx-two: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: a\r\ncontent-length: 2\r\n\r\nok",
      ),
    ],
    steps: get("/"),
  },
  {
    name: "header case",
    steps: raw("GET / HTTP/1.1\r\nHost: {host}\r\nX-CamelCase: Value\r\n\r\n"),
    answers: [respond(200, { "X-Own-Case": "V" }, "ok")],
  },
  {
    name: "header order and repetition",
    steps: get("/", { "x-b": ["2", "1"], "x-a": "3", cookie: ["a=1", "b=2"] }),
    answers: [respond(200, { "set-cookie": ["a=1", "b=2"] }, "ok")],
  },
  { name: "bytes above ASCII in the path", steps: raw("GET /\xe4 HTTP/1.1\r\nhost: {host}\r\n\r\n") },
  {
    name: "bytes above ASCII in a value",
    steps: raw("GET / HTTP/1.1\r\nhost: {host}\r\nx-bytes: \xc3\xa4 \xff\r\n\r\n"),
  },
  {
    name: "bytes above ASCII in the query",
    steps: raw("GET /?\xe4 HTTP/1.1\r\nhost: {host}\r\n\r\n"),
  },
  {
    name: "host of the endpoint, on a second attempt",
    clusters: [cluster("{case}", [host("up", {}, "endpoint.internal")])],
    routes: [
      to(ANY, {
        cluster: "{case}",
        auto_host_rewrite: true,
        append_x_forwarded_host: true,
        retry_policy: { retry_on: "5xx", num_retries: 1 },
      }),
    ],
    answers: [respond(503), respond(200)],
    steps: get("/"),
  },
  {
    name: "host of the endpoint, by DNS",
    cluster: {
      type: "STRICT_DNS",
      dns_lookup_family: "V4_ONLY",
      load_assignment: assignment("{case}", [named("localhost")]),
    },
    routes: [to(ANY, { auto_host_rewrite: true })],
    steps: get("/"),
  },
  {
    name: "reason phrase that Envoy does not know",
    routes: direct(418, "teapot"),
    steps: get("/"),
  },
  {
    name: "reason phrase",
    answers: [respond("200 Fine")],
    steps: get("/"),
    differs: {
      why: "the upstream's reason phrase is kept (RFC 9112, section 4, lets it say anything); Envoy writes its own",
      envoy: ["< HTTP/1.1 200 OK"],
      outrigger: ["< HTTP/1.1 200 Fine"],
    },
  },
  { name: "white space around values", steps: raw("GET / HTTP/1.1\r\nhost:   {host}  \r\nx-space:\t a  b \t\r\n\r\n") },
];

export const rewriting: Area = {
  name: "rewriting",
  cases: [
    ...paths,
    ...hosts,
    ...requestHeaders,
    ...responseHeaders,
    ...redirects,
    ...directs,
    ...forwarded,
    ...names,
    ...replies,
    ...hops,
  ],
};
