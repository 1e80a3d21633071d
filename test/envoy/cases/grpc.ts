/** gRPC: statuses in trailers, deadlines, retries by status, and answers that Envoy makes itself. */
import type { Answer, Area, Case, Http2Step, JsonObject } from "../harness/case.ts";
import { ANY, cluster, filter, host, to, typed } from "../harness/config.ts";
import { call as call1, hangsUp, late, respond, sends } from "../harness/http.ts";
import {
  answers,
  endings,
  from2,
  type HeaderOptions,
  head,
  LOG,
  overHttp2,
  send,
  status,
} from "../harness/http2/build.ts";
import type { ErrorName } from "../harness/http2/frames.ts";

const GRPC = { "content-type": "application/grpc", te: "trailers" };
const MESSAGE = "\0\0\0\0\x03abc";
const REPLY = "\0\0\0\0\x02ok";
const PATH = "/shop.Orders/Get";

/** A unary call. */
const unary = (headers: HeaderOptions = {}, stream = 1): readonly Http2Step[] => [
  ...send("POST", PATH, { headers: { ...GRPC, ...headers }, body: MESSAGE, stream }),
  { until: "end", stream },
];

const TYPE = { "content-type": "application/grpc" };

/** A message and a status in trailers. */
const replies = (code: number | string = 0, more: Readonly<Record<string, string>> = {}): Answer =>
  answers(
    { headers: status(200, TYPE) },
    { data: REPLY },
    { headers: [["grpc-status", String(code)], ...Object.entries(more)], end: true },
  );

/** The status in the head, which is all there is. */
const only = (code: number | string, more: Readonly<Record<string, string>> = {}): Answer =>
  answers({ headers: status(200, { ...TYPE, "grpc-status": String(code), ...more }), end: true });

/** A message less answer whose status still comes in trailers. */
const bare = (code: number): Answer =>
  answers({ headers: status(200, TYPE) }, { headers: [["grpc-status", String(code)]], end: true });

const grpc = (name: string, list: readonly Answer[], more: Partial<Case> = {}): Case =>
  from2(name, unary(), { cluster: overHttp2(), answers: list, ...more });

const route = (action: JsonObject, match: JsonObject = ANY): Pick<Case, "routes"> => ({ routes: [to(match, action)] });

