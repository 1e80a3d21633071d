/** Deadlines of every kind, on the route, on the connection manager and in headers. */
import type { Answer, Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, to, upstreamOptions } from "../harness/config.ts";
import { call, get, late, request, respond } from "../harness/http.ts";

const SLOW = [late(1200, respond(200, {}, "slow"))];
const QUICK = [late(60, respond(200, {}, "quick"))];
const GRPC = { "content-type": "application/grpc" };

const route = (fields: JsonObject): readonly JsonObject[] => [to(ANY, fields)];

/** An answer whose body stops in the middle. */
const stalls = (ms: number): Answer => ({
  steps: [{ write: "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc" }, { waitMs: ms }, { write: "def" }],
});

const routes: Case[] = [
  { name: "route timeout", routes: route({ timeout: "0.3s" }), answers: SLOW, steps: get("/") },
  { name: "route timeout that is long enough", routes: route({ timeout: "3s" }), answers: QUICK, steps: get("/") },
  { name: "no route timeout", routes: route({ timeout: "0s" }), answers: QUICK, steps: get("/") },
  {
    name: "route timeout in the middle of the body",
    routes: route({ timeout: "0.3s" }),
    answers: [stalls(1100)],
    steps: get("/"),
  },
  {
    name: "route timeout starts with the end of the request",
    routes: route({ timeout: "0.3s" }),
    answers: [late(150, respond(200, {}, "ok"))],
    steps: [
      { send: "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 3\r\n\r\na" },
      { waitMs: 250 },
      { send: "bc" },
      { read: "response" },
    ],
  },
  {
    name: "per try timeout without a retry",
    routes: route({ timeout: "3s", retry_policy: { retry_on: "connect-failure", per_try_timeout: "0.25s" } }),
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "per try timeout longer than the route's",
    routes: route({ timeout: "0.3s", retry_policy: { retry_on: "5xx", per_try_timeout: "1s" } }),
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "per try idle timeout",
    routes: route({ timeout: "3s", retry_policy: { retry_on: "connect-failure", per_try_idle_timeout: "0.25s" } }),
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "idle timeout of the route",
    routes: route({ timeout: "3s", idle_timeout: "0.3s" }),
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "idle timeout in the middle of the body",
    routes: route({ timeout: "3s", idle_timeout: "0.3s" }),
    answers: [stalls(1100)],
    steps: get("/"),
  },
  {
    name: "idle timeout of zero",
    manager: { stream_idle_timeout: "0.2s" },
    routes: route({ timeout: "3s", idle_timeout: "0s" }),
    answers: [late(400, respond(200, {}, "ok"))],
    steps: get("/"),
  },
  {
    name: "stream duration of the route",
    routes: route({ timeout: "3s", max_stream_duration: { max_stream_duration: "0.3s" } }),
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "stream duration of the route in the middle of the body",
    routes: route({ timeout: "3s", max_stream_duration: { max_stream_duration: "0.3s" } }),
    answers: [stalls(1100)],
    steps: get("/"),
  },
];

const managers: Case[] = [
  { name: "idle timeout of streams", manager: { stream_idle_timeout: "0.3s" }, answers: SLOW, steps: get("/") },
  {
    name: "idle timeout of a request that stops",
    manager: { stream_idle_timeout: "0.3s" },
    steps: [{ send: "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nabc" }, { read: "response" }],
  },
  {
    name: "timeout of a request",
    manager: { request_timeout: "0.3s" },
    steps: [{ send: "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nabc" }, { read: "response" }],
  },
  {
    name: "timeout of a request's head",
    manager: { request_headers_timeout: "0.3s" },
    steps: [{ send: "GET / HTTP/1.1\r\nhost: {host}\r\n" }, { read: "response" }],
  },
  {
    name: "timeout of a request does not hold for its answer",
    manager: { request_timeout: "0.2s" },
    answers: [late(400, respond(200, {}, "ok"))],
    steps: get("/"),
  },
  {
    name: "stream duration of the manager",
    manager: { common_http_protocol_options: { max_stream_duration: "0.3s" } },
    answers: SLOW,
    steps: get("/"),
  },
  {
    name: "idle connection",
    manager: { common_http_protocol_options: { idle_timeout: "0.2s" } },
    steps: [...get("/"), { waitMs: 500 }],
  },
  {
    name: "connection duration",
    manager: { common_http_protocol_options: { max_connection_duration: "0.2s" }, drain_timeout: "0.1s" },
    steps: [...get("/"), { waitMs: 700 }],
  },
  {
    name: "a request when the connection's time is over",
    manager: { common_http_protocol_options: { max_connection_duration: "0.2s" }, drain_timeout: "3s" },
    steps: [...get("/"), { waitMs: 500 }, ...get("/")],
    // Envoy says that it closes, but may still answer what comes after that.
    view: (lines) => lines.filter((line) => !line.startsWith("connection:")),
  },
  {
    name: "idle upstream connection",
    cluster: upstreamOptions({ common_http_protocol_options: { idle_timeout: "0.1s" } }),
    steps: [...get("/1"), { waitMs: 250 }, ...get("/2")],
  },
];

