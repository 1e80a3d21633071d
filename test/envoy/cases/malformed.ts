/** Bytes that are no good HTTP, or good HTTP of the rarer kinds: what is refused, how, and what goes on to the upstream. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, named, to } from "../harness/config.ts";
import { call, get, raw, request, respond, sends } from "../harness/http.ts";

const HEAD = "host: {host}\r\nx-case: {case}\r\n";

/** A request whose head has these further lines, without an end of head if `tail` has one. */
const lines = (text: string, tail = "\r\n"): string => `GET / HTTP/1.1\r\n${HEAD}${text}${tail}`;
const post = (text: string, body: string): string => `POST / HTTP/1.1\r\n${HEAD}${text}\r\n${body}`;

const bytes = (name: string, text: string, more: Partial<Case> = {}): Case => ({ name, steps: raw(text), ...more });

const startLines: Case[] = [
  bytes("lower-case method", `get / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("method with a bad character", `GE(T / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("two spaces after the method", `GET  / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("space in the target", `GET /a b HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("tab in the target", `GET /a\tb HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("DEL in the target", `GET /a\x7fb HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("target without a slash", `GET index.html HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("fragment in the target", `GET /a#b HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("HTTP/0.9", "GET /\r\n\r\n"),
  bytes("HTTP/1.0 refused", `GET / HTTP/1.0\r\n${HEAD}\r\n`),
  bytes("HTTP/2.0 in a start line", `GET / HTTP/2.0\r\n${HEAD}\r\n`),
  bytes("HTTP/1.2", `GET / HTTP/1.2\r\n${HEAD}\r\n`),
  bytes("lower-case version", `GET / http/1.1\r\n${HEAD}\r\n`),
  bytes("space after the version", `GET / HTTP/1.1 \r\n${HEAD}\r\n`),
  bytes("empty lines before a request", `\r\n\r\nGET / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  bytes("a TLS hello", "\x16\x03\x01\x00\x05hello\r\n\r\n"),
  bytes("OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("GET *", `GET * HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("CONNECT without a route", "CONNECT a.dom:443 HTTP/1.1\r\nhost: a.dom:443\r\n\r\n"),
  bytes("CONNECT without a port", "CONNECT a.dom HTTP/1.1\r\nhost: a.dom\r\n\r\n"),
  bytes("absolute form with a path", `GET http://{host}/x?y HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form without a path", `GET http://{host} HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form, https", `GET https://{host}/ HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form with a query and no path", `GET http://{host}?a=b HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form with user info", `GET http://u:p@{host}/ HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form of another scheme", `GET ftp://{host}/ HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form without a host", `GET http:///x HTTP/1.1\r\n${HEAD}\r\n`),
];

const hosts: Case[] = [
  bytes("no host", "GET / HTTP/1.1\r\nx-case: {case}\r\n\r\n"),
  bytes("empty host", "GET / HTTP/1.1\r\nhost:\r\nx-case: {case}\r\n\r\n"),
  bytes("two hosts", `GET / HTTP/1.1\r\n${HEAD}host: other.dom\r\n\r\n`),
  bytes("the same host twice", `GET / HTTP/1.1\r\n${HEAD}host: {host}\r\n\r\n`),
  bytes("host with a space", "GET / HTTP/1.1\r\nhost: a b\r\nx-case: {case}\r\n\r\n"),
  bytes("host with a slash", "GET / HTTP/1.1\r\nhost: a/b\r\nx-case: {case}\r\n\r\n"),
  bytes("host with user info", "GET / HTTP/1.1\r\nhost: u@a.dom\r\nx-case: {case}\r\n\r\n"),
];

const fields: Case[] = [
  bytes("white space before the colon", lines("x-a : 1\r\n")),
  bytes("no colon", lines("x-a\r\n")),
  bytes("empty name", lines(": v\r\n")),
  bytes("name with a bad character", lines("x(a: 1\r\n")),
  bytes("name with an underscore", lines("x_a: 1\r\n")),
  bytes("name with a byte above ASCII", lines("x\xe4: 1\r\n")),
  bytes("NUL in a value", lines("x-a: a\0b\r\n")),
  bytes("NUL in a name", lines("x\0a: b\r\n")),
  bytes("control character in a value", lines("x-a: a\x01b\r\n")),
  bytes("DEL in a value", lines("x-a: a\x7fb\r\n")),
  bytes("bare CR in a value", lines("x-a: a\rb\r\n")),
  bytes("CR CR LF", lines("x-a: a\r\r\n")),
  bytes("white space before the first field", "GET / HTTP/1.1\r\n x: y\r\nhost: {host}\r\n\r\n"),
  bytes("empty value", lines("x-a:\r\n")),
  bytes("a hundred fields and one", lines(Array.from({ length: 101 }, (_, i) => `x-${i}: 1\r\n`).join(""))),
  {
    name: "more fields allowed",
    manager: { common_http_protocol_options: { max_headers_count: 200 } },
    steps: raw(lines(Array.from({ length: 101 }, (_, i) => `x-${i}: 1\r\n`).join(""))),
  },
  bytes("a head of 61 KiB", lines(`x-a: ${"a".repeat(61 * 1024)}\r\n`)),
  {
    name: "a head larger than a small limit",
    manager: { max_request_headers_kb: 1 },
    steps: raw(lines(`x-a: ${"a".repeat(1200)}\r\n`)),
  },
  bytes("a long target", `GET /${"a".repeat(8000)} HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("a target of 61 KiB", `GET /${"a".repeat(61 * 1024)} HTTP/1.1\r\n${HEAD}\r\n`),
  {
    name: "names with underscores refused",
    manager: { common_http_protocol_options: { headers_with_underscores_action: "REJECT_REQUEST" } },
    steps: raw(lines("x_a: 1\r\n")),
  },
  {
    name: "names with underscores dropped",
    manager: { common_http_protocol_options: { headers_with_underscores_action: "DROP_HEADER" } },
    steps: raw(lines("x_a: 1\r\n")),
  },
  bytes("connection names x-forwarded-for", lines("connection: x-forwarded-for\r\nx-forwarded-for: 1.2.3.4\r\n")),
  bytes(
    "connection names too much",
    lines(`connection: ${Array.from({ length: 12 }, (_, i) => `x-${i}`).join(",")}\r\n`),
  ),
];

const lengths: Case[] = [
  bytes("length and chunked", post("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
  bytes("chunked and length", post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n")),
  {
    name: "length and chunked, allowed",
    manager: { http_protocol_options: { allow_chunked_length: true } },
    steps: raw(post("content-length: 5\r\ntransfer-encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")),
  },
  bytes("two lengths", post("content-length: 3\r\ncontent-length: 4\r\n", "abcd")),
  bytes("the same length twice", post("content-length: 3\r\ncontent-length: 3\r\n", "abc")),
  bytes("a list of lengths", post("content-length: 3, 3\r\n", "abc")),
  bytes("negative length", post("content-length: -1\r\n", "")),
  bytes("signed length", post("content-length: +3\r\n", "abc")),
  bytes("hexadecimal length", post("content-length: 0x3\r\n", "abc")),
  bytes("empty length", post("content-length:\r\n", "")),
  bytes("length with leading zeros", post("content-length: 0003\r\n", "abc")),
  bytes("length beyond 64 bits", post("content-length: 99999999999999999999\r\n", "abc")),
  bytes("zero length", post("content-length: 0\r\n", "")),
  bytes("GET with a body", `GET / HTTP/1.1\r\n${HEAD}content-length: 3\r\n\r\nabc`),
  bytes("more than the length", post("content-length: 3\r\n", "abcXYZ / garbage\r\n\r\n")),
];

const codings: Case[] = [
  bytes("chunked in capitals", post("transfer-encoding: CHUNKED\r\n", "3\r\nabc\r\n0\r\n\r\n")),
  bytes("unknown coding", post("transfer-encoding: gzip\r\n", "abc")),
  bytes("gzip, chunked", post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n")),
  bytes("chunked, identity", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
  bytes("identity", post("transfer-encoding: identity\r\ncontent-length: 3\r\n", "abc")),
  bytes("chunked twice in one field", post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n")),
  bytes("chunked in two fields", post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
  bytes(
    "chunked and identity in two fields",
    post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"),
  ),
  bytes("empty coding", post("transfer-encoding:\r\n", "0\r\n\r\n")),
  bytes("xchunked", post("transfer-encoding: xchunked\r\n", "0\r\n\r\n")),
  bytes("chunked with a vertical tab", post("transfer-encoding: \x0bchunked\r\n", "0\r\n\r\n")),
  bytes("chunked on a GET", `GET / HTTP/1.1\r\n${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`),
];

const chunked = (body: string): string => post("transfer-encoding: chunked\r\n", body);

const chunks: Case[] = [
  bytes("chunks of several sizes", chunked("1\r\na\r\n2\r\nbc\r\n0003\r\ndef\r\n0\r\n\r\n")),
  bytes("chunk size in capitals", chunked("A\r\n0123456789\r\n0\r\n\r\n")),
  bytes("chunk extension", chunked('3;name=value;x="y"\r\nabc\r\n0;last\r\n\r\n')),
  bytes("chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n")),
  bytes("chunk size that is no number", chunked("zz\r\nabc\r\n0\r\n\r\n")),
  bytes("negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n")),
  bytes("empty chunk size", chunked("\r\nabc\r\n0\r\n\r\n")),
  bytes("chunk size beyond 64 bits", chunked("fffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
  bytes("white space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n")),
  bytes("chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n")),
  bytes("chunk without CR LF", chunked("3\r\nabc0\r\n\r\n")),
  bytes("NUL in a chunk extension", chunked("3;a\0b\r\nabc\r\n0\r\n\r\n")),
  {
    name: "trailers are dropped",
    steps: call("POST", "/", { body: "abc", chunked: true, trailers: { "x-sum": "1" } }),
  },
  {
    name: "trailers are passed",
    manager: { http_protocol_options: { enable_trailers: true } },
    cluster: {},
    steps: call("POST", "/", { body: "abc", chunked: true, trailers: { "x-sum": "1", "X-Other": "2" } }),
  },
  bytes("malformed trailer", chunked("3\r\nabc\r\n0\r\nx y: z\r\n\r\n")),
  {
    name: "malformed chunk after a response has begun",
    answers: [
      { early: true, steps: [{ write: "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst" }, { waitMs: 300 }] },
    ],
    steps: [{ send: chunked("3\r\nabc\r\n") }, { waitMs: 120 }, { send: "zz\r\n" }, { read: "response" }],
  },
];

const connections: Case[] = [
  { name: "two requests one after the other", steps: [...get("/1"), ...get("/2")] },
  {
    name: "pipelined requests",
    steps: [
      { send: request("GET", "/1") + request("POST", "/2", { body: "abc" }) + request("GET", "/3") },
      { read: "response" },
      { read: "response" },
      { read: "response" },
    ],
  },
  {
    name: "pipelined after a malformed one",
    steps: [{ send: `GET / HTTP/1.1\r\nbad header\r\n\r\n${request("GET", "/2")}` }, { read: "response" }],
  },
  { name: "connection: close", steps: get("/", { connection: "close" }) },
  { name: "connection: Close among others", steps: get("/", { connection: "x-a, Close" }) },
  { name: "connection: keep-alive", steps: get("/", { connection: "keep-alive" }) },
  { name: "proxy-connection: close", steps: get("/", { "proxy-connection": "close" }) },
  {
    name: "pipelined after connection: close",
    steps: [
      { send: request("GET", "/1", { headers: { connection: "close" } }) + request("GET", "/2") },
      { read: "response" },
    ],
  },
  {
    name: "the caller ends its side early",
    steps: [{ send: request("GET", "/") }, { end: "half" }, { read: "response" }],
  },
  {
    name: "the caller leaves in the middle of a body",
    steps: [{ send: post("content-length: 10\r\n", "abc") }, { waitMs: 60 }, { end: "close" }],
  },
  {
    name: "the caller leaves while the upstream thinks",
    answers: [{ steps: [{ waitMs: 200 }] }],
    steps: [{ send: request("GET", "/") }, { waitMs: 60 }, { end: "reset" }],
  },
  {
    name: "a head that never ends",
    steps: [{ send: "GET / HTTP/1.1\r\nhost: {host}\r\n" }, { waitMs: 50 }, { end: "close" }],
  },
  {
    name: "a head in pieces",
    steps: [
      { send: "GE" },
      { waitMs: 20 },
      { send: "T / HTTP/1.1\r\nho" },
      { waitMs: 20 },
      { send: "st: {host}\r\n\r" },
      { waitMs: 20 },
      { send: "\n" },
      { read: "response" },
    ],
  },
  {
    name: "so many requests and no more",
    manager: { common_http_protocol_options: { max_requests_per_connection: 2 } },
    steps: [...get("/1"), ...get("/2")],
  },
  {
    name: "a malformed request keeps its connection",
    manager: { stream_error_on_invalid_http_message: true },
    steps: get("/a#b"),
  },
];

const old: JsonObject = { http_protocol_options: { accept_http_10: true, default_host_for_http_10: "old.dom" } };
const any: readonly JsonObject[] = [{ name: "any", domains: ["*"], routes: [to(ANY)] }];
const from10 = (text: string): string => `GET / HTTP/1.0\r\nx-case: {case}\r\n${text}\r\n`;

const oldVersion: Case[] = [
  { name: "HTTP/1.0", manager: old, virtualHosts: any, steps: raw(from10("host: a.dom\r\n")) },
  { name: "HTTP/1.0 without a host", manager: old, virtualHosts: any, steps: raw(from10("")) },
  {
    name: "HTTP/1.0 that is kept alive",
    manager: old,
    virtualHosts: any,
    steps: raw(from10("host: a.dom\r\nconnection: keep-alive\r\n")),
  },
  {
    name: "HTTP/1.0 and a chunked answer",
    manager: old,
    virtualHosts: any,
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")],
    steps: raw(from10("host: a.dom\r\n")),
  },
  {
    name: "HTTP/1.0 and a chunked answer, kept alive",
    manager: old,
    virtualHosts: any,
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")],
    steps: raw(from10("host: a.dom\r\nconnection: keep-alive\r\n")),
  },
  {
    name: "HTTP/1.0 with a chunked body",
    manager: old,
    virtualHosts: any,
    steps: raw(
      `POST / HTTP/1.0\r\nhost: a.dom\r\nx-case: {case}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    ),
  },
  {
    name: "HTTP/1.0 and a direct response",
    manager: old,
    virtualHosts: [{ name: "any", domains: ["*"], routes: [named("direct", ANY)] }],
    steps: raw(from10("host: a.dom\r\n")),
  },
];

const expect = "expect: 100-continue\r\n";

const continues: Case[] = [
  {
    name: "expect 100-continue",
    steps: [
      { send: post(`${expect}content-length: 3\r\n`, "") },
      { waitMs: 50 },
      { send: "abc" },
      { read: "response" },
    ],
  },
  { name: "expect 100-continue with the body at once", steps: raw(post(`${expect}content-length: 3\r\n`, "abc")) },
  {
    name: "expect 100-continue passed to the upstream",
    manager: { proxy_100_continue: true },
    answers: [
      {
        early: true,
        steps: [
          { write: "HTTP/1.1 100 Continue\r\n\r\n" },
          { body: true },
          { write: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" },
        ],
      },
    ],
    steps: [
      { send: post(`${expect}content-length: 3\r\n`, "") },
      { waitMs: 80 },
      { send: "abc" },
      { read: "response" },
    ],
  },
  {
    name: "expect 100-continue refused by the upstream",
    manager: { proxy_100_continue: true },
    answers: [
      {
        early: true,
        steps: [{ write: "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n" }, { waitMs: 50 }],
      },
    ],
    steps: [{ send: post(`${expect}content-length: 3\r\n`, "") }, { read: "response" }],
  },
  {
    name: "expect 100-continue and a direct response",
    routes: [named("direct", ANY)],
    steps: [{ send: post(`${expect}content-length: 3\r\n`, "") }, { read: "response" }],
  },
  { name: "expect something else", steps: raw(post("expect: 200-maybe\r\ncontent-length: 3\r\n", "abc")) },
];

const heads: Case[] = [
  { name: "HEAD", steps: call("HEAD", "/"), answers: [sends("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")] },
  { name: "HEAD without a length", steps: call("HEAD", "/"), answers: [sends("HTTP/1.1 200 OK\r\n\r\n")] },
  {
    name: "HEAD and a chunked answer",
    steps: call("HEAD", "/"),
    answers: [sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")],
  },
  { name: "HEAD then GET", steps: [...call("HEAD", "/"), ...get("/")] },
  { name: "HEAD without a route", routes: [to({ prefix: "/a" })], steps: call("HEAD", "/b") },
  { name: "TRACE", steps: call("TRACE", "/") },
  { name: "DELETE without a body", steps: call("DELETE", "/") },
  { name: "POST without a length", steps: raw(`POST / HTTP/1.1\r\n${HEAD}\r\n`), answers: [respond(200)] },
];

const lenient: Case[] = [
  bytes("bare LF after every line", "GET / HTTP/1.1\nhost: {host}\nx-case: {case}\n\n"),
  bytes("bare LF after a field", lines("x-a: 1\n")),
  bytes("bare LF at the end of the head", lines("x-a: 1\r\n", "\n")),
  bytes("obsolete folding", lines("x-a: 1\r\n  2\r\n")),
  bytes("bare LF after a chunk size", chunked("3\nabc\r\n0\r\n\r\n")),
  bytes("bare LF after a chunk", chunked("3\r\nabc\n0\r\n\r\n")),
  bytes("white space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n")),
];

export const malformed: Area = {
  name: "malformed",
  cases: [
    ...startLines,
    ...hosts,
    ...fields,
    ...lengths,
    ...codings,
    ...chunks,
    ...connections,
    ...oldVersion,
    ...continues,
    ...heads,
    ...lenient,
  ],
};