const calls: Case[] = [
  grpc("unary", [replies()]),
  grpc("unary that fails", [replies(5, { "grpc-message": "not%20here" })]),
  grpc("trailers alone", [only(5, { "grpc-message": "no" })]),
  grpc("trailers alone, status 0", [only(0)]),
  grpc("trailers without a message", [bare(13)]),
  grpc("unknown status", [replies(77)]),
  grpc("status that is no number", [replies("x")]),
  grpc("no status", [answers({ headers: status(200, TYPE) }, { data: REPLY, end: true })]),
  grpc("HTTP 503 instead", [respond(503, {}, "down")]),
  grpc("HTTP 404 instead", [respond(404)]),
  grpc("HTTP 503 with a status", [answers({ headers: status(503, { ...TYPE, "grpc-status": "8" }), end: true })]),
  grpc("custom metadata", [replies(0, { "x-trailer-bin": "AAE" })], {
    http2: unary({ "x-meta-bin": "AAEC", "grpc-encoding": "gzip" }),
  }),
  grpc("content-type with a format", [replies()], { http2: unary({ "content-type": "application/grpc+proto" }) }),
  grpc("grpc-web", [replies()], { http2: unary({ "content-type": "application/grpc-web" }) }),
  grpc(
    "two messages each way",
    [{ early: true, ...answers({ headers: status(200, TYPE) }, { echo: true }, { until: "end" }, { waitMs: 20 }) }],
    {
      http2: [
        { headers: head("POST", PATH, GRPC) },
        { data: MESSAGE },
        { until: 8 },
        { data: MESSAGE, end: true },
        { until: "end" },
      ],
    },
  ),
  grpc("server streams", [
    answers(
      { headers: status(200, TYPE) },
      { data: REPLY },
      { waitMs: 20 },
      { data: REPLY },
      { headers: [["grpc-status", "0"]], end: true },
    ),
  ]),
  grpc("resets before the head", [answers({ reset: "INTERNAL_ERROR" })]),
  grpc("resets after a message", [
    answers({ headers: status(200, TYPE) }, { data: REPLY }, { waitMs: 30 }, { reset: "CANCEL" }),
  ]),
  grpc("refuses the stream", [answers({ reset: "REFUSED_STREAM" })]),
  grpc("hangs up", [hangsUp]),
  grpc("the caller cancels", [late(200, replies())], {
    http2: [...unary().slice(0, 2), { waitMs: 60 }, { reset: "CANCEL" }, { waitMs: 60 }],
  }),
  from2("an upstream of HTTP/1.1", unary(), {
    answers: [
      sends(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n7\r\n\0\0\0\0\x02ok\r\n0\r\ngrpc-status: 0\r\n\r\n",
      ),
    ],
  }),
  from2("an upstream of HTTP/1.1 with trailers enabled", unary(), {
    manager: { http_protocol_options: { enable_trailers: true } },
    cluster: {
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("HttpProtocolOptions", {
          explicit_http_config: { http_protocol_options: { enable_trailers: true } },
        }),
      },
    },
    answers: [
      sends(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n7\r\n\0\0\0\0\x02ok\r\n0\r\ngrpc-status: 0\r\n\r\n",
      ),
    ],
  }),
  {
    name: "a caller of HTTP/1.1",
    log: LOG,
    cluster: overHttp2(),
    answers: [replies()],
    steps: call1("POST", PATH, { headers: GRPC, body: MESSAGE }),
  },
  {
    name: "a caller of HTTP/1.1 with trailers enabled",
    log: LOG,
    manager: { http_protocol_options: { enable_trailers: true } },
    cluster: overHttp2(),
    answers: [replies(5)],
    steps: call1("POST", PATH, { headers: GRPC, body: MESSAGE }),
  },
];

const BACKOFF = { retry_back_off: { base_interval: "0.005s", max_interval: "0.01s" } };
const retrying = (on: string, more: JsonObject = {}): Pick<Case, "routes"> =>
  route({ retry_policy: { retry_on: on, num_retries: 2, ...BACKOFF, ...more } });

const CONDITIONS: readonly (readonly [name: string, code: number])[] = [
  ["cancelled", 1],
  ["deadline-exceeded", 4],
  ["internal", 13],
  ["resource-exhausted", 8],
  ["unavailable", 14],
];

const retries: Case[] = [
  ...CONDITIONS.flatMap(([name, code]): Case[] => [
    grpc(`retry: ${name}`, [only(code), replies()], retrying(name)),
    grpc(`retry: ${name} is not 2`, [only(2), replies()], retrying(name)),
    grpc(`retry: ${name} in trailers without a message`, [bare(code), replies()], retrying(name)),
  ]),
  grpc("retry: after a message", [replies(14), replies()], retrying("unavailable")),
  grpc("retry: several conditions", [only(1), only(14), replies()], retrying("cancelled,unavailable")),
  grpc("retry: too often", [only(14)], retrying("unavailable")),
  grpc("retry: by x-envoy-retry-grpc-on", [only(14), replies()], {
    http2: unary({ "x-envoy-retry-grpc-on": "unavailable", "x-envoy-max-retries": "1" }),
  }),
  grpc("retry: by x-envoy-retry-on", [only(14), replies()], { http2: unary({ "x-envoy-retry-on": "unavailable" }) }),
  grpc("retry: 5xx is no grpc-status", [only(14), replies()], retrying("5xx")),
  grpc("retry: unavailable is not HTTP 503", [respond(503), replies()], retrying("unavailable")),
  grpc("retry: unavailable is not a reset", [answers({ reset: "REFUSED_STREAM" }), replies()], retrying("unavailable")),
  grpc("retry: refused-stream", [answers({ reset: "REFUSED_STREAM" }), replies()], retrying("refused-stream")),
  grpc("retry: a plain call with grpc-status", [only(14), replies()], {
    ...retrying("unavailable"),
    http2: [...send("GET", "/"), { until: "end" }],
  }),
  grpc(
    "retry: per try timeout",
    [late(400, replies()), replies()],
    retrying("deadline-exceeded,reset", { per_try_timeout: "0.1s" }),
  ),
  grpc(
    "retry: status 14 with a body length",
    [answers({ headers: status(200, { ...TYPE, "grpc-status": "14", "content-length": "0" }), end: true }), replies()],
    retrying("unavailable"),
  ),
];

