/** HTTP/2 requests that are no good HTTP: what ends the stream, what the connection, what is answered, what is logged. */
import type { Area, Case } from "../harness/case.ts";
import { call, endings, exactly, from2, get, head, send } from "../harness/http2/build.ts";
import type { Field } from "../harness/http2/hpack.ts";

const METHOD: Field = [":method", "GET"];
const SCHEME: Field = [":scheme", "http"];
const AUTHORITY: Field = [":authority", "{host}"];
const PATH: Field = [":path", "/"];
const CASE: Field = ["x-case", "{case}"];
const WHOLE: readonly Field[] = [METHOD, SCHEME, AUTHORITY, PATH, CASE];

/** Codes for both ways in which Envoy can treat such a message. */
const LENIENT = { override_stream_error_on_invalid_http_message: true };

/** Such a request alone on its connection, under the default and under the lenient setting. */
function request(name: string, fields: readonly Field[]): Case[] {
  return [
    from2(name, exactly(fields)),
    from2(`${name}, streams only`, exactly(fields), { manager: { http2_protocol_options: LENIENT } }),
  ];
}

const withField = (name: string, ...fields: readonly Field[]): Case[] => request(name, [...WHOLE, ...fields]);
const without = (field: Field): readonly Field[] => WHOLE.filter((one) => one !== field);
const instead = (field: Field, other: Field): readonly Field[] => WHOLE.map((one) => (one === field ? other : one));

const pseudo: Case[] = [
  ...request("no :method", without(METHOD)),
  ...request("no :scheme", without(SCHEME)),
  ...request("no :path", without(PATH)),
  ...request("no :authority and no host", without(AUTHORITY)),
  ...request("host instead of :authority", [...without(AUTHORITY), ["host", "{host}"]]),
  ...request("two :method", [METHOD, ...WHOLE]),
  ...request("two :scheme", [SCHEME, ...WHOLE]),
  ...request("two :path", [PATH, ...WHOLE]),
  ...request("two :authority", [AUTHORITY, ...WHOLE]),
  ...request("an unknown one", [[":other", "x"], ...WHOLE]),
  ...request(":status in a request", [[":status", "200"], ...WHOLE]),
  ...request(":protocol without CONNECT", [[":protocol", "websocket"], ...WHOLE]),
  ...request("one after a field", [METHOD, SCHEME, AUTHORITY, CASE, PATH]),
  ...request("in another order", [PATH, AUTHORITY, SCHEME, METHOD, CASE]),
];

const values: Case[] = [
  ...request("empty :method", instead(METHOD, [":method", ""])),
  ...request("lower-case method", instead(METHOD, [":method", "get"])),
  ...request("method with a bad character", instead(METHOD, [":method", "GE(T"])),
  ...request("unknown method", instead(METHOD, [":method", "FOO"])),
  ...request("empty :path", instead(PATH, [":path", ""])),
  ...request(":path without a slash", instead(PATH, [":path", "index.html"])),
  ...request(":path with a space", instead(PATH, [":path", "/a b"])),
  ...request(":path with a fragment", instead(PATH, [":path", "/a#b"])),
  ...request(":path with a tab", instead(PATH, [":path", "/a\tb"])),
  ...request(":path with DEL", instead(PATH, [":path", "/a\x7fb"])),
  ...request(":path above ASCII", instead(PATH, [":path", "/\xe4"])),
  ...request(":path in absolute form", instead(PATH, [":path", "http://{host}/x"])),
  ...request("GET *", instead(PATH, [":path", "*"])),
  ...request("OPTIONS *", [[":method", "OPTIONS"], SCHEME, AUTHORITY, [":path", "*"], CASE]),
  ...request("empty :scheme", instead(SCHEME, [":scheme", ""])),
  ...request(":scheme https in plaintext", instead(SCHEME, [":scheme", "https"])),
  ...request(":scheme ftp", instead(SCHEME, [":scheme", "ftp"])),
  ...request(":scheme in upper case", instead(SCHEME, [":scheme", "HTTP"])),
  ...request("bad :scheme", instead(SCHEME, [":scheme", "ht tp"])),
  ...request("empty :authority", instead(AUTHORITY, [":authority", ""])),
  ...request(":authority with a space", instead(AUTHORITY, [":authority", "a b"])),
  ...request(":authority with a slash", instead(AUTHORITY, [":authority", "a/b"])),
  ...request(":authority with user info", instead(AUTHORITY, [":authority", "user@{host}"])),
  ...request(":authority and an equal host", [...WHOLE, ["host", "{host}"]]),
  ...request("two hosts", [...without(AUTHORITY), ["host", "{host}"], ["host", "other.test"]]),
  ...request("CONNECT without a route", [
    [":method", "CONNECT"],
    [":authority", "a.dom:443"],
  ]),
  ...request("CONNECT with a path", [[":method", "CONNECT"], SCHEME, AUTHORITY, PATH]),
  ...request("CONNECT without :authority", [[":method", "CONNECT"], CASE]),
];

