/** When a failed attempt is made again, how often and where, and what callers and upstreams are told about it. */
import type { Answer, Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, cluster, host, to, typed } from "../harness/config.ts";
import { call, get, hangsUp, late, resets, respond, sends } from "../harness/http.ts";

/** Retries at once, so that cases are short. */
const BACKOFF = { retry_back_off: { base_interval: "0.005s", max_interval: "0.01s" } };

const policy = (on: string, more: JsonObject = {}): readonly JsonObject[] => [
  to(ANY, { retry_policy: { retry_on: on, ...BACKOFF, ...more } }),
];
const fails = (...statuses: number[]): readonly Answer[] => [
  ...statuses.map((status) => respond(status, {}, String(status))),
  respond(200, {}, "ok"),
];

const retry = (name: string, on: string, answers: readonly Answer[], more: Partial<Case> = {}): Case => ({
  name,
  routes: policy(on),
  answers,
  steps: get("/"),
  ...more,
});

const GRPC = { "content-type": "application/grpc" };
const grpc = (status: number): Answer => respond(200, { ...GRPC, "grpc-status": String(status) });

const conditions: Case[] = [
  retry("5xx", "5xx", fails(500)),
  retry("5xx is not 404", "5xx", fails(404)),
  retry("5xx: hangs up", "5xx", [hangsUp, respond(200, {}, "ok")]),
  retry("gateway-error", "gateway-error", fails(502)),
  retry("gateway-error is not 500", "gateway-error", fails(500)),
  retry("retriable-4xx", "retriable-4xx", fails(409)),
  retry("retriable-4xx is not 404", "retriable-4xx", fails(404)),
  retry("reset", "reset", [resets, respond(200, {}, "ok")]),
  retry("reset is not 503", "reset", fails(503)),
  retry("reset-before-request", "reset-before-request", [resets, respond(200, {}, "ok")]),
  retry("connect-failure is not a reset", "connect-failure", [resets, respond(200, {}, "ok")]),
  retry("refused-stream is not a reset", "refused-stream", [resets, respond(200, {}, "ok")]),
  retry("garbage is a reset", "reset", [sends("garbage\r\n\r\n"), respond(200, {}, "ok")]),
  {
    name: "connect-failure",
    clusters: [cluster("{case}", [host("closed"), host("up")])],
    routes: [to(ANY, { cluster: "{case}", retry_policy: { retry_on: "connect-failure", num_retries: 8, ...BACKOFF } })],
    steps: get("/"),
    // Which host comes first is chance, and so is the time that is left for the other.
    view: (lines) => lines.filter((line) => !/^log: |x-envoy-expected-rq-timeout-ms/.test(line)),
  },
  {
    name: "connect-failure everywhere",
    clusters: [cluster("{case}", [host("closed")])],
    routes: [to(ANY, { cluster: "{case}", retry_policy: { retry_on: "connect-failure", num_retries: 2, ...BACKOFF } })],
    steps: get("/"),
  },
  retry("no condition", "", fails(503)),
  retry("several conditions", "retriable-4xx,reset", [resets, respond(409), respond(200, {}, "ok")], {
    routes: policy("retriable-4xx,reset", { num_retries: 2 }),
  }),
  retry("unknown condition", "nonsense,5xx", fails(503)),
  retry("retriable-status-codes", "retriable-status-codes", fails(417), {
    routes: policy("retriable-status-codes", { retriable_status_codes: [417, 429] }),
  }),
  retry("retriable-status-codes, another code", "retriable-status-codes", fails(416), {
    routes: policy("retriable-status-codes", { retriable_status_codes: [417, 429] }),
  }),
  retry("retriable-headers", "retriable-headers", [respond(200, { "x-again": "yes" }), respond(200, {}, "ok")], {
    routes: policy("retriable-headers", { retriable_headers: [{ name: "x-again", string_match: { exact: "yes" } }] }),
  }),
  retry("retriable request headers match", "5xx", fails(503), {
    routes: policy("5xx", { retriable_request_headers: [{ name: "x-may", present_match: true }] }),
    steps: get("/", { "x-may": "1" }),
  }),
  retry("retriable request headers do not match", "5xx", fails(503), {
    routes: policy("5xx", { retriable_request_headers: [{ name: "x-may", present_match: true }] }),
  }),
  retry("envoy-ratelimited", "envoy-ratelimited", [
    respond(429, { "x-envoy-ratelimited": "true" }),
    respond(200, {}, "ok"),
  ]),
  retry("5xx is not done where it is ratelimited", "5xx", [
    respond(503, { "x-envoy-ratelimited": "true" }),
    respond(200, {}, "ok"),
  ]),
  retry("grpc unavailable", "unavailable", [grpc(14), grpc(0)], { steps: call("POST", "/", { headers: GRPC }) }),
  retry("grpc cancelled is not unavailable", "unavailable", [grpc(1), grpc(0)], {
    steps: call("POST", "/", { headers: GRPC }),
  }),
  retry(
    "grpc resource-exhausted, internal, deadline-exceeded",
    "resource-exhausted,internal,deadline-exceeded",
    [grpc(8), grpc(13), grpc(4), grpc(0)],
    {
      routes: policy("resource-exhausted,internal,deadline-exceeded", { num_retries: 3 }),
      steps: call("POST", "/", { headers: GRPC }),
    },
  ),
  retry("http3-post-connect-failure changes nothing", "http3-post-connect-failure", fails(503)),
];