const SLOW = [late(500, replies())];
const timed = (name: string, headers: HeaderOptions, action: JsonObject, list: readonly Answer[] = [replies()]): Case =>
  grpc(name, list, { ...route(action), http2: unary(headers) });

const deadlines: Case[] = [
  timed("deadline: the route's timeout", {}, { timeout: "0.15s" }, SLOW),
  timed("deadline: grpc-timeout alone is not obeyed", { "grpc-timeout": "50m" }, {}, [late(150, replies())]),
  timed("deadline: max_grpc_timeout", { "grpc-timeout": "150m" }, { max_grpc_timeout: "5s" }, SLOW),
  timed("deadline: max_grpc_timeout is a cap", { "grpc-timeout": "5S" }, { max_grpc_timeout: "0.15s" }, SLOW),
  timed("deadline: max_grpc_timeout of 0", { "grpc-timeout": "150m" }, { max_grpc_timeout: "0s" }, SLOW),
  timed("deadline: max_grpc_timeout without the header", {}, { max_grpc_timeout: "5s", timeout: "0.15s" }, [
    late(250, replies()),
  ]),
  timed("deadline: an offset", { "grpc-timeout": "5S" }, { max_grpc_timeout: "9s", grpc_timeout_offset: "1s" }),
  timed(
    "deadline: grpc_timeout_header_max",
    { "grpc-timeout": "150m" },
    { max_stream_duration: { grpc_timeout_header_max: "5s" } },
    SLOW,
  ),
  timed(
    "deadline: grpc_timeout_header_max is a cap",
    { "grpc-timeout": "5S" },
    { max_stream_duration: { grpc_timeout_header_max: "0.15s" } },
    SLOW,
  ),
  timed(
    "deadline: grpc_timeout_header_max of 0",
    { "grpc-timeout": "150m" },
    { max_stream_duration: { grpc_timeout_header_max: "0s" } },
    SLOW,
  ),
  timed(
    "deadline: in the middle of the stream",
    { "grpc-timeout": "400m" },
    { max_stream_duration: { grpc_timeout_header_max: "5s" } },
    [
      answers(
        { headers: status(200, TYPE) },
        { data: REPLY },
        { waitMs: 900 },
        { headers: [["grpc-status", "0"]], end: true },
      ),
    ],
  ),
  ...["3S", "3000m", "1M", "1H", "100000000n", "3", "S", "3x", "123456789S", "-1S", "0S"].map(
    (value): Case => timed(`deadline: header ${value}`, { "grpc-timeout": value }, { max_grpc_timeout: "10s" }),
  ),
  ...["3S", "1M", "3"].map(
    (value): Case =>
      timed(
        `deadline: header ${value} for grpc_timeout_header_max`,
        { "grpc-timeout": value },
        { max_stream_duration: { grpc_timeout_header_max: "10s" } },
      ),
  ),
  timed(
    "deadline: header 0S for grpc_timeout_header_max",
    { "grpc-timeout": "0S" },
    { max_stream_duration: { grpc_timeout_header_max: "10s" } },
    [late(150, replies())],
  ),
  timed("deadline: stream duration", {}, { max_stream_duration: { max_stream_duration: "0.15s" } }, SLOW),
  timed("deadline: idle", {}, { idle_timeout: "0.15s" }, SLOW),
  grpc("deadline: idle timeout of streams", SLOW, { manager: { stream_idle_timeout: "0.15s" } }),
];