const fields: Case[] = [
  ...withField("name in upper case", ["X-A", "1"]),
  ...withField("empty name", ["", "1"]),
  ...withField("name with a space", ["x a", "1"]),
  ...withField("name with a colon", ["x:a", "1"]),
  ...withField("name with a bad character", ["x(a", "1"]),
  ...withField("name with a byte above ASCII", ["x\xe4", "1"]),
  ...withField("name with an underscore", ["x_a", "1"]),
  ...withField("empty value", ["x-a", ""]),
  ...withField("CR in a value", ["x-a", "a\rb"]),
  ...withField("LF in a value", ["x-a", "a\nb"]),
  ...withField("CRLF in a value", ["x-a", "a\r\nx-b: c"]),
  ...withField("NUL in a value", ["x-a", "a\0b"]),
  ...withField("control character in a value", ["x-a", "a\x01b"]),
  ...withField("DEL in a value", ["x-a", "a\x7fb"]),
  ...withField("byte above ASCII in a value", ["x-a", "\xe4"]),
  ...withField("connection", ["connection", "close"]),
  ...withField("connection that names a field", ["connection", "x-a"], ["x-a", "1"]),
  ...withField("keep-alive", ["keep-alive", "timeout=5"]),
  ...withField("proxy-connection", ["proxy-connection", "keep-alive"]),
  ...withField("transfer-encoding", ["transfer-encoding", "chunked"]),
  ...withField("upgrade", ["upgrade", "websocket"]),
  ...withField("te: trailers", ["te", "trailers"]),
  ...withField("te: gzip", ["te", "gzip"]),
  ...withField("te: trailers, gzip", ["te", "trailers, gzip"]),
  ...withField("cookies", ["cookie", "a=1"], ["cookie", "b=2"]),
  ...withField("expect: 100-continue without a body", ["expect", "100-continue"]),
];

const lengths: Case[] = [
  ...["1", "5", "abc", "-1", "+3", "3, 3", " 3", ""].flatMap((length): Case[] => [
    from2(
      `content-length ${JSON.stringify(length)}, three bytes`,
      call("POST", "/", { headers: { "content-length": length }, body: "abc" }),
    ),
    from2(
      `content-length ${JSON.stringify(length)}, three bytes, streams only`,
      call("POST", "/", { headers: { "content-length": length }, body: "abc" }),
      { manager: { http2_protocol_options: LENIENT } },
    ),
  ]),
  from2("content-length 3 and no body", get("/", { "content-length": "3" })),
  from2("content-length 0 and a body", call("POST", "/", { headers: { "content-length": "0" }, body: "abc" })),
  from2("the same content-length twice", call("POST", "/", { headers: { "content-length": ["3", "3"] }, body: "abc" })),
  from2("two content-lengths", call("POST", "/", { headers: { "content-length": ["3", "4"] }, body: "abc" })),
  from2("content-length in a GET without a body", get("/", { "content-length": "0" })),
  from2(
    "content-length and trailers",
    call("POST", "/", { headers: { "content-length": "3" }, body: "abc", trailers: { "x-t": "1" } }),
  ),
  from2(
    "content-length not reached before trailers",
    call("POST", "/", { headers: { "content-length": "5" }, body: "abc", trailers: { "x-t": "1" } }),
  ),
];

