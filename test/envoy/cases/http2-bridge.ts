/** Calls that change their protocol on the way: HTTP/1.1 to HTTP/2, back, and HTTP/2 all the way. */
import type { Answer, Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, add, to, upstreamOptions } from "../harness/config.ts";
import { call as call1, get as get1, request as request1, respond, sends } from "../harness/http.ts";
import {
  answers,
  call,
  endings,
  exactly,
  from2,
  get,
  head,
  LOG,
  onlyEnd,
  overHttp2,
  send,
  status,
} from "../harness/http2/build.ts";

type Way = "1 to 2" | "2 to 1" | "2 to 2";
const WAYS: readonly Way[] = ["1 to 2", "2 to 1", "2 to 2"];

interface Exchange {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly trailers?: Readonly<Record<string, string>>;
  readonly answer?: Answer;
  readonly more?: Partial<Case>;
}

/** The same exchange on each way that changes the protocol, and on HTTP/2 alone. */
function ways(name: string, exchange: Exchange, chosen: readonly Way[] = WAYS): Case[] {
  const { method = "GET", path = "/", headers = {}, body, trailers, answer, more = {} } = exchange;
  const cut = answer === undefined ? {} : { answers: [answer] };
  const options = {
    headers,
    ...(body === undefined ? {} : { body }),
    ...(trailers === undefined ? {} : { trailers, chunked: true }),
  };
  return chosen.map((way): Case => {
    const upstream = way === "2 to 1" ? {} : { cluster: overHttp2() };
    const title = `${way}: ${name}`;
    if (way === "1 to 2")
      return { name: title, log: LOG, steps: call1(method, path, options), ...upstream, ...cut, ...more };
    return from2(title, call(method, path, options), { ...upstream, ...cut, ...more });
  });
}

/** One answer in both protocols. */
const both = (one: Answer, two: Answer): Answer => ({ steps: one.steps, http2: two.http2 ?? [] });
const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";

