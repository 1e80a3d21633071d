/** How much one HTTP/2 connection may ask for, how long it lives, and how callers and proxies take leave of each other. */
import type { Answer, Area, Case, Http2Step } from "../harness/case.ts";
import { ANY, to } from "../harness/config.ts";
import { call as call1, get as get1, hangsUp, late, respond } from "../harness/http.ts";
import { answers, call, endings, from2, get, head, LOG, overHttp2, send, status } from "../harness/http2/build.ts";
import { type ErrorName, FLAG, TYPE, uint32 } from "../harness/http2/frames.ts";

const many = (count: number): Readonly<Record<string, string>> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, "1"]));
const large = (kib: number): Readonly<Record<string, string>> => ({ "x-a": "a".repeat(kib * 1024) });

const heads: Case[] = [
  from2("a head of 58 KiB", get("/", large(58))),
  from2("a head of 61 KiB", get("/", large(61))),
  from2("a head of 100 KiB", get("/", large(100)), { view: endings }),
  from2("a head above a small limit", get("/", large(2)), { manager: { max_request_headers_kb: 1 } }),
  from2("a head above a small limit, streams only", get("/", large(2)), {
    manager: {
      max_request_headers_kb: 1,
      http2_protocol_options: { override_stream_error_on_invalid_http_message: true },
    },
  }),
  from2("ninety fields", get("/", many(90))),
  from2("a hundred fields and one", get("/", many(101))),
  from2("a hundred fields and one, streams only", get("/", many(101)), {
    manager: { http2_protocol_options: { override_stream_error_on_invalid_http_message: true } },
  }),
  from2("more fields allowed", get("/", many(150)), {
    manager: { common_http_protocol_options: { max_headers_count: 200 } },
  }),
  from2("trailers that are too many", call("POST", "/", { body: "a", trailers: many(101) }), { view: onlyOutcome }),
  from2("trailers that are too large", call("POST", "/", { body: "a", trailers: large(61) }), { view: onlyOutcome }),
  from2("an answer's head of 58 KiB", get("/"), { cluster: overHttp2(), answers: [respond(200, large(58))] }),
  from2("an answer's head of 61 KiB", get("/"), { cluster: overHttp2(), answers: [respond(200, large(61))] }),
  from2("an answer's head above a small limit", get("/"), {
    cluster: overHttp2({}, { common_http_protocol_options: { max_response_headers_kb: 1 } }),
    answers: [respond(200, large(2))],
  }),
  from2("an answer's hundred fields and one", get("/"), { cluster: overHttp2(), answers: [respond(200, many(101))] }),
  from2("an answer's fields, more allowed", get("/"), {
    cluster: overHttp2({}, { common_http_protocol_options: { max_headers_count: 200 } }),
    answers: [respond(200, many(150))],
  }),
  {
    name: "HTTP/1.1 caller: an answer's hundred fields and one",
    log: LOG,
    steps: get1("/"),
    cluster: overHttp2(),
    answers: [respond(200, many(101))],
  },
];

/** How a request ended, where the way there is chance. */
function onlyOutcome(lines: readonly string[]): readonly string[] {
  return endings(lines)
    .filter((line) => !line.startsWith("up "))
    .map((line) => line.replace(/ (?:rx|upstream)=\S+/g, ""));
}

const LATE = [late(150, respond(200, {}, "late"))];
const endsOf = (...streams: readonly number[]): Http2Step[] => streams.map((stream) => ({ until: "end", stream }));