const denial = (rules: JsonObject): JsonObject => filter("envoy.filters.http.rbac", "RBAC", { rules });
const fault = (fields: JsonObject): JsonObject => filter("envoy.filters.http.fault", "HTTPFault", fields);
const always = { percentage: { numerator: 100 } };
const nobody = { cluster: { load_assignment: { cluster_name: "{case}" } } };
const answering = (code: number, body?: string): Pick<Case, "routes"> => ({
  routes: [
    { match: ANY, direct_response: { status: code, ...(body === undefined ? {} : { body: { inline_string: body } }) } },
  ],
});
const local = (name: string, more: Partial<Case>): Case => from2(`local: ${name}`, unary(), more);

const locals: Case[] = [
  local("no route", { routes: [to({ prefix: "/other" })] }),
  local("nobody serves", nobody),
  local("nobody listens", {
    clusters: [cluster("{case}", [host("closed")], overHttp2())],
    ...route({ cluster: "{case}" }),
  }),
  local("no such cluster", route({ cluster_header: "x-none" })),
  local("denied", { filters: [denial({ action: "ALLOW", policies: {} })] }),
  local("abort with a status of HTTP", { filters: [fault({ abort: { http_status: 503, ...always } })] }),
  local("abort with a status of gRPC", { filters: [fault({ abort: { grpc_status: 7, ...always } })] }),
  local("delayed", {
    filters: [fault({ delay: { fixed_delay: "0.05s", ...always } })],
    cluster: overHttp2(),
    answers: [replies()],
  }),
  from2("abort with a status of gRPC for a plain call", [...send("GET", "/"), { until: "end" }], {
    filters: [fault({ abort: { grpc_status: 7, ...always } })],
  }),
  ...[200, 400, 401, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504, 418, 302].map(
    (code): Case => local(`direct response ${code}`, answering(code, "a b%/ü\n")),
  ),
  local("direct response without a body", answering(503)),
  local("redirect", { routes: [{ match: ANY, redirect: { https_redirect: true } }] }),
  local("request timeout", { ...route({ timeout: "0.1s" }), cluster: overHttp2(), answers: SLOW }),
  local("max requests", {
    cluster: { ...overHttp2(), circuit_breakers: { thresholds: [{ max_requests: 0 }] } },
  }),
  local("upstream's protocol is broken", {
    cluster: overHttp2(),
    answers: [answers({ headers: [["x", "1"]], end: true })],
    view: endings,
  }),
  local("HTTP/1.1 upstream hangs up", { answers: [hangsUp] }),
  local("headers of the route", {
    virtualHost: { response_headers_to_add: [{ header: { key: "x-route", value: "%RESPONSE_CODE%" } }] },
    ...answering(503, "x"),
  }),
  local("mapped to another status", {
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: {
              status_code_filter: { comparison: { op: "EQ", value: { default_value: 503, runtime_key: "none" } } },
            },
            status_code: 429,
            body: { inline_string: "mapped" },
          },
        ],
      },
    },
    ...answering(503, "x"),
  }),
  {
    name: "local: a caller of HTTP/1.1",
    log: LOG,
    ...answering(403, "no"),
    steps: call1("POST", PATH, { headers: GRPC, body: MESSAGE }),
  },
  from2(
    "local: a request that never ends",
    [{ headers: head("POST", PATH, GRPC) }, { until: "end" }],
    answering(503, "no"),
  ),
  from2(
    "local: a content-type that only begins like gRPC",
    unary({ "content-type": "application/grpcx" }),
    answering(503, "no"),
  ),
];

const matches = (name: string, headers: HeaderOptions): Case =>
  from2(`route for gRPC: ${name}`, [...send("POST", PATH, { headers, body: MESSAGE }), { until: "end" }], {
    routes: [
      { match: { prefix: "/", grpc: {} }, direct_response: { status: 201, body: { inline_string: "grpc" } } },
      { match: { prefix: "/" }, direct_response: { status: 202, body: { inline_string: "other" } } },
    ],
  });

