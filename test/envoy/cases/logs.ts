/** Access logs: what operators write, as text and as JSON, and which requests are logged at all. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, cluster, filter, host, named, to } from "../harness/config.ts";
import { call, get, hangsUp, raw, respond, sends } from "../harness/http.ts";

const text = (name: string, log: string, more: Partial<Case> = {}): Case => ({
  name,
  log,
  steps: get("/p?q=1"),
  ...more,
});

const operators: Case[] = [
  text(
    "request",
    "%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %PROTOCOL% %REQ(X-A)% %REQ(X-B?X-A)% %REQ(X-A):2%",
    {
      steps: get("/p?q=1", { "x-a": "alpha" }),
    },
  ),
  text("path", "%PATH% %PATH(NQ)% %PATH(WQ:ORIG)% %QUERY_PARAM(q)% %QUERY_PARAM(none)% %QUERY_PARAMS%", {
    routes: [to({ prefix: "/p" }, { prefix_rewrite: "/r" })],
  }),
  text("headers by name", "%REQUEST_HEADER(x-a)% %RESPONSE_HEADER(x-b)% %RESP(X-B?X-C)%", {
    steps: get("/p?q=1", { "x-a": "1" }),
    answers: [respond(200, { "x-b": "2" }, "ok")],
  }),
  text("repeated headers", "%REQ(X-A)% %RESP(X-B)%", {
    steps: get("/", { "x-a": ["1", "2"] }),
    answers: [respond(200, { "x-b": ["3", "4"] }, "ok")],
  }),
  text(
    "codes and flags",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS% %GRPC_STATUS%",
    {
      answers: [hangsUp],
    },
  ),
  text(
    "failure of a connection",
    "%RESPONSE_FLAGS_LONG% %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%",
    {
      clusters: [cluster("{case}", [host("closed")])],
      routes: [to(ANY, { cluster: "{case}" })],
    },
  ),
  text("no route", "%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %RESPONSE_FLAGS%", {
    routes: [named("a", { prefix: "/a" })],
  }),
  text("route", "%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%", {
    routes: [to(ANY, {}, { name: "the-route" })],
  }),
  text("bytes", "%BYTES_RECEIVED% %BYTES_SENT%", {
    steps: call("POST", "/", { body: "abcdef", chunked: true }),
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n")],
  }),
  text(
    "addresses",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_PORT%",
  ),
  text(
    "addresses that are believed",
    "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    {
      steps: get("/", { "x-forwarded-for": "9.8.7.6" }),
    },
  ),
  text(
    "what TLS would say",
    "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_SUBJECT% %REQUESTED_SERVER_NAME%",
  ),
  text("percent signs and unicode", "100%% grüß %REQ(x-none)%"),
  text("a request that could not be read", "%REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%", {
    virtualHosts: [{ name: "any", domains: ["*"], routes: [to(ANY)] }],
    steps: raw("GET / HTTP/1.1\r\nbad\r\n\r\n"),
  }),
  text("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT% %RESPONSE_FLAGS% %RESPONSE_CODE%", {
    routes: [
      to(ANY, { retry_policy: { retry_on: "5xx", num_retries: 2, retry_back_off: { base_interval: "0.005s" } } }),
    ],
    answers: [respond(503)],
  }),
  text(
    "grpc status",
    "%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%",
    {
      steps: call("POST", "/", { headers: { "content-type": "application/grpc" } }),
      answers: [respond(200, { "content-type": "application/grpc", "grpc-status": "14" })],
    },
  ),
  text("trailers", "%TRAILER(x-sum)% %RESPONSE_TRAILER(x-sum)%", {
    manager: { http_protocol_options: { enable_trailers: true } },
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n")],
  }),
  text("durations", "%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", {
    // How long things took is chance, whether they were measured is not.
    view: (lines) => lines.filter((line) => line.startsWith("log")).map((line) => line.replaceAll(/\d+/g, "(ms)")),
  }),
  text("durations without an upstream", "%DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", {
    routes: [named("direct", ANY)],
    view: (lines) => lines.filter((line) => line.startsWith("log")).map((line) => line.replaceAll(/\d+/g, "(ms)")),
  }),
  text("environment", "%ENVIRONMENT(NO_SUCH_VARIABLE)%"),
];

const METADATA =
  "%DYNAMIC_METADATA(envoy.filters.http.rbac)% %DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_engine_result)%";

const rules = (prefix: string, action = "ALLOW"): JsonObject => ({
  action,
  policies: { rule: { permissions: [{ url_path: { path: { prefix } } }], principals: [{ any: true }] } },
});

/** What the access filter leaves for logs. */
const verdicts = (name: string, fields: JsonObject): Case =>
  text(`verdicts: ${name}`, METADATA, {
    filters: [filter("envoy.filters.http.rbac", "RBAC", fields)],
    steps: [...get("/a"), ...get("/b")],
  });

