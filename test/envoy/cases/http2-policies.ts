/** Policies of routes and filters where calls are streams: what holds for HTTP/1.1 holds here too. */
import type { Answer, Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, add, cluster, filter, host, to, typed } from "../harness/config.ts";
import { late, respond } from "../harness/http.ts";
import { answers, call, from2, get, type HeaderOptions, overHttp2, send, status } from "../harness/http2/build.ts";

const edge: JsonObject = {
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [{ address_prefix: "127.0.0.0", prefix_len: 8 }] },
};
const GRPC = { "content-type": "application/grpc", te: "trailers" };
const UNAVAILABLE: Answer = answers({
  headers: status(200, { "content-type": "application/grpc", "grpc-status": "14" }),
  end: true,
});
const FINE: Answer = answers({
  headers: status(200, { "content-type": "application/grpc", "grpc-status": "0" }),
  end: true,
});

const grpc = (name: string, headers: HeaderOptions, more: Partial<Case>): Case =>
  from2(name, call("POST", "/a.B/C", { headers: { ...GRPC, ...headers }, body: "\0\0\0\0\0" }), {
    cluster: overHttp2(),
    ...more,
  });

const BACKOFF = { retry_back_off: { base_interval: "0.005s", max_interval: "0.01s" } };
const retries = (on: string, more: JsonObject = {}): JsonObject => ({
  retry_policy: { retry_on: on, num_retries: 2, ...BACKOFF, ...more },
});

const inside: Case[] = [
  grpc(
    "internal: x-envoy-retry-grpc-on",
    { "x-envoy-retry-grpc-on": "unavailable" },
    { manager: edge, answers: [UNAVAILABLE, FINE] },
  ),
  grpc(
    "internal: x-envoy-retry-grpc-on and no such status",
    { "x-envoy-retry-grpc-on": "cancelled" },
    { manager: edge, answers: [UNAVAILABLE, FINE] },
  ),
  grpc(
    "internal: x-envoy-max-retries",
    { "x-envoy-retry-grpc-on": "unavailable", "x-envoy-max-retries": "2" },
    {
      manager: edge,
      answers: [UNAVAILABLE, UNAVAILABLE, FINE],
    },
  ),
  grpc(
    "internal: x-envoy-upstream-rq-timeout-ms",
    { "x-envoy-upstream-rq-timeout-ms": "150" },
    {
      manager: edge,
      answers: [late(500, FINE)],
    },
  ),
  grpc(
    "internal: x-envoy-upstream-rq-per-try-timeout-ms",
    { "x-envoy-retry-on": "5xx", "x-envoy-upstream-rq-per-try-timeout-ms": "100" },
    {
      manager: edge,
      answers: [late(500, FINE), FINE],
    },
  ),
];

const body = "x".repeat(200);
const failing = respond(503);

const again: Case[] = [
  from2("a body is sent again", call("POST", "/", { body: "abc" }), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("5xx"))],
    answers: [failing, respond(200, {}, "ok")],
  }),
  from2("a body and its trailers are sent again", call("POST", "/", { body: "abc", trailers: { "x-t": "1" } }), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("5xx"))],
    answers: [failing, respond(200, {}, "ok")],
  }),
  from2("a body after a refused stream", call("POST", "/", { body: "abc" }), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("refused-stream"))],
    answers: [{ early: true, ...answers({ reset: "REFUSED_STREAM" }) }, respond(200, {}, "ok")],
    // How much of the body the first attempt had sent is chance.
    view: (lines) => lines.filter((line) => !line.startsWith("up 1>")),
  }),
  from2("a body too large to be kept", call("POST", "/", { body }), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("5xx"), { per_request_buffer_limit_bytes: 100 })],
    answers: [failing, respond(200, {}, "ok")],
  }),
  from2("status codes by name", get("/"), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("retriable-status-codes", { retriable_status_codes: [418] }))],
    answers: [respond(418), respond(200, {}, "ok")],
  }),
  from2("the answer's body of a failed attempt is left", get("/"), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("5xx"))],
    answers: [answers({ headers: status(503) }, { waitMs: 50 }, { data: "failed", end: true }), respond(200, {}, "ok")],
  }),
  from2("an answer in the middle of which the attempt would be over", get("/"), {
    cluster: overHttp2(),
    routes: [to(ANY, retries("5xx", { per_try_timeout: "0.1s" }))],
    answers: [answers({ headers: status(200) }, { data: "abc" }, { waitMs: 300 }, { data: "def", end: true })],
  }),
  from2("another host after a reset", [...get("/")], {
    clusters: [cluster("{case}", [host("up"), host("up")], overHttp2())],
    routes: [to(ANY, { cluster: "{case}", ...retries("reset") })],
    answers: [answers({ reset: "INTERNAL_ERROR" }), respond(200, {}, "ok")],
  }),
];