const STATUS_FORMATS =
  "%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%";
const logged = (name: string, list: readonly Answer[], more: Partial<Case> = {}): Case =>
  grpc(`log: ${name}`, list, {
    log: `${STATUS_FORMATS} %TRAILER(grpc-message)% %RESP(grpc-status)% %RESPONSE_CODE%`,
    ...more,
  });

const logs: Case[] = [
  logged("ok", [replies()]),
  ...[1, 4, 5, 13, 16, 17].map((code): Case => logged(`status ${code}`, [replies(code, { "grpc-message": "why" })])),
  logged("status in the head", [only(7)]),
  logged("no status", [respond(200)]),
  logged("HTTP 503", [respond(503)]),
  logged("status that is no number", [replies("x")]),
  logged("status of a local reply", [], answering(403, "no")),
  logged("plain call", [replies(5)], { http2: [...send("GET", "/"), { until: "end" }] }),
  grpc("log: filter by status", [replies(5)], {
    logFilter: { grpc_status_filter: { statuses: ["NOT_FOUND"] } },
  }),
  grpc("log: filter by another status", [replies(0)], {
    logFilter: { grpc_status_filter: { statuses: ["NOT_FOUND"] } },
  }),
  grpc("log: filter by excluded status", [replies(0)], {
    logFilter: { grpc_status_filter: { statuses: ["OK"], exclude: true } },
  }),
];

const outlier = (fields: JsonObject, list: readonly Answer[]): Partial<Case> => ({
  cluster: {
    ...overHttp2(),
    outlier_detection: {
      consecutive_5xx: 2,
      enforcing_consecutive_5xx: 100,
      max_ejection_percent: 100,
      interval: "60s",
      ...fields,
    },
    common_lb_config: { healthy_panic_threshold: { value: 0 } },
  },
  answers: list,
  http2: [...unary(), ...unary({}, 3), ...unary({}, 5)],
});

const failing = (code: ErrorName): Answer => answers({ reset: code });

const others: Case[] = [
  matches("application/grpc", GRPC),
  matches("application/grpc+proto", { "content-type": "application/grpc+proto" }),
  matches("application/json", { "content-type": "application/json" }),
  matches("no content-type", {}),
  grpc("outliers: statuses in the head", [], outlier({}, [only(14)])),
  grpc("outliers: statuses in trailers", [], outlier({}, [replies(14)])),
  grpc("outliers: HTTP 503", [], outlier({}, [respond(503)])),
  grpc("outliers: not found", [], outlier({}, [only(5)])),
  grpc("outliers: resets", [], outlier({}, [failing("INTERNAL_ERROR")])),
  grpc("CORS of grpc-web", [replies()], {
    filters: [filter("envoy.filters.http.cors", "Cors")],
    virtualHost: {
      typed_per_filter_config: {
        "envoy.filters.http.cors": typed("CorsPolicy", {
          allow_origin_string_match: [{ exact: "https://a.test" }],
          expose_headers: "grpc-status,grpc-message",
        }),
      },
    },
    http2: unary({ origin: "https://a.test" }),
  }),
  grpc("mirrored", [], {
    clusters: [cluster("{case}-shadow", [host("shadow")], overHttp2())],
    ...route({ request_mirror_policies: [{ cluster: "{case}-shadow" }] }),
    answers: ({ upstream }) => (upstream === "shadow" ? only(14) : replies()),
    http2: [...unary(), { waitMs: 100 }],
  }),
  grpc("mirrored to HTTP/1.1", [], {
    clusters: [cluster("{case}-shadow", [host("shadow")])],
    ...route({ request_mirror_policies: [{ cluster: "{case}-shadow" }] }),
    answers: ({ upstream }) => (upstream === "shadow" ? respond(200) : replies()),
    http2: [...unary(), { waitMs: 100 }],
  }),
];

export const grpcArea: Area = {
  name: "grpc",
  upstreams: { shadow: null },
  cases: [...calls, ...retries, ...deadlines, ...locals, ...logs, ...others],
};