const access: Case[] = [
  verdicts("rules", { rules: rules("/a") }),
  verdicts("shadow rules", { shadow_rules: rules("/a") }),
  verdicts("both", { rules: rules("/"), shadow_rules: rules("/a", "DENY") }),
  verdicts("with prefixes", {
    rules: rules("/a"),
    rules_stat_prefix: "r_",
    shadow_rules: rules("/a", "DENY"),
    shadow_rules_stat_prefix: "s_",
  }),
  verdicts("none", {}),
];

const json = (name: string, log: JsonObject, more: Partial<Case> = {}): Case => ({
  name: `JSON: ${name}`,
  log,
  steps: get("/p?q=1"),
  ...more,
});

const lines: Case[] = [
  json("types", {
    code: "%RESPONSE_CODE%",
    sent: "%BYTES_SENT%",
    flags: "%RESPONSE_FLAGS%",
    mixed: "%RESPONSE_CODE%/%PROTOCOL%",
    missing: "%REQ(x-none)%",
    missing_mixed: "a%REQ(x-none)%b",
    literal: "text",
  }),
  json("nested", { request: { method: "%REQ(:METHOD)%", path: "%REQ(:PATH)%" }, z: "1", a: "%PROTOCOL%" }),
  json(
    "characters that JSON escapes",
    { agent: "%REQ(user-agent)%", path: "%REQ(:PATH)%" },
    {
      steps: get('/"quoted"\\x', { "user-agent": 'a"b\\c\t/é' }),
    },
  ),
  json("lists, numbers and booleans", { list: ["%PROTOCOL%", "x"], number: 7, yes: true, none: null }),
];

const status = (op: string, value: number): JsonObject => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: "none" } } },
});

function filtered(name: string, logFilter: JsonObject, more: Partial<Case> = {}): Case {
  return {
    name: `only ${name}`,
    logFilter,
    answers: [respond(200), respond(404), respond(503)],
    steps: [...get("/1"), ...get("/2"), ...get("/3", { "x-log": "yes" })],
    ...more,
  };
}

const filters: Case[] = [
  filtered("server errors", status("GE", 500)),
  filtered("one status", status("EQ", 404)),
  filtered("up to a status", status("LE", 404)),
  filtered("all but one status", status("NE", 404)),
  filtered(
    "with a flag",
    { response_flag_filter: { flags: ["UC"] } },
    { answers: [respond(200), hangsUp, respond(200)] },
  ),
  filtered("with any flag", { response_flag_filter: {} }, { answers: [respond(200), hangsUp, respond(200)] }),
  filtered("with a header", { header_filter: { header: { name: "x-log", string_match: { exact: "yes" } } } }),
  filtered("both", { and_filter: { filters: [status("GE", 400), status("LE", 499)] } }),
  filtered("either", { or_filter: { filters: [status("EQ", 200), status("EQ", 503)] } }),
  filtered("quick ones", {
    duration_filter: { comparison: { op: "LE", value: { default_value: 60_000, runtime_key: "none" } } },
  }),
  filtered("no health checks", { not_health_check_filter: {} }),
];

export const logs: Area = {
  name: "logs",
  cases: [...operators, ...access, ...lines, ...filters],
};