const headers: Case[] = [
  {
    name: "x-envoy-upstream-rq-timeout-ms",
    answers: SLOW,
    steps: get("/", { "x-envoy-upstream-rq-timeout-ms": "300" }),
  },
  {
    name: "x-envoy-upstream-rq-timeout-ms that is no number",
    answers: QUICK,
    steps: get("/", { "x-envoy-upstream-rq-timeout-ms": "soon" }),
  },
  {
    name: "x-envoy-upstream-rq-timeout-ms of zero",
    routes: route({ timeout: "2s" }),
    answers: QUICK,
    steps: get("/", { "x-envoy-upstream-rq-timeout-ms": "0" }),
  },
  {
    name: "x-envoy-upstream-rq-per-try-timeout-ms",
    answers: SLOW,
    steps: get("/", { "x-envoy-upstream-rq-per-try-timeout-ms": "250", "x-envoy-upstream-rq-timeout-ms": "3000" }),
  },
  { name: "x-envoy-expected-rq-timeout-ms is replaced", steps: get("/", { "x-envoy-expected-rq-timeout-ms": "100" }) },
  {
    name: "x-envoy-expected-rq-timeout-ms respected",
    router: { respect_expected_rq_timeout: true },
    answers: SLOW,
    steps: get("/", { "x-envoy-expected-rq-timeout-ms": "200" }),
  },
  { name: "no timeout is told", router: { suppress_envoy_headers: true }, steps: get("/") },
  {
    name: "x-envoy-upstream-alt-response",
    answers: SLOW,
    steps: get("/", { "x-envoy-upstream-rq-timeout-ms": "250", "x-envoy-upstream-rq-timeout-alt-response": "1" }),
  },
  {
    name: "grpc-timeout",
    routes: route({ max_stream_duration: { grpc_timeout_header_max: "5s" } }),
    answers: SLOW,
    steps: call("POST", "/", { headers: { ...GRPC, "grpc-timeout": "300m" } }),
  },
  {
    name: "grpc-timeout beyond its maximum",
    routes: route({ max_stream_duration: { grpc_timeout_header_max: "0.3s" } }),
    answers: SLOW,
    steps: call("POST", "/", { headers: { ...GRPC, "grpc-timeout": "10S" } }),
  },
  {
    name: "max_grpc_timeout",
    routes: route({ max_grpc_timeout: "1s" }),
    answers: SLOW,
    steps: call("POST", "/", { headers: { ...GRPC, "grpc-timeout": "300m" } }),
  },
  {
    name: "grpc-timeout that nobody asked for",
    answers: QUICK,
    steps: call("POST", "/", { headers: { ...GRPC, "grpc-timeout": "10m" } }),
  },
  {
    name: "a stream's timeout for gRPC is an answer in gRPC",
    routes: route({ timeout: "0.25s" }),
    answers: SLOW,
    steps: call("POST", "/", { headers: GRPC }),
  },
];

const pipelined: Case[] = [
  {
    name: "a second request after a timeout",
    routes: route({ timeout: "0.25s" }),
    answers: [late(500, respond(200, {}, "slow")), respond(200, {}, "ok")],
    steps: [{ send: request("GET", "/1") + request("GET", "/2") }, { read: "response" }, { read: "response" }],
  },
];

export const timeouts: Area = {
  name: "timeouts",
  concurrency: 12,
  cases: [...routes, ...managers, ...headers, ...pipelined],
};
