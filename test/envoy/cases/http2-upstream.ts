/** What HTTP/2 upstreams get wrong, or cut short: what callers are told, what is tried again, what is logged. */
import type { Answer, Area, Case, Http2UpstreamStep } from "../harness/case.ts";
import { ANY, cluster, host, to } from "../harness/config.ts";
import { get as get1, hangsUp, late, resets, respond } from "../harness/http.ts";
import { answers, call, endings, from2, get, head, overHttp2, status } from "../harness/http2/build.ts";
import { type ErrorName, errorNames, FLAG, TYPE, uint32 } from "../harness/http2/frames.ts";
import { encodeFields } from "../harness/http2/hpack.ts";

const OK = status(200, { "x-up": "1" });
const CUT: Http2UpstreamStep[] = [{ headers: OK }, { data: "abc" }, { waitMs: 30 }];

/** A call over HTTP/2 to an upstream of HTTP/2, in a cluster of its own. */
const over = (name: string, answer: Answer | readonly Answer[], more: Partial<Case> = {}): Case =>
  from2(name, get("/"), { cluster: overHttp2(), answers: "steps" in answer ? [answer] : answer, ...more });

/** The same call over HTTP/1.1. */
const from1 = (name: string, answer: Answer, more: Partial<Case> = {}): Case => {
  const { http2: _, ...rest } = over(name, answer, more);
  return { ...rest, steps: get1("/") };
};

const resetsBefore = (code: ErrorName): Answer => answers({ reset: code });
const resetsAfter = (code: ErrorName): Answer => answers(...CUT, { reset: code });

const failures: Case[] = [
  ...errorNames.flatMap((code): Case[] => [
    over(`resets instead of answering: ${code}`, resetsBefore(code)),
    over(`resets in the body: ${code}`, resetsAfter(code)),
  ]),
  from1("HTTP/1.1 caller: resets instead of answering", resetsBefore("INTERNAL_ERROR")),
  from1("HTTP/1.1 caller: refuses the stream", resetsBefore("REFUSED_STREAM")),
  from1("HTTP/1.1 caller: resets in the body", resetsAfter("INTERNAL_ERROR")),
  from1("HTTP/1.1 caller: resets right after the end", answers({ headers: OK, end: true }, { reset: "NO_ERROR" })),
  over("hangs up instead of answering", hangsUp),
  over("resets the connection instead of answering", resets),
  over("hangs up in the body", answers(...CUT, { end: "close" })),
  over("resets the connection in the body", answers(...CUT, { end: "reset" }), {
    // How much of the body arrives before is chance.
    view: (lines) => lines.filter((line) => !/ cut http2 |^log/.test(line)),
  }),
  over("GOAWAY instead of answering, and hangs up", answers({ goaway: "NO_ERROR" }, { waitMs: 20 }, { end: "close" })),
  over("GOAWAY that leaves the call out", answers({ goaway: "NO_ERROR", last: 0 }, { waitMs: 50 })),
  over(
    "GOAWAY with an error that leaves the call out",
    answers({ goaway: "ENHANCE_YOUR_CALM", last: 0 }, { waitMs: 50 }),
  ),
  over(
    "GOAWAY, then an answer",
    answers({ goaway: "NO_ERROR" }, { waitMs: 20 }, { headers: OK }, { data: "abc", end: true }),
  ),
  over("GOAWAY with an error, then an answer", [
    answers({ goaway: "INTERNAL_ERROR" }, { waitMs: 20 }, { headers: OK }, { data: "abc", end: true }),
  ]),
  over(
    "a call after GOAWAY has a connection of its own",
    [
      answers({ headers: OK }, { data: "abc", end: true }, { goaway: "NO_ERROR" }),
      answers({ headers: OK }, { data: "def", end: true }),
    ],
    {
      http2: [...get("/1"), { waitMs: 50 }, ...call("GET", "/2", { stream: 3 })],
      showsConnections: true,
    },
  ),
  over(
    "an answer before the request's end, then NO_ERROR",
    {
      early: true,
      ...answers({ headers: OK }, { data: "abc", end: true }, { reset: "NO_ERROR" }),
    },
    {
      http2: [{ headers: head("POST", "/") }, { until: "end" }],
    },
  ),
  over(
    "an answer before the request's end",
    { early: true, ...answers({ headers: OK, end: true }) },
    {
      http2: [
        { headers: head("POST", "/") },
        { until: "end" },
        { waitMs: 20 },
        { data: "abc", end: true },
        { waitMs: 50 },
      ],
    },
  ),
  over("a late answer to a call that timed out", late(300, respond(200)), {
    routes: [to(ANY, { timeout: "0.1s" })],
    http2: [...get("/"), { waitMs: 300 }],
  }),
];