const requests: Case[] = [
  ...ways("GET", { path: "/p?q=1" }),
  ...["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].flatMap((method) => ways(method, { method })),
  ...ways("a body with a length", { method: "POST", headers: { "content-length": "3" }, body: "abc" }, [
    "2 to 1",
    "2 to 2",
  ]),
  ...ways("a body", { method: "POST", body: "abc" }),
  ...ways("an empty body", { method: "POST", body: "" }),
  ...ways("a body and trailers, which are not enabled", { method: "POST", body: "abc", trailers: { "x-t": "1" } }),
  ...ways("a body and trailers", {
    method: "POST",
    body: "abc",
    trailers: { "x-t": "1" },
    more: { manager: { http_protocol_options: { enable_trailers: true } } },
  }),
  {
    name: "2 to 1: a body and trailers, enabled upstream",
    log: LOG,
    http2: call("POST", "/", { body: "abc", trailers: { "x-t": "1" } }),
    cluster: upstreamOptions({ explicit_http_config: { http_protocol_options: { enable_trailers: true } } }),
  },
  ...ways("several cookies", { headers: { cookie: ["a=1", "b=2; c=3"] } }),
  ...ways(
    "connection headers",
    {
      headers: {
        connection: "keep-alive, x-gone",
        "x-gone": "1",
        "keep-alive": "timeout=5",
        "proxy-connection": "keep-alive",
      },
    },
    ["1 to 2"],
  ),
  ...ways("te: trailers", { headers: { te: "trailers" } }),
  ...ways("te: trailers, deflate", { headers: { te: "trailers, deflate" } }, ["1 to 2"]),
  ...ways("repeated headers", { headers: { "x-a": ["1", "2"], "X-B": "3" } }, ["1 to 2"]),
  ...ways("repeated headers in lower case", { headers: { "x-a": ["1", "2"] } }, ["2 to 1", "2 to 2"]),
  ...ways("x-forwarded-for", {
    headers: { "x-forwarded-for": "1.2.3.4" },
    more: { manager: { use_remote_address: true } },
  }),
  ...ways("x-forwarded-proto", { headers: { "x-forwarded-proto": "https" } }),
  ...ways("via", { headers: { via: "1.0 first" }, more: { manager: { via: "outer" } } }),
  ...ways("expect: 100-continue", { method: "POST", headers: { expect: "100-continue" }, body: "abc" }),
  ...ways("expect: 100-continue that is passed on", {
    method: "POST",
    headers: { expect: "100-continue" },
    body: "abc",
    more: { manager: { proxy_100_continue: true } },
    answer: both(
      {
        early: true,
        steps: [
          { write: "HTTP/1.1 100 Continue\r\n\r\n" },
          { body: true },
          { write: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" },
        ],
      },
      answers({ headers: status(100) }, { headers: status(200), end: true }),
    ),
  }),
  ...ways("underscores refused", {
    headers: { x_a: "1" },
    more: { manager: { common_http_protocol_options: { headers_with_underscores_action: "REJECT_REQUEST" } } },
  }),
  ...ways("underscores dropped", {
    headers: { x_a: "1" },
    more: { manager: { common_http_protocol_options: { headers_with_underscores_action: "DROP_HEADER" } } },
  }),
  ...ways("no route", { path: "/b", more: { routes: [to({ prefix: "/a" })] } }, ["1 to 2", "2 to 2"]),
  ...ways(
    "direct response",
    { more: { routes: [{ match: ANY, direct_response: { status: 201, body: { inline_string: "direct" } } }] } },
    ["2 to 2"],
  ),
  ...ways("redirect", { more: { routes: [{ match: ANY, redirect: { https_redirect: true, path_redirect: "/x" } }] } }, [
    "2 to 2",
  ]),
  ...ways("rewritten", {
    path: "/a/b?c",
    more: { routes: [to(ANY, { prefix_rewrite: "/z/", host_rewrite_literal: "other.test" })] },
  }),
  ...ways("headers added and removed", {
    headers: { "x-gone": "1" },
    more: {
      routes: [
        to(
          ANY,
          {},
          {
            request_headers_to_add: [add("x-new", "%PROTOCOL% %REQ(:AUTHORITY)%")],
            request_headers_to_remove: ["x-gone"],
            response_headers_to_add: [add("x-answer", "%RESPONSE_CODE%")],
          },
        ),
      ],
    },
  }),
  ...ways("a request id is kept", { headers: { "x-request-id": "mine" } }, ["2 to 2"]),
  ...ways("a large head", { headers: { "x-a": "a".repeat(20_000) } }),
  ...ways("path normalized", { path: "/a/../b", more: { manager: { normalize_path: true } } }),
  ...ways("slashes merged", { path: "//a///b", more: { manager: { merge_slashes: true } } }, ["2 to 2"]),
  ...ways("host's port stripped", { more: { manager: { strip_any_host_port: true } } }, ["2 to 1"]),
  ...ways("scheme overwritten", {
    more: { manager: { scheme_header_transformation: { scheme_to_overwrite: "https" } } },
  }),
  ...ways("deadline in a header", { headers: { "x-envoy-upstream-rq-timeout-ms": "5000" } }),
  from2(
    "2 to 2: scheme https in plaintext",
    exactly([
      [":method", "GET"],
      [":scheme", "https"],
      [":authority", "{host}"],
      [":path", "/"],
    ]),
    {
      cluster: overHttp2(),
    },
  ),
  from2(
    "2 to 2: host instead of :authority",
    exactly([
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      ["host", "{host}"],
    ]),
    {
      cluster: overHttp2(),
    },
  ),
  from2(
    "2 to 2: OPTIONS *",
    exactly([
      [":method", "OPTIONS"],
      [":scheme", "http"],
      [":authority", "{host}"],
      [":path", "*"],
    ]),
    {
      cluster: overHttp2(),
    },
  ),
  { name: "1 to 2: absolute form", log: LOG, steps: call1("GET", "http://{host}/x?y"), cluster: overHttp2() },
  {
    name: "1 to 2: HTTP/1.0",
    log: LOG,
    manager: { http_protocol_options: { accept_http_10: true } },
    steps: call1("GET", "/", { version: "HTTP/1.0" }),
    cluster: overHttp2(),
  },
];

const replies: Case[] = [
  ...ways("answer: 204", {
    answer: both(sends("HTTP/1.1 204 No Content\r\n\r\n"), answers({ headers: status(204), end: true })),
  }),
  ...ways("answer: 304 with an etag", {
    answer: both(
      sends('HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n'),
      answers({ headers: status(304, { etag: '"a"' }), end: true }),
    ),
  }),
  ...ways("answer: of no known length", {
    answer: both(
      sends(`${CHUNKED}\r\n3\r\nabc\r\n0\r\n\r\n`),
      answers({ headers: status(200) }, { data: "abc", end: true }),
    ),
  }),
  ...ways("answer: no body and no length", {
    answer: both(sends(`${CHUNKED}\r\n0\r\n\r\n`), answers({ headers: status(200), end: true })),
  }),
  ...ways("answer: an empty DATA frame at the end", {
    answer: both(
      sends(`${CHUNKED}\r\n0\r\n\r\n`),
      answers({ headers: status(200) }, { data: "abc" }, { data: "", end: true }),
    ),
  }),
  ...ways("answer: trailers, which are not enabled", {
    answer: both(
      sends(`${CHUNKED}\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n`),
      answers({ headers: status(200) }, { data: "abc" }, { headers: [["x-t", "1"]], end: true }),
    ),
  }),
  ...ways("answer: trailers", {
    answer: both(
      sends(`${CHUNKED}\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n`),
      answers({ headers: status(200) }, { data: "abc" }, { headers: [["x-t", "1"]], end: true }),
    ),
    more: { manager: { http_protocol_options: { enable_trailers: true } } },
  }),
  ...ways("answer: trailers without a body", {
    answer: both(
      sends(`${CHUNKED}\r\n0\r\nx-t: 1\r\n\r\n`),
      answers({ headers: status(200) }, { headers: [["x-t", "1"]], end: true }),
    ),
    more: { manager: { http_protocol_options: { enable_trailers: true } } },
  }),
  ...ways("answer: HEAD with a length", {
    method: "HEAD",
    answer: both(
      sends("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
      answers({ headers: status(200, { "content-length": "5" }), end: true }),
    ),
  }),
  ...ways("answer: 103", {
    answer: both(
      sends("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
      answers({ headers: status(103, { link: "a" }) }, { headers: status(200, { "content-length": "0" }), end: true }),
    ),
    more: { manager: { proxy_100_continue: true } },
  }),
  ...ways("answer: unusual status", { answer: respond("299 Strange Words") }),
  ...ways("answer: cookies", { answer: respond(200, { "set-cookie": ["a=1", "b=2"] }, "x") }),
  ...ways(
    "answer: connection headers",
    {
      answer: sends(
        "HTTP/1.1 200 OK\r\nconnection: x-gone\r\nx-gone: 1\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\nok",
      ),
    },
    ["2 to 1"],
  ),
  ...ways("answer: upper case", { answer: sends("HTTP/1.1 200 OK\r\nX-Upper: A\r\nContent-Length: 2\r\n\r\nok") }, [
    "2 to 1",
  ]),
  ...ways(
    "answer: transfer-encoding and a length",
    {
      answer: sends("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    },
    ["2 to 1"],
  ),
  ...ways("answer: until the connection ends", { answer: sends("HTTP/1.1 200 OK\r\n\r\nrest", { end: "close" }) }, [
    "2 to 1",
  ]),
  ...ways(
    "answer: cut short",
    { answer: sends("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", { waitMs: 40 }, { end: "close" }) },
    ["2 to 1"],
  ),
  ...ways("answer: none", { answer: { steps: [{ end: "close" }] } }, ["2 to 1"]),
  ...ways(
    "answer: server and date are kept",
    {
      answer: respond(200, { server: "mine", date: "yesterday" }, "x"),
      more: { manager: { server_header_transformation: "PASS_THROUGH" } },
    },
    ["2 to 2"],
  ),
  ...ways("answer: x-envoy-upstream-service-time is left out", { more: { router: { suppress_envoy_headers: true } } }, [
    "2 to 2",
  ]),
];

const websocket1 = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-key": "x",
  "sec-websocket-version": "13",
};
const upgrades: JsonObject = { upgrade_configs: [{ upgrade_type: "websocket" }] };
const allowed: JsonObject = { ...upgrades, http2_protocol_options: { allow_connect: true } };
const switches1 = sends("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", {
  echo: true,
});
const accepts2: Answer = {
  early: true,
  ...answers({ headers: status(200, { "sec-websocket-accept": "y" }) }, { echo: true }),
};
const extended = (headers: Readonly<Record<string, string>> = {}) => [
  [":method", "CONNECT"] as const,
  [":protocol", "websocket"] as const,
  ...head("GET", "/chat", { "sec-websocket-version": "13", ...headers }).slice(1),
];

const tunnels: Case[] = [
  {
    name: "WebSocket 1 to 2",
    log: LOG,
    manager: upgrades,
    cluster: overHttp2({ allow_connect: true }),
    answers: [accepts2],
    steps: [...get1("/chat", websocket1), { send: "frame" }, { bytes: 5 }],
  },
  {
    name: "WebSocket 1 to 2 that is refused",
    log: LOG,
    manager: upgrades,
    cluster: overHttp2({ allow_connect: true }),
    answers: [{ early: true, ...answers({ headers: status(403), end: true }) }],
    steps: get1("/chat", websocket1),
  },
  {
    name: "WebSocket 1 to 2 where that is not allowed",
    log: LOG,
    manager: upgrades,
    cluster: overHttp2(),
    answers: [accepts2],
    steps: get1("/chat", websocket1),
  },
  from2("WebSocket 2 to 1", [{ headers: extended() }, { until: "head" }, { data: "frame" }, { until: 5 }], {
    manager: allowed,
    answers: [switches1],
  }),
  from2("WebSocket 2 to 1 that is refused", [{ headers: extended() }, { until: "end" }], {
    manager: allowed,
    answers: [respond(403, {}, "no")],
  }),
  from2("WebSocket 2 to 1 that is answered with 200", [{ headers: extended() }, { until: "end" }], {
    manager: allowed,
    answers: [respond(200, {}, "ok")],
  }),
  from2("WebSocket 2 to 2", [{ headers: extended() }, { until: "head" }, { data: "frame" }, { until: 5 }], {
    manager: allowed,
    cluster: overHttp2({ allow_connect: true }),
    answers: [accepts2],
  }),
  from2(
    "WebSocket 2 to 2 that the caller ends",
    [{ headers: extended() }, { until: "head" }, { data: "frame", end: true }, { until: "end" }],
    { manager: allowed, cluster: overHttp2({ allow_connect: true }), answers: [accepts2] },
  ),
  from2("WebSocket over HTTP/2 without upgrade_configs", [{ headers: extended() }, { until: "end" }], {
    manager: { http2_protocol_options: { allow_connect: true } },
  }),
  from2("WebSocket over HTTP/2 without allow_connect", [{ headers: extended() }, { until: "end" }], {
    view: endings,
    manager: upgrades,
  }),
  from2(
    "another protocol over extended CONNECT",
    [{ headers: [[":method", "CONNECT"], [":protocol", "other"], ...head("GET", "/chat").slice(1)] }, { until: "end" }],
    { manager: allowed },
  ),
  from2("SETTINGS where CONNECT is allowed", get("/"), {
    manager: { http2_protocol_options: { allow_connect: true, initial_stream_window_size: 65_536 } },
    showsSettings: true,
  }),
];

const CONNECT = [[":method", "CONNECT"] as const, [":authority", "{host}:443"] as const, ["x-case", "{case}"] as const];

const connects: Case[] = [
  from2("CONNECT without upgrade_configs", [{ headers: CONNECT }, { until: "end" }], {
    manager: { http2_protocol_options: { allow_connect: true } },
    virtualHosts: [{ name: "all", domains: ["*"], routes: [to(ANY)] }],
  }),
];

const downstreamProtocol = (fields: JsonObject = {}): JsonObject => ({
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {}, ...fields },
    },
  },
});

const choices: Case[] = [
  { name: "downstream protocol: HTTP/1.1", log: LOG, cluster: downstreamProtocol(), steps: get1("/") },
  from2("downstream protocol: HTTP/2", get("/"), { cluster: downstreamProtocol() }),
  from2("a cluster without options speaks HTTP/1.1", get("/"), { cluster: {} }),
  from2("codec HTTP2", get("/"), { manager: { codec_type: "HTTP2" } }),
  from2("codec HTTP1 and a caller of HTTP/2", get("/"), { manager: { codec_type: "HTTP1" } }),
  {
    name: "codec HTTP2 and a caller of HTTP/1.1",
    log: LOG,
    manager: { codec_type: "HTTP2" },
    steps: get1("/"),
    view: onlyEnd,
  },
  {
    name: "codec HTTP2 and bytes of nothing",
    log: LOG,
    manager: { codec_type: "HTTP2" },
    steps: [{ send: "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" }],
  },
  { name: "codec AUTO and a caller of HTTP/1.1", log: LOG, manager: { codec_type: "AUTO" }, steps: get1("/") },
  { name: "codec AUTO and half a preface", log: LOG, steps: [{ send: "PRI * HTTP/2.0\r\n\r\n" }, { waitMs: 50 }] },
  {
    name: "codec AUTO and a preface that goes wrong",
    log: LOG,
    steps: [{ send: "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" }, { waitMs: 50 }],
  },
  from2("settings of a listener and of an upstream", get("/"), {
    showsSettings: true,
    cluster: overHttp2(),
    differs: {
      why: "a window that nobody configured begins at 1 MiB and grows for streams that flow fast, up to Envoy's 16 MiB",
      envoy: [
        "settings: INITIAL_WINDOW_SIZE=16777216 MAX_CONCURRENT_STREAMS=1024",
        "up 1> settings: ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=16777216 MAX_CONCURRENT_STREAMS=1024",
      ],
      outrigger: [
        "settings: INITIAL_WINDOW_SIZE=1048576 MAX_CONCURRENT_STREAMS=1024",
        "up 1> settings: ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=1048576 MAX_CONCURRENT_STREAMS=1024",
      ],
    },
  }),
  from2("settings of a listener and of an upstream that are configured", get("/"), {
    showsSettings: true,
    manager: {
      http2_protocol_options: {
        hpack_table_size: 0,
        max_concurrent_streams: 7,
        initial_stream_window_size: 65_536,
        initial_connection_window_size: 65_536,
      },
    },
    cluster: overHttp2({
      hpack_table_size: 1024,
      max_concurrent_streams: 9,
      initial_stream_window_size: 70_000,
      initial_connection_window_size: 80_000,
    }),
  }),
  from2(
    "two streams at once",
    [
      ...send("GET", "/1", { stream: 1 }),
      ...send("GET", "/2", { stream: 3 }),
      { until: "end", stream: 1 },
      { until: "end", stream: 3 },
    ],
    {
      cluster: overHttp2(),
      // Which of them comes first is chance.
      view: (lines) => [...lines].map((line) => line.replace(/^up \d/, "up")).sort(),
    },
  ),
];

/** Requests that are harmless in HTTP/2 and would be two in HTTP/1.1. */
const smuggling: Case[] = [
  ["a request in a value", "x-a", "b\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x"],
  ["a line feed in a value", "x-a", "b\nx-smuggled: 1"],
  ["a name with a line in it", "x-a: b\r\nx-smuggled", "1"],
  ["a name with a colon in it", "x-a:b", "1"],
  ["transfer-encoding: chunked", "transfer-encoding", "chunked"],
  ["transfer-encoding: identity", "transfer-encoding", "identity"],
  ["two content-lengths", "content-length", "3, 4"],
  ["a path with a line in it", ":path", "/ HTTP/1.1\r\nhost: evil\r\n\r\nGET /x"],
  ["a method with a line in it", ":method", "POST / HTTP/1.1\r\nhost: evil\r\n\r\nGET"],
  ["an authority with a line in it", ":authority", "{host}\r\nx-smuggled: 1"],
  ["a scheme with a line in it", ":scheme", "http\r\nx-smuggled: 1"],
].flatMap(([name = "", key = "", value = ""]): Case[] => {
  const fields = head("POST", "/").filter(([other]) => other !== key);
  const pseudo = key.startsWith(":");
  const all = pseudo ? [[key, value] as const, ...fields] : [...fields, [key, value] as const];
  return [{}, { cluster: overHttp2() }].map((more, index) =>
    from2(
      `smuggling to HTTP/${index + 1}: ${name}`,
      [{ headers: all }, { data: "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", end: true }, { until: "end" }],
      {
        ...more,
        // The connection is over before the body; its length is chance.
        view: (lines) => endings(lines).map((line) => line.replace(/rx=\S+/, "")),
      },
    ),
  );
});

const smuggled1: Case[] = [
  ["both lengths", "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nx"],
  ["two lengths", "content-length: 1\r\ncontent-length: 2\r\n\r\nab"],
  ["chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["a pseudo-header as a field", ":path: /other\r\n\r\n"],
].map(
  ([name = "", rest = ""]): Case => ({
    name: `smuggling from HTTP/1.1: ${name}`,
    log: LOG,
    cluster: overHttp2(),
    steps: [{ send: request1("POST", "/").slice(0, -2) + rest }, { read: "response" }],
  }),
);

export const http2Bridge: Area = {
  name: "http2-bridge",
  cases: [...requests, ...replies, ...tunnels, ...connects, ...choices, ...smuggling, ...smuggled1],
};

/** Tunnels of the classic kind, by routes that match CONNECT. */