const trailers = (name: string, pairs: Readonly<Record<string, string>>): Case[] => [
  from2(`trailers: ${name}`, call("POST", "/", { body: "abc", trailers: pairs })),
  from2(`trailers: ${name}, streams only`, call("POST", "/", { body: "abc", trailers: pairs }), {
    manager: { http2_protocol_options: LENIENT },
  }),
];

const trailing: Case[] = [
  ...trailers("a pseudo-header", { ":path": "/" }),
  ...trailers("upper case", { "X-T": "1" }),
  ...trailers("connection", { connection: "close" }),
  ...trailers("content-length", { "content-length": "3" }),
  ...trailers("host", { host: "a" }),
  ...trailers("CR LF in a value", { "x-t": "a\r\nb" }),
  from2("trailers without END_STREAM", [
    ...send("POST", "/", { body: "abc", trailers: {} }).slice(0, 2),
    { headers: [["x-t", "1"]] },
    { until: "end" },
  ]),
  from2("trailers without a body", call("POST", "/", { trailers: { "x-t": "1" } })),
];

/** What RFC 9113 calls malformed and Envoy takes: Outrigger refuses it. */
const refused = (name: string, why: string, fields: readonly Field[]): Case => ({
  ...from2(name, exactly(fields), { manager: { http2_protocol_options: LENIENT } }),
  view: (lines) => lines.filter((line) => line.startsWith("s1< reset") || line.startsWith("s1<   :status")),
  differs: { why, envoy: ["s1<   :status: 200"], outrigger: ["s1< reset PROTOCOL_ERROR"] },
});

const stricter: Case[] = [
  refused(":authority and another host", "RFC 9113, section 8.3.1: both name one target, or somebody is misled", [
    ...WHOLE,
    ["host", "other.test"],
  ]),
  refused("white space before a value", "RFC 9113, section 8.2.1: a value does not begin with white space", [
    ...WHOLE,
    ["x-a", " a"],
  ]),
  refused("white space after a value", "RFC 9113, section 8.2.1: a value does not end with white space", [
    ...WHOLE,
    ["x-a", "a "],
  ]),
];

/** What one bad stream means for its neighbours. */
const neighbours: Case[] = [
  from2("a bad stream beside a good one", [
    { headers: head("POST", "/slow"), stream: 1 },
    { headers: [...head("GET", "/bad"), ["X-A", "1"]], stream: 3, end: true },
    { data: "abc", stream: 1, end: true },
    { until: "end", stream: 1 },
  ]),
  from2(
    "a bad stream beside a good one, streams only",
    [
      { headers: head("POST", "/slow"), stream: 1 },
      { headers: [...head("GET", "/bad"), ["X-A", "1"]], stream: 3, end: true },
      { data: "abc", stream: 1, end: true },
      { until: "end", stream: 1 },
    ],
    { manager: { http2_protocol_options: LENIENT } },
  ),
];

/** How much of a body went upstream before it turned out to be bad is chance. */
const withoutUpstream: NonNullable<Case["view"]> = (lines) =>
  lines.some((line) => line.startsWith("log: 200"))
    ? lines
    : endings(lines)
        .filter((line) => !line.startsWith("up "))
        .map((line) => line.replace(/ (?:rx=|upstream=)\S+/g, ""));

export const http2Malformed: Area = {
  name: "http2-malformed",
  cases: [
    ...[...pseudo, ...values, ...fields].map((one): Case => ({ ...one, view: endings })),
    ...stricter,
    ...[...lengths, ...trailing, ...neighbours].map((one): Case => ({ ...one, view: withoutUpstream })),
  ],
};