const bad = (name: string, ...steps: readonly Http2UpstreamStep[]): Case => over(`answer: ${name}`, answers(...steps));
const field = (name: string, ...pairs: readonly (readonly [string, string])[]): Case[] => [
  bad(name, { headers: [...OK, ...pairs] }, { data: "abc", end: true }),
];

const malformed: Case[] = [
  bad("no :status", { headers: [["x-a", "1"]], end: true }),
  bad("two :status", { headers: [...OK, ...OK], end: true }),
  bad("empty :status", { headers: [[":status", ""]], end: true }),
  bad(":status that is no number", { headers: [[":status", "abc"]], end: true }),
  bad(":status of two digits", { headers: [[":status", "20"]], end: true }),
  bad(":status 600", { headers: [[":status", "600"]], end: true }),
  {
    ...bad(":status 99", { headers: [[":status", "099"]], end: true }),
    view: (lines) => endings(lines).filter((line) => /:status|^log/.test(line)),
    differs: {
      why: "RFC 9110, section 15: status codes begin at 100",
      envoy: ["s1<   :status: 099", "log: 99 - via_upstream HTTP/2 GET / rx=0 tx=0 attempts=1 reason=- grpc=-"],
      outrigger: [
        "s1<   :status: 502",
        "log: 502 UPE upstream_reset_before_response_started{protocol_error} HTTP/2 GET / rx=0 tx=87 attempts=1 reason=- grpc=-",
      ],
    },
  },
  bad(":status 101", { headers: status(101), end: true }),
  bad(":path in it", { headers: [...OK, [":path", "/"]], end: true }),
  bad(":status after a field", { headers: [["x-a", "1"], ...OK], end: true }),
  ...field("name in upper case", ["X-A", "1"]),
  ...field("empty name", ["", "1"]),
  ...field("CR LF in a value", ["x-a", "a\r\nb"]),
  ...field("NUL in a value", ["x-a", "a\0b"]),
  ...field("connection", ["connection", "close"]),
  ...field("transfer-encoding", ["transfer-encoding", "chunked"]),
  ...field("keep-alive", ["keep-alive", "timeout=5"]),
  ...field("upgrade", ["upgrade", "h2c"]),
  ...field("too short a content-length", ["content-length", "2"]),
  ...field("too long a content-length", ["content-length", "5"]),
  ...field("two content-lengths", ["content-length", "3"], ["content-length", "4"]),
  ...field("the same content-length twice", ["content-length", "3"], ["content-length", "3"]),
  ...field("content-length that is no number", ["content-length", "abc"]),
  ...field("set-cookie twice", ["set-cookie", "a=1"], ["set-cookie", "b=2"]),
  ...field("host", ["host", "a"]),
  ...field("name with an underscore", ["x_a", "1"]),
  bad("DATA before its head", { data: "abc", end: true }),
  bad(
    "a head in the middle of the body",
    { headers: OK },
    { data: "abc" },
    { headers: status(200) },
    { data: "x", end: true },
  ),
  bad("trailers with a pseudo-header", { headers: OK }, { data: "abc" }, { headers: [[":status", "200"]], end: true }),
  bad("trailers with upper case", { headers: OK }, { data: "abc" }, { headers: [["X-T", "1"]], end: true }),
  bad("trailers with connection", { headers: OK }, { data: "abc" }, { headers: [["connection", "close"]], end: true }),
  {
    ...bad("DATA after its end", { headers: OK, end: true }, { data: "abc" }),
    differs: {
      why: "RFC 9113, section 5.1: DATA on a closed stream is an error of that stream",
      envoy: [],
      outrigger: ["up 1> reset STREAM_CLOSED"],
    },
  },
  bad("204 with a body", { headers: status(204) }, { data: "abc", end: true }),
  bad("304 with a length", { headers: status(304, { "content-length": "5" }), end: true }),
  bad("1xx that ends the stream", { headers: status(103, { link: "a" }), end: true }),
  {
    ...bad("103", { headers: status(103, { link: "a" }) }, { headers: OK, end: true }),
    differs: {
      why: "RFC 9110, section 15.2: a proxy forwards informational responses that it did not ask for itself",
      envoy: [],
      outrigger: ["s1< HTTP/2", "s1<   :status: 103", "s1<   link: a"],
    },
  },
  bad("100 without being asked", { headers: status(100) }, { headers: OK, end: true }),
  bad("a field without a place in the table", {
    frame: { type: TYPE.headers, flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: "\xff\x80\x01" },
  }),
  bad("PUSH_PROMISE", {
    frame: {
      type: TYPE.push,
      flags: FLAG.endHeaders,
      stream: 1,
      payload: Buffer.concat([uint32(2), encodeFields([[":method", "GET"]])]),
    },
  }),
  bad("DATA on a stream that nobody opened", { data: "abc", stream: 7 }, { waitMs: 30 }, { headers: OK, end: true }),
  {
    ...bad(
      "a window that grows too large",
      { frame: { type: TYPE.window, stream: 1, payload: uint32(0x7fffffff) } },
      { waitMs: 30 },
      { headers: OK, end: true },
    ),
    differs: {
      why: "RFC 9113, section 6.9.1: that is an error of the stream, and the connection goes on",
      envoy: [],
      outrigger: ["up 1> reset FLOW_CONTROL_ERROR"],
    },
  },
  bad("a frame of an unknown type", { frame: { type: 0x42, stream: 1, payload: "abc" } }, { headers: OK, end: true }),
  bad("a frame that is too large", { frame: { type: TYPE.data, stream: 1, payload: "x".repeat(20_000) } }),
];

