/** What proxies write into every message, and what stops at them: forwarded headers, names, ids, hop-by-hop fields. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, add, assignment, cluster, host, to, typed } from "../harness/config.ts";
import { get, raw, respond, sends } from "../harness/http.ts";

/** A host found by name. */
const named = (name: string): JsonObject => ({
  endpoint: { address: { socket_address: { address: name, port_value: "{port:up}" } } },
});

const direct = (status: number, body?: string): readonly JsonObject[] => [
  { match: ANY, direct_response: { status, ...(body === undefined ? {} : { body: { inline_string: body } }) } },
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
    name: "edge: https in an absolute target on plaintext",
    manager: { use_remote_address: true },
    steps: raw("GET https://{host}/ HTTP/1.1\r\nhost: {host}\r\nx-case: {case}\r\n\r\n"),
  },
  {
    name: "edge: https in an absolute target behind another proxy",
    manager: { use_remote_address: true, xff_num_trusted_hops: 1 },
    steps: raw("GET https://{host}/ HTTP/1.1\r\nhost: {host}\r\nx-case: {case}\r\n\r\n"),
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
      "x-envoy-upstream-stream-duration-ms": "5",
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
    routes: [{ match: ANY, redirect: { host_redirect: "b.dom" } }],
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

export const forwarding: Area = {
  name: "forwarding",
  cases: [...forwarded, ...names, ...hops],
};
