/** Where a request's body ends, rightly or wrongly told: lengths, codings, chunks, trailers. */
import type { Area, Case } from "../harness/case.ts";
import { upstreamOptions } from "../harness/config.ts";
import { call, raw } from "../harness/http.ts";

const HEAD = "host: {host}\r\nx-case: {case}\r\n";

const post = (text: string, body: string): string => `POST / HTTP/1.1\r\n${HEAD}${text}\r\n${body}`;

const bytes = (name: string, text: string): Case => ({ name, steps: raw(text) });

/** Whether the head had gone on before the body turned out malformed is chance. */
const malformed = (name: string, text: string): Case => ({
  ...bytes(name, text),
  view: (lines) => lines.filter((line) => !line.startsWith("up ")),
});

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
  malformed("chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n")),
  malformed("chunk size that is no number", chunked("zz\r\nabc\r\n0\r\n\r\n")),
  malformed("negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n")),
  malformed("empty chunk size", chunked("\r\nabc\r\n0\r\n\r\n")),
  malformed("chunk size beyond 64 bits", chunked("fffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
  malformed("white space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n")),
  malformed("chunk without CR LF", chunked("3\r\nabc0\r\n\r\n")),
  {
    name: "trailers are dropped",
    steps: call("POST", "/", { body: "abc", chunked: true, trailers: { "x-sum": "1" } }),
  },
  {
    name: "trailers are passed",
    manager: { http_protocol_options: { enable_trailers: true } },
    cluster: upstreamOptions({ explicit_http_config: { http_protocol_options: { enable_trailers: true } } }),
    steps: call("POST", "/", { body: "abc", chunked: true, trailers: { "x-sum": "1", "X-Other": "2" } }),
  },
  malformed("malformed trailer", chunked("3\r\nabc\r\n0\r\nx y: z\r\n\r\n")),
  {
    name: "malformed chunk after a response has begun",
    answers: [
      { early: true, steps: [{ write: "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst" }, { waitMs: 300 }] },
    ],
    steps: [{ send: chunked("3\r\nabc\r\n") }, { waitMs: 120 }, { send: "zz\r\n" }, { read: "response" }],
  },
];

export const framing: Area = {
  name: "framing",
  cases: [...lengths, ...codings, ...chunks],
};
