/** What upstreams get wrong or do in unusual ways. */
import type { Answer, Area, Case } from "../harness/case.ts";
import { upstreamOptions } from "../harness/config.ts";
import { call, get, hangsUp, raw, resets, respond, sends } from "../harness/http.ts";

const OK = "HTTP/1.1 200 OK\r\n";

const answered = (name: string, answer: Answer, more: Partial<Case> = {}): Case => ({
  name,
  answers: [answer],
  steps: get("/"),
  ...more,
});

const bad: Case[] = [
  answered("hangs up instead of answering", hangsUp),
  answered("resets instead of answering", resets),
  answered(
    "hangs up before the body is read",
    { early: true, steps: [{ end: "close" }] },
    { steps: call("POST", "/", { body: "abc" }) },
  ),
  answered("garbage", sends("garbage\r\n\r\n")),
  answered("another protocol", sends("SSH-2.0-OpenSSH_9.6\r\n")),
  answered("hangs up in the head", sends(`${OK}content-le`, { end: "close" })),
  answered("hangs up in the body", sends(`${OK}content-length: 10\r\n\r\nabc`, { waitMs: 30 }, { end: "close" })),
  answered("resets in the body", sends(`${OK}content-length: 10\r\n\r\nabc`, { waitMs: 30 }, { end: "reset" })),
  answered(
    "hangs up in a chunk",
    sends(`${OK}transfer-encoding: chunked\r\n\r\n5\r\nab`, { waitMs: 30 }, { end: "close" }),
  ),
  answered(
    "hangs up before the last chunk",
    sends(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n`, { waitMs: 30 }, { end: "close" }),
  ),
  answered("malformed chunk", sends(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\nxyz\r\n`, { waitMs: 30 })),
  answered("more than the length", sends(`${OK}content-length: 2\r\n\r\nabcdef`)),
  answered("two lengths", sends(`${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`)),
  answered("the same length twice", sends(`${OK}content-length: 2\r\ncontent-length: 2\r\n\r\nab`)),
  answered("length that is no number", sends(`${OK}content-length: two\r\n\r\nab`)),
  answered(
    "length and chunked",
    sends(`${OK}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`),
  ),
  answered("unknown coding", sends(`${OK}transfer-encoding: gzip\r\n\r\nab`, { end: "close" })),
  answered("status 600", sends("HTTP/1.1 600 Unknown\r\ncontent-length: 0\r\n\r\n")),
  answered("field without a colon", sends(`${OK}nonsense\r\ncontent-length: 2\r\n\r\nok`)),
  answered("NUL in a value", sends(`${OK}x-a: a\0b\r\ncontent-length: 2\r\n\r\nok`)),
  answered("a head of 61 KiB", sends(`${OK}x-a: ${"a".repeat(61 * 1024)}\r\ncontent-length: 2\r\n\r\nok`)),
  answered("a hundred fields and one", sends(`${OK}${"x-a: 1\r\n".repeat(101)}content-length: 2\r\n\r\nok`)),
  answered(
    "bytes without being asked",
    { steps: [...respond(200, {}, "ok").steps, { waitMs: 40 }, { write: "HTTP/1.1 200 OK\r\n\r\n" }] },
    { cluster: {}, steps: [...get("/"), { waitMs: 100 }, ...get("/")] },
  ),
];

const unusual: Case[] = [
  answered(
    "ends with the connection",
    sends(`${OK}content-type: text/plain\r\n\r\nuntil the end`, { waitMs: 30 }, { end: "close" }),
  ),
  answered("ends with the connection, HTTP/1.0", sends("HTTP/1.0 200 OK\r\n\r\nold", { end: "close" })),
  answered("a host in an answer", respond(200, { host: "me" }, "ok")),
  answered("HTTP/1.0 with a length", sends("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold")),
  answered("connection: close", sends(`${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`), {
    steps: [...get("/"), ...get("/")],
  }),
  answered("chunked", sends(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n`)),
  answered("chunked in pieces", {
    steps: `${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n`
      .split(/(?<=[\na])/)
      .flatMap((bytes) => [{ write: bytes }, { waitMs: 3 }]),
  }),
  answered("trailers are dropped", sends(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n`)),
  answered(
    "trailers are passed",
    sends(`${OK}transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n`),
    {
      manager: { http_protocol_options: { enable_trailers: true } },
      cluster: upstreamOptions({ explicit_http_config: { http_protocol_options: { enable_trailers: true } } }),
    },
  ),
  answered("204", sends("HTTP/1.1 204 No Content\r\n\r\n")),
  answered("204 with a length", sends("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")),
  answered("204 with a body", sends("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok")),
  answered("304", sends('HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n')),
  answered("304 with a length", sends('HTTP/1.1 304 Not Modified\r\netag: "x"\r\ncontent-length: 100\r\n\r\n')),
  answered("100 without being asked", sends(`HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 2\r\n\r\nok`)),
  answered("no reason phrase", sends("HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok")),
  answered("no space after the status", sends("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok")),
  answered("status 299", sends("HTTP/1.1 299 Unknown\r\ncontent-length: 0\r\n\r\n")),
  answered(
    "answers before the body is there",
    { early: true, steps: [{ write: `${OK}content-length: 2\r\n\r\nok` }, { waitMs: 100 }] },
    {
      steps: [{ send: `POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nabc` }, { read: "response" }],
    },
  ),
  answered(
    "answers before the body is there, which comes then",
    { early: true, steps: [{ write: `${OK}content-length: 2\r\n\r\nok` }, { body: true }] },
    {
      steps: [
        { send: `POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\n\r\nabc` },
        { waitMs: 60 },
        { send: "def" },
        { read: "response" },
      ],
    },
  ),
  answered("a body of a megabyte", respond(200, {}, "0123456789abcdef".repeat(65_536))),
  answered("a request body of a megabyte", respond(200), {
    steps: call("POST", "/", { body: "0123456789abcdef".repeat(65_536) }),
  }),
  answered("a chunked request body", respond(200), { steps: call("PUT", "/", { body: "abc", chunked: true }) }),
  answered(
    "set-cookie twice and other repetitions",
    respond(200, { "set-cookie": ["a=1", "b=2"], "x-r": ["1", "2"] }, "ok"),
  ),
  answered(
    "Envoy's own headers in an answer",
    respond(
      200,
      {
        "x-envoy-upstream-service-time": "7",
        "x-envoy-overloaded": "true",
        "x-envoy-ratelimited": "true",
        "x-envoy-upstream-healthchecked-cluster": "x",
        "x-envoy-degraded": "1",
      },
      "ok",
    ),
  ),
  answered(
    "retry-after and gRPC status",
    respond(200, { "content-type": "application/grpc", "grpc-status": "14", "grpc-message": "no" }),
  ),
];

/** The answer and the start of the log line: all the rest differs too. */
const verdict = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => /^(?:< HTTP.*|log: \S+ \S+ \S+)/.exec(line)?.[0] ?? []);