const numbers: Case[] = [
  retry("one retry by default", "5xx", fails(503, 503)),
  retry("three retries", "5xx", fails(503, 502, 500), { routes: policy("5xx", { num_retries: 3 }) }),
  retry("no retries", "5xx", fails(503), { routes: policy("5xx", { num_retries: 0 }) }),
  retry("retries of a body", "5xx", fails(503), { steps: call("POST", "/", { body: "abc" }) }),
  retry("retries of a chunked body", "5xx", fails(503), { steps: call("POST", "/", { body: "abc", chunked: true }) }),
  {
    name: "no retry of a body too large to keep",
    listener: { per_connection_buffer_limit_bytes: 1024 },
    routes: policy("5xx"),
    answers: fails(503),
    steps: call("POST", "/", { body: "x".repeat(8000) }),
  },
  retry("no retry after the response has begun", "5xx,reset", [
    sends("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", { waitMs: 30 }, { end: "reset" }),
    respond(200),
  ]),
  retry("limit: no retry at once", "5xx", fails(503), {
    cluster: { circuit_breakers: { thresholds: [{ max_retries: 0 }] } },
  }),
  retry("budget that allows it", "5xx", fails(503), {
    cluster: {
      circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 } }] },
    },
  }),
  retry("budget that allows none", "5xx", fails(503), {
    cluster: {
      circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 0 }, min_retry_concurrency: 0 } }] },
    },
  }),
  {
    name: "policy of the virtual host",
    virtualHost: { retry_policy: { retry_on: "5xx", num_retries: 2, ...BACKOFF } },
    answers: fails(503, 503),
    steps: get("/"),
  },
  {
    name: "policy of the route instead of the virtual host's",
    virtualHost: { retry_policy: { retry_on: "5xx", num_retries: 5, ...BACKOFF } },
    routes: policy("5xx"),
    answers: fails(503, 503),
    steps: get("/"),
  },
];

const previous = {
  retry_host_predicate: [{ name: "previous_hosts", typed_config: typed("PreviousHostsPredicate") }],
  host_selection_retry_max_attempts: 20,
};

const hosts: Case[] = [
  {
    name: "the other host",
    clusters: [cluster("{case}", [host("up"), host("b")])],
    routes: [to(ANY, { cluster: "{case}", retry_policy: { retry_on: "5xx", ...previous, ...BACKOFF } })],
    answers: ({ number }) => (number === 1 ? respond(503) : respond(200, {}, "second")),
    steps: get("/"),
    view: (lines) => [
      ...lines.filter((line) => line.startsWith("<")),
      `hosts: ${new Set(lines.filter((line) => / \d> GET/.test(line)).map((line) => line.split(" ")[0])).size}`,
    ],
  },
];