const streams: Case[] = [
  from2(
    "more streams than allowed",
    [...[1, 3, 5].flatMap((stream) => send("GET", `/${stream}`, { stream })), ...endsOf(1, 3, 5)],
    { manager: { http2_protocol_options: { max_concurrent_streams: 2 } }, answers: LATE, view: sorted },
  ),
  from2(
    "streams one after the other within the limit",
    [...call("GET", "/1"), ...call("GET", "/3", { stream: 3 }), ...call("GET", "/5", { stream: 5 })],
    { manager: { http2_protocol_options: { max_concurrent_streams: 1 } } },
  ),
  from2("requests per connection", [...get("/1"), ...call("GET", "/2", { stream: 3 }), { waitMs: 30 }], {
    manager: { common_http_protocol_options: { max_requests_per_connection: 2 }, drain_timeout: "0.1s" },
  }),
  from2("requests per connection: the last one is in flight", [...get("/1")], {
    manager: { common_http_protocol_options: { max_requests_per_connection: 1 }, drain_timeout: "0.1s" },
  }),
  from2(
    "requests per upstream connection",
    [...get("/1"), ...call("GET", "/2", { stream: 3 }), ...call("GET", "/3", { stream: 5 })],
    {
      cluster: overHttp2({}, { common_http_protocol_options: { max_requests_per_connection: 2 } }),
      showsConnections: true,
    },
  ),
  from2(
    "streams that an upstream allows",
    [...send("GET", "/1"), ...send("GET", "/2", { stream: 3 }), ...endsOf(1, 3)],
    {
      cluster: overHttp2({ max_concurrent_streams: 1 }),
      answers: LATE,
      view: (lines) => [
        `${new Set(lines.filter((line) => line.includes(" on connection "))).size} connections`,
        ...statuses(lines),
      ],
      showsConnections: true,
    },
  ),
  from2(
    "streams that an upstream shares",
    [...get("/0"), ...send("GET", "/1", { stream: 3 }), ...send("GET", "/2", { stream: 5 }), ...endsOf(3, 5)],
    {
      cluster: overHttp2(),
      answers: LATE,
      view: (lines) => [...lines.filter((line) => line.includes(" on connection ")), ...statuses(lines)],
      showsConnections: true,
    },
  ),
  from2(
    "circuit breaker of requests",
    [...send("GET", "/1"), { waitMs: 40 }, ...call("GET", "/2", { stream: 3 }), ...endsOf(1)],
    {
      cluster: { ...overHttp2(), circuit_breakers: { thresholds: [{ max_requests: 1 }] } },
      answers: LATE,
    },
  ),
];

function sorted(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.replace(/^up \d/, "up").replace(/\/[135]\b/, "/N")).sort();
}

function statuses(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => line.includes(":status"));
}

const times: Case[] = [
  from2("idle connection", [...get("/"), { until: "closed" }], {
    manager: { common_http_protocol_options: { idle_timeout: "0.15s" } },
  }),
  from2("idle connection that never asked", [{ until: "closed" }], {
    manager: { common_http_protocol_options: { idle_timeout: "0.15s" } },
  }),
  from2("connection duration", [...get("/"), { until: "closed" }], {
    manager: { common_http_protocol_options: { max_connection_duration: "0.15s" }, drain_timeout: "0.1s" },
  }),
  from2("connection duration with a call in flight", [...get("/"), { until: "closed" }], {
    manager: { common_http_protocol_options: { max_connection_duration: "0.1s" }, drain_timeout: "0.1s" },
    answers: [late(300, respond(200, {}, "late"))],
  }),
  from2(
    "a stream after GOAWAY",
    [...get("/"), { until: "goaway" }, ...call("GET", "/2", { stream: 3 }), { until: "closed" }],
    {
      manager: { common_http_protocol_options: { max_connection_duration: "0.1s" }, drain_timeout: "0.3s" },
    },
  ),
  from2("stream duration of the manager", get("/"), {
    manager: { common_http_protocol_options: { max_stream_duration: "0.2s" } },
    answers: [late(600, respond(200))],
  }),
  from2("stream duration in the middle of the body", get("/"), {
    manager: { common_http_protocol_options: { max_stream_duration: "0.2s" } },
    cluster: overHttp2(),
    answers: [answers({ headers: status(200) }, { data: "abc" }, { waitMs: 500 }, { data: "", end: true })],
  }),
  from2("idle timeout of streams", get("/"), {
    manager: { stream_idle_timeout: "0.2s" },
    answers: [late(600, respond(200))],
  }),
  from2("idle timeout of streams in the middle of the body", get("/"), {
    manager: { stream_idle_timeout: "0.2s" },
    cluster: overHttp2(),
    answers: [answers({ headers: status(200) }, { data: "abc" }, { waitMs: 500 }, { data: "", end: true })],
  }),
  from2("idle timeout of a request that stops", [{ headers: head("POST", "/") }, { data: "abc" }, { until: "end" }], {
    manager: { stream_idle_timeout: "0.2s" },
  }),
  from2("request timeout", [{ headers: head("POST", "/") }, { data: "abc" }, { until: "end" }], {
    manager: { request_timeout: "0.2s" },
  }),
  from2(
    "timeout of a request's head",
    [
      // The acknowledgement of SETTINGS must not come in the middle of the block.
      { waitMs: 50 },
      { frame: { type: TYPE.headers, flags: FLAG.endStream, stream: 1, payload: "\0\x01a\x01b" } },
      { waitMs: 400 },
      { end: "close" },
    ],
    { manager: { request_headers_timeout: "0.2s" } },
  ),
  from2("route timeout", [...get("/"), { waitMs: 30 }], {
    routes: [to(ANY, { timeout: "0.15s" })],
    cluster: overHttp2(),
    answers: [late(400, respond(200))],
  }),
  from2("route timeout in the middle of the body", get("/"), {
    routes: [to(ANY, { timeout: "0.15s" })],
    cluster: overHttp2(),
    answers: [answers({ headers: status(200) }, { data: "abc" }, { waitMs: 400 }, { data: "", end: true })],
  }),
  from2("per try timeout", get("/"), {
    routes: [to(ANY, { retry_policy: { retry_on: "connect-failure", per_try_timeout: "0.15s" } })],
    cluster: overHttp2(),
    answers: [late(400, respond(200))],
  }),
  from2("per try idle timeout", get("/"), {
    routes: [to(ANY, { retry_policy: { retry_on: "connect-failure", per_try_idle_timeout: "0.15s" } })],
    cluster: overHttp2(),
    answers: [late(400, respond(200))],
  }),
  from2("idle upstream connection", [...get("/1"), { waitMs: 250 }, ...call("GET", "/2", { stream: 3 })], {
    cluster: overHttp2({}, { common_http_protocol_options: { idle_timeout: "0.1s" } }),
    showsConnections: true,
  }),
  from2("upstream connection's duration", [...get("/1"), { waitMs: 250 }, ...call("GET", "/2", { stream: 3 })], {
    cluster: overHttp2({}, { common_http_protocol_options: { max_connection_duration: "0.1s" } }),
    showsConnections: true,
  }),
];