const BAD_GATEWAY = [
  "< HTTP/1.1 502 Bad Gateway",
  "log: 502 UPE upstream_reset_before_response_started{protocol_error}",
];

const ownWay: Case[] = [
  answered("status of four digits", sends("HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"), {
    view: verdict,
    differs: {
      why: "RFC 9112, section 4: a status has three digits",
      envoy: ["< HTTP/1.1 2000 Unknown", "log: 2000 - via_upstream"],
      outrigger: BAD_GATEWAY,
    },
  }),
  answered(
    "101 without being asked",
    sends("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", { waitMs: 30 }),
    {
      view: verdict,
      differs: {
        why: "RFC 9110, section 15.2.2: a server switches only to what the client has offered; the caller would wait for ever",
        envoy: ["< HTTP/1.1 101 Switching Protocols", "log: 101 - via_upstream"],
        outrigger: BAD_GATEWAY,
      },
    },
  ),
  answered(
    "102 and 103",
    sends(
      `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
    ),
    {
      differs: {
        why: "RFC 9110, section 15.2: a proxy forwards informational responses that it did not ask for itself",
        envoy: [],
        outrigger: ["< HTTP/1.1 102 Processing", "< HTTP/1.1 103 Early Hints", "<   link: </a>"],
      },
    },
  ),
  answered(
    "HTTP/1.0 with chunks",
    sends("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n"),
    {
      view: verdict,
      differs: {
        why: "RFC 9112, section 6.1: such a message has faulty framing",
        envoy: ["< HTTP/1.1 200 OK", "log: 200 - via_upstream"],
        outrigger: BAD_GATEWAY,
      },
    },
  ),
  answered("repeated vary", respond(200, { vary: ["a", "b"] }, "ok"), {
    differs: {
      why: "repeated fields stay as they came; Envoy joins those that it keeps only once",
      envoy: ["<   vary: a,b"],
      outrigger: ["<   vary: a", "<   vary: b"],
    },
  }),
  answered("reset of a body that ends with its connection", sends(`${OK}\r\nabc`, { waitMs: 40 }, { end: "reset" }), {
    view: (lines) => [...verdict(lines), ...lines.filter((line) => line.includes("chunked"))],
    differs: {
      why: "a reset is no orderly end (RFC 9112, section 6.3): nobody knows whether the body was whole, and the caller is told",
      envoy: ['<   chunked 3: "abc"', "log: 200 - via_upstream"],
      outrigger: [
        '<   cut chunked 3: "abc"',
        "log: 200 UC upstream_reset_after_response_started{connection_termination}",
      ],
    },
  }),
];

const limits: Case[] = [
  {
    name: "upstream heads of more than 1 KiB refused",
    cluster: upstreamOptions({ common_http_protocol_options: { max_response_headers_kb: 1 } }),
    answers: [respond(200, { "x-a": "a".repeat(1500) })],
    steps: get("/"),
  },
  {
    name: "one request on a connection",
    cluster: upstreamOptions({ common_http_protocol_options: { max_requests_per_connection: 1 } }),
    steps: [...get("/1"), ...get("/2")],
  },
  { name: "a body that needs no upstream", steps: raw("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n") },
];

export const upstreams: Area = {
  name: "upstreams",
  cases: [...bad, ...unusual, ...ownWay, ...limits],
};