const direct = (code: number, text?: string): Partial<Case> => ({
  routes: [
    { match: ANY, direct_response: { status: code, ...(text === undefined ? {} : { body: { inline_string: text } }) } },
  ],
});
const cors: Partial<Case> = {
  filters: [filter("envoy.filters.http.cors", "Cors")],
  virtualHost: {
    typed_per_filter_config: {
      "envoy.filters.http.cors": typed("CorsPolicy", {
        allow_origin_string_match: [{ exact: "https://a.test" }],
        allow_methods: "GET,POST",
        allow_headers: "x-a",
        max_age: "60",
      }),
    },
  },
};

const locals: Case[] = [
  from2("HEAD of a direct response", call("HEAD", "/"), direct(200, "body")),
  from2("HEAD without a route", call("HEAD", "/"), { routes: [to({ prefix: "/other" })] }),
  from2("HEAD that nobody answers", call("HEAD", "/"), {
    clusters: [cluster("{case}", [host("closed")])],
    routes: [to(ANY, { cluster: "{case}" })],
  }),
  ...[205, 599].map((code): Case => from2(`direct response ${code}`, get("/"), direct(code, "body"))),
  ...[204, 304].map(
    (code): Case => ({
      ...from2(`direct response ${code}`, get("/"), direct(code, "body")),
      differs: {
        why: "RFC 9110, sections 15.3.5 and 15.4.5: these never have a body",
        envoy: [
          ...(code === 204 ? ["s1<   content-length: 4"] : []),
          's1<   http2 4: "body"',
          `log: ${code} - direct_response HTTP/2 GET / rx=0 tx=4 attempts=0 reason=- grpc=-`,
        ],
        outrigger: [`log: ${code} - direct_response HTTP/2 GET / rx=0 tx=0 attempts=0 reason=- grpc=-`],
      },
    }),
  ),
  from2(
    "direct response to a body that is under way",
    [...send("POST", "/", { body: "abc", trailers: {} }).slice(0, 2), { until: "end" }],
    direct(403, "no"),
  ),
  from2(
    "preflight",
    call("OPTIONS", "/", { headers: { origin: "https://a.test", "access-control-request-method": "POST" } }),
    cors,
  ),
  from2(
    "preflight from elsewhere",
    call("OPTIONS", "/", { headers: { origin: "https://b.test", "access-control-request-method": "POST" } }),
    cors,
  ),
  from2("abort by a header", get("/", { "x-envoy-fault-abort-request": "503" }), {
    filters: [
      filter("envoy.filters.http.fault", "HTTPFault", { abort: { header_abort: {}, percentage: { numerator: 100 } } }),
    ],
  }),
  grpc(
    "abort by a header for gRPC",
    { "x-envoy-fault-abort-grpc-request": "14" },
    {
      filters: [
        filter("envoy.filters.http.fault", "HTTPFault", {
          abort: { header_abort: {}, percentage: { numerator: 100 } },
        }),
      ],
    },
  ),
  from2("denied", get("/"), { filters: [filter("envoy.filters.http.rbac", "RBAC", { rules: { action: "ALLOW" } })] }),
  from2("denied by :authority", get("/"), {
    filters: [
      filter("envoy.filters.http.rbac", "RBAC", {
        rules: {
          action: "DENY",
          policies: {
            host: {
              permissions: [{ header: { name: ":authority", string_match: { suffix: ".test" } } }],
              principals: [{ any: true }],
            },
          },
        },
      }),
    ],
  }),
  from2("route by pseudo-headers", get("/x"), {
    routes: [
      to({
        prefix: "/",
        headers: [
          { name: ":method", string_match: { exact: "GET" } },
          { name: ":scheme", string_match: { exact: "http" } },
        ],
      }),
      { match: ANY, direct_response: { status: 418 } },
    ],
  }),
  from2("route by host as a header", get("/x"), {
    routes: [
      to({ prefix: "/", headers: [{ name: "host", present_match: true }] }),
      { match: ANY, direct_response: { status: 418 } },
    ],
  }),
  from2("headers of every kind added", get("/"), {
    cluster: overHttp2(),
    virtualHost: {
      request_headers_to_add: [
        add("x-protocol", "%PROTOCOL%"),
        add("X-Upper", "%REQ(:path)%"),
        add("x-scheme", "%REQ(:SCHEME)%"),
      ],
      response_headers_to_add: [add("X-Status", "%RESPONSE_CODE%"), add("x-flags", "%RESPONSE_FLAGS%")],
    },
  }),
  from2("require_tls", get("/a?b"), { virtualHost: { require_tls: "ALL" } }),
  from2("redirect with another status", get("/a"), {
    routes: [{ match: ANY, redirect: { host_redirect: "b.test", response_code: "PERMANENT_REDIRECT" } }],
  }),
  from2("hash of a header and two hosts", get("/", { "x-user": "a" }), {
    cluster: { ...overHttp2(), lb_policy: "RING_HASH" },
    routes: [to(ANY, { hash_policy: [{ header: { header_name: "x-user" } }] })],
  }),
  from2("host of the endpoint", get("/"), {
    clusters: [cluster("{case}", [host("up", {}, "named.test")], overHttp2())],
    routes: [to(ANY, { cluster: "{case}", auto_host_rewrite: true })],
  }),
];

export const http2Policies: Area = { name: "http2-policies", cases: [...inside, ...again, ...locals] };