const PARTIAL: Answer = answers({ headers: status(200) }, { data: "abc" }, { waitMs: 300 }, { data: "def", end: true });

const resetBy = (code: ErrorName): Case[] => [
  from2(`the caller resets: ${code}`, [...send("GET", "/"), { waitMs: 60 }, { reset: code }, { waitMs: 60 }], {
    cluster: overHttp2(),
    answers: [late(300, respond(200))],
  }),
];

const leaving: Case[] = [
  ...(
    ["NO_ERROR", "CANCEL", "PROTOCOL_ERROR", "INTERNAL_ERROR", "REFUSED_STREAM", "ENHANCE_YOUR_CALM"] as const
  ).flatMap(resetBy),
  from2(
    "the caller resets in the middle of the answer",
    [...send("GET", "/"), { until: 3 }, { reset: "CANCEL" }, { waitMs: 60 }],
    {
      cluster: overHttp2(),
      answers: [PARTIAL],
    },
  ),
  from2(
    "the caller resets in the middle of its body",
    [{ headers: head("POST", "/") }, { data: "abc" }, { waitMs: 60 }, { reset: "CANCEL" }, { waitMs: 60 }],
    {
      cluster: overHttp2(),
    },
  ),
  from2(
    "the caller resets towards HTTP/1.1",
    [...send("GET", "/"), { waitMs: 60 }, { reset: "CANCEL" }, { waitMs: 60 }],
    {
      answers: [late(300, respond(200))],
    },
  ),
  from2("the caller's connection ends", [...send("GET", "/"), { waitMs: 60 }, { end: "close" }, { waitMs: 60 }], {
    cluster: overHttp2(),
    answers: [late(300, respond(200))],
  }),
  from2("the caller's connection is reset", [...send("GET", "/"), { waitMs: 60 }, { end: "reset" }, { waitMs: 60 }], {
    cluster: overHttp2(),
    answers: [late(300, respond(200))],
  }),
  {
    name: "an HTTP/1.1 caller's connection ends",
    log: LOG,
    cluster: overHttp2(),
    steps: [...call1("GET", "/").slice(0, 1), { waitMs: 60 }, { end: "close" }, { waitMs: 60 }],
    answers: [late(300, respond(200))],
  },
  from2("the caller says GOAWAY and goes on", [{ goaway: "NO_ERROR", last: 0 }, ...get("/")], { view: withoutEnd }),
  from2(
    "the caller says GOAWAY while a call is in flight",
    [...send("GET", "/"), { goaway: "NO_ERROR", last: 0 }, { until: "end" }],
    { answers: LATE, view: withoutEnd },
  ),
  from2(
    "the caller says GOAWAY with an error",
    [...send("GET", "/"), { goaway: "PROTOCOL_ERROR", last: 0 }, { until: "end" }],
    { answers: LATE, view: withoutEnd },
  ),
  {
    ...from2(
      "the caller resets more streams than its bucket holds",
      [1, 3, 5, 7].flatMap((stream) => [...call("GET", "/", { stream }), { reset: "NO_ERROR" as const, stream }]),
      { manager: { http2_protocol_options: { stream_reset_burst: 3, stream_reset_rate: 1 } } },
    ),
    view: (lines) => lines.filter((line) => line.startsWith("connection: ")),
    differs: {
      why: "RFC 9113, section 10.5: ENHANCE_YOUR_CALM is for peers that do too much of what they may do",
      envoy: ["connection: GOAWAY INTERNAL_ERROR last=7, closed"],
      outrigger: ["connection: GOAWAY ENHANCE_YOUR_CALM last=7, closed"],
    },
  },
  from2("the upstream hangs up, and the connection stays", [...get("/1"), ...call("GET", "/2", { stream: 3 })], {
    cluster: overHttp2(),
    answers: [hangsUp, respond(200, {}, "ok")],
  }),
];