const policy = (on: string, more = {}): Partial<Case> => ({
  routes: [
    to(ANY, {
      retry_policy: {
        retry_on: on,
        num_retries: 2,
        retry_back_off: { base_interval: "0.005s", max_interval: "0.01s" },
        ...more,
      },
    }),
  ],
});
const retry = (name: string, on: string, ...sequence: readonly Answer[]): Case =>
  over(`retry: ${name}`, [...sequence, respond(200, {}, "ok")], policy(on));

const again: Case[] = [
  retry("refused-stream", "refused-stream", resetsBefore("REFUSED_STREAM")),
  retry("refused-stream twice", "refused-stream", resetsBefore("REFUSED_STREAM"), resetsBefore("REFUSED_STREAM")),
  retry("refused-stream is not CANCEL", "refused-stream", resetsBefore("CANCEL")),
  retry(
    "refused-stream and a call that GOAWAY leaves out",
    "refused-stream",
    answers({ goaway: "NO_ERROR", last: 0 }, { waitMs: 50 }),
  ),
  retry("reset", "reset", resetsBefore("INTERNAL_ERROR")),
  retry("reset and a refused stream", "reset", resetsBefore("REFUSED_STREAM")),
  retry("reset and GOAWAY", "reset", answers({ goaway: "NO_ERROR", last: 0 }, { waitMs: 50 })),
  retry("reset and a connection that ends", "reset", hangsUp),
  retry("reset after the head", "reset", resetsAfter("INTERNAL_ERROR")),
  retry("connect-failure is not a reset", "connect-failure", resetsBefore("REFUSED_STREAM")),
  retry("gateway-error and a reset", "gateway-error", resetsBefore("INTERNAL_ERROR")),
  retry("5xx and a reset", "5xx", resetsBefore("INTERNAL_ERROR")),
  retry("5xx and 503", "5xx", respond(503)),
  retry("http3-post-connect-failure is none of it", "http3-post-connect-failure", resetsBefore("REFUSED_STREAM")),
  retry("reset-before-request", "reset-before-request", resetsBefore("INTERNAL_ERROR")),
  over(
    "retry: attempts that take too long",
    [late(400, respond(200)), respond(200, {}, "ok")],
    policy("reset", { per_try_timeout: "0.1s" }),
  ),
  over("retry: no condition", [resetsBefore("REFUSED_STREAM"), respond(200)]),
  from2("nobody listens", get("/"), {
    clusters: [cluster("{case}", [host("closed")], overHttp2())],
    routes: [to(ANY, { cluster: "{case}" })],
  }),
];

/** What of the body goes on before its length turns out to be wrong is chance. */
const withoutBody: NonNullable<Case["view"]> = (lines) =>
  endings(lines)
    .filter((line) => !/ cut http2 /.test(line))
    .map((line) => line.replace(/ tx=\S+/, ""));

export const http2Upstream: Area = {
  name: "http2-upstream",
  cases: [
    ...failures,
    ...malformed.map((one): Case => (one.view === undefined ? { ...one, view: withoutBody } : one)),
    ...again,
  ],
};