const headers: Case[] = [
  {
    name: "x-envoy-retry-on and x-envoy-max-retries",
    answers: fails(503, 503),
    steps: get("/", { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "2" }),
  },
  { name: "x-envoy-retry-on alone", answers: fails(503, 503), steps: get("/", { "x-envoy-retry-on": "5xx" }) },
  { name: "x-envoy-max-retries alone", answers: fails(503), steps: get("/", { "x-envoy-max-retries": "2" }) },
  {
    name: "x-envoy-max-retries over the policy",
    routes: policy("5xx"),
    answers: fails(503, 503, 503),
    steps: get("/", { "x-envoy-max-retries": "3" }),
  },
  {
    name: "x-envoy-max-retries of nothing",
    routes: policy("5xx"),
    answers: fails(503),
    steps: get("/", { "x-envoy-max-retries": "0" }),
  },
  {
    name: "x-envoy-max-retries that is no number",
    routes: policy("5xx"),
    answers: fails(503, 503),
    steps: get("/", { "x-envoy-max-retries": "many" }),
  },
  {
    name: "x-envoy-retriable-status-codes",
    answers: fails(417),
    steps: get("/", { "x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "417,419" }),
  },
  {
    name: "x-envoy-retriable-header-names",
    answers: [respond(200, { "x-again": "1" }), respond(200, {}, "ok")],
    steps: get("/", { "x-envoy-retry-on": "retriable-headers", "x-envoy-retriable-header-names": "x-again" }),
  },
  {
    name: "x-envoy-retry-grpc-on",
    answers: [grpc(14), grpc(0)],
    steps: call("POST", "/", { headers: { ...GRPC, "x-envoy-retry-grpc-on": "unavailable" } }),
  },
  {
    name: "attempt count for the upstream and the caller",
    virtualHost: { include_request_attempt_count: true, include_attempt_count_in_response: true },
    routes: policy("5xx", { num_retries: 2 }),
    answers: fails(503, 503),
    steps: get("/"),
  },
  {
    name: "attempt count that the caller claims",
    virtualHost: { include_request_attempt_count: true },
    steps: get("/", { "x-envoy-attempt-count": "7" }),
  },
  {
    name: "attempt count of a failure",
    virtualHost: { include_attempt_count_in_response: true },
    routes: policy("5xx"),
    answers: [hangsUp],
    steps: get("/"),
  },
  {
    name: "retry headers are not taken from outside at the edge",
    manager: { use_remote_address: true },
    answers: fails(503),
    steps: get("/", { "x-envoy-retry-on": "5xx" }),
  },
];

const timing: Case[] = [
  {
    name: "per try timeout, then an answer",
    routes: [to(ANY, { timeout: "3s", retry_policy: { retry_on: "5xx", per_try_timeout: "0.3s", ...BACKOFF } })],
    answers: [late(1200, respond(200, {}, "late")), respond(200, {}, "ok")],
    steps: get("/"),
  },
  {
    name: "per try timeout each time",
    routes: [
      to(ANY, {
        timeout: "3s",
        retry_policy: { retry_on: "5xx", per_try_timeout: "0.25s", num_retries: 2, ...BACKOFF },
      }),
    ],
    answers: [late(1200, respond(200))],
    steps: get("/"),
  },
  {
    name: "the route's timeout ends retries",
    routes: [
      to(ANY, {
        timeout: "0.45s",
        retry_policy: { retry_on: "5xx", num_retries: 5, per_try_timeout: "0.3s", ...BACKOFF },
      }),
    ],
    answers: [late(1200, respond(200))],
    steps: get("/"),
  },
  {
    name: "rate limited back-off",
    routes: policy("5xx", {
      rate_limited_retry_back_off: { reset_headers: [{ name: "retry-after", format: "SECONDS" }], max_interval: "5s" },
    }),
    answers: [respond(503, { "retry-after": "1" }), respond(200, {}, "ok")],
    steps: get("/"),
    // How long is waited beyond the second that is asked for is chance.
    view: (lines) => lines.filter((line) => !line.includes("x-envoy-expected-rq-timeout-ms")),
  },
];

export const retries: Area = {
  name: "retries",
  // Envoy lets three retries be under way in a cluster at once.
  concurrency: 3,
  upstreams: { b: null },
  cases: [...conditions, ...numbers, ...hosts, ...headers, ...timing],
};