/** Envoy no longer answers PINGs of a caller that has taken its leave. */
function withoutEnd(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.startsWith("connection: "));
}

const frame = (name: string, ...steps: readonly Http2Step[]): Case =>
  from2(`frame: ${name}`, [...steps, { until: "end" }]);
/** Envoy's word for what its codec found wrong names the library that it no longer uses. */
const UNNAMED: NonNullable<Case["differs"]> = {
  why: "what the frame did wrong is no other kind of error than its neighbours in this list, and is logged as they are",
  envoy: ["log: 0 DPE http2.unknown.nghttp2.error HTTP/2 GET / rx=0 tx=0 attempts=1 reason=- grpc=-"],
  outrigger: [
    "log: 0 DPE codec_error:The_user_callback_function_failed HTTP/2 GET / rx=0 tx=0 attempts=1 reason=- grpc=-",
  ],
};

const inFlight = (name: string, ...steps: readonly Http2Step[]): Case =>
  from2(`frame beside a call: ${name}`, [...send("GET", "/"), { waitMs: 50 }, ...steps, { until: "end" }], {
    cluster: overHttp2(),
    answers: [late(200, respond(200, {}, "late"))],
  });

/** Breaches of the framing itself: h2spec has more of them; here is what they do to calls and logs. */
const frames: Case[] = [
  inFlight("DATA on stream 0", { frame: { type: TYPE.data, payload: "abc" } }),
  inFlight("DATA on a stream that nobody opened", { data: "abc", stream: 9 }),
  { ...inFlight("a second head after the end", { headers: head("GET", "/"), end: true }), differs: UNNAMED },
  inFlight("a stream of even number", ...send("GET", "/", { stream: 2 })),
  inFlight("WINDOW_UPDATE of 0 for the connection", { frame: { type: TYPE.window, payload: uint32(0) } }),
  inFlight("a connection window that grows too large", { frame: { type: TYPE.window, payload: uint32(0x7fffffff) } }),
  inFlight("RST_STREAM of a stream that nobody opened", { reset: "CANCEL", stream: 9 }),
  inFlight("RST_STREAM of the wrong length", { frame: { type: TYPE.reset, stream: 1, payload: "abc" } }),
  inFlight("PING of the wrong length", { frame: { type: TYPE.ping, payload: "abc" } }),
  inFlight("SETTINGS of the wrong length", { frame: { type: TYPE.settings, payload: "abc" } }),
  inFlight("SETTINGS ack with a payload", { frame: { type: TYPE.settings, flags: FLAG.ack, payload: "abcdef" } }),
  inFlight("SETTINGS with a frame size too small", { frame: { type: TYPE.settings, payload: "\0\x05\0\0\0\x01" } }),
  inFlight("SETTINGS with a window too large", { frame: { type: TYPE.settings, payload: "\0\x04\xff\xff\xff\xff" } }),
  inFlight("unknown SETTINGS", { frame: { type: TYPE.settings, payload: "\xff\xff\0\0\0\x01" } }),
  inFlight("CONTINUATION without a head", {
    frame: { type: TYPE.continuation, flags: FLAG.endHeaders, stream: 1, payload: "" },
  }),
  inFlight("a header block that is no HPACK", {
    frame: {
      type: TYPE.headers,
      flags: FLAG.endHeaders | FLAG.endStream,
      stream: 3,
      payload: "\xff\xff\xff\xff\xff\xff\xff",
    },
  }),
  inFlight(
    "a frame within a header block",
    { frame: { type: TYPE.headers, flags: FLAG.endStream, stream: 3, payload: "\0\x01a\x01b" } },
    { frame: { type: TYPE.ping, payload: "12345678" } },
  ),
  inFlight("a frame that is too large", { frame: { type: TYPE.data, stream: 1, payload: "x".repeat(16_385) } }),
  {
    ...inFlight("PUSH_PROMISE", {
      frame: { type: TYPE.push, flags: FLAG.endHeaders, stream: 1, payload: "\0\0\0\x02" },
    }),
    differs: UNNAMED,
  },
  inFlight("a frame of an unknown type", { frame: { type: 0x42, stream: 1, payload: "abc" } }),
  inFlight("PRIORITY", { frame: { type: TYPE.priority, stream: 1, payload: "\0\0\0\0\x10" } }),
  frame(
    "padding longer than the frame",
    { headers: head("POST", "/") },
    { frame: { type: TYPE.data, flags: FLAG.padded, stream: 1, payload: "\x09abc" } },
  ),
  frame(
    "padding",
    { headers: head("POST", "/") },
    { frame: { type: TYPE.data, flags: FLAG.padded | FLAG.endStream, stream: 1, payload: "\x02abc\0\0" } },
  ),
].map((one): Case => ({ ...one, view: withoutRest }));

/** Breaches where Outrigger does what the RFC says, and Envoy more, or nothing. */
const byTheBook = (
  name: string,
  why: string,
  steps: readonly Http2Step[],
  envoy: string[],
  outrigger: string[],
): Case => ({
  ...from2(`frame: ${name}`, [...steps, { until: "end" }], {
    cluster: overHttp2(),
    answers: [late(200, respond(200))],
  }),
  view: (lines) => endings(lines).filter((line) => /^s\d< reset|^s\d< {3}:status|^connection/.test(line)),
  differs: { why, envoy, outrigger },
});

const judged: Case[] = [
  byTheBook(
    "PRIORITY on itself",
    "RFC 7540, section 5.3.1: a stream cannot depend on itself",
    [...send("GET", "/"), { waitMs: 50 }, { frame: { type: TYPE.priority, stream: 1, payload: "\0\0\0\x01\x10" } }],
    ["s1<   :status: 200"],
    ["s1< reset PROTOCOL_ERROR"],
  ),
  byTheBook(
    "a stream number that goes back",
    "RFC 9113, section 5.1.1: a new stream has a higher number, or the connection ends",
    [...call("GET", "/", { stream: 5 }), ...send("GET", "/", { stream: 3 })],
    ["connection: kept"],
    ["connection: closed"],
  ),
  byTheBook(
    "DATA after the end",
    "RFC 9113, section 5.1: that is an error of the stream",
    [...send("GET", "/"), { waitMs: 50 }, { data: "abc" }],
    ["connection: closed"],
    ["s1< reset STREAM_CLOSED", "connection: kept"],
  ),
  byTheBook(
    "WINDOW_UPDATE of 0",
    "RFC 9113, section 6.9: that is an error of the stream",
    [...send("GET", "/"), { waitMs: 50 }, { frame: { type: TYPE.window, stream: 1, payload: uint32(0) } }],
    ["connection: closed"],
    ["s1< reset PROTOCOL_ERROR", "connection: kept"],
  ),
  byTheBook(
    "a window that grows too large",
    "RFC 9113, section 6.9.1: that is an error of the stream",
    [...send("GET", "/"), { waitMs: 50 }, { frame: { type: TYPE.window, stream: 1, payload: uint32(0x7fffffff) } }],
    ["connection: closed"],
    ["s1< reset FLOW_CONTROL_ERROR", "connection: kept"],
  ),
];

/** What the body of a refused call looked like upstream is chance. */
function withoutRest(lines: readonly string[]): readonly string[] {
  const seen = endings(lines).filter((line) => !/^up \d+> {3}(?:cut|chunked)/.test(line));
  // Which of the broken calls is logged first is nobody's promise.
  return [...seen.filter((line) => !line.startsWith("log")), ...seen.filter((line) => line.startsWith("log")).sort()];
}

export const http2Limits: Area = {
  name: "http2-limits",
  cases: [...heads, ...streams, ...times, ...leaving, ...frames, ...judged],
};
