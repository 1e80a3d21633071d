/** Start lines, hosts and fields that are no good HTTP, or good HTTP of the rarer kinds: what is refused, and how. */
import type { Area, Case } from "../harness/case.ts";
import { raw } from "../harness/http.ts";

const HEAD = "host: {host}\r\nx-case: {case}\r\n";

/** A request whose head has these further lines, and ends with `tail`. */
const lines = (text: string, tail = "\r\n"): string => `GET / HTTP/1.1\r\n${HEAD}${text}${tail}`;

const bytes = (name: string, text: string, more: Partial<Case> = {}): Case => ({ name, steps: raw(text), ...more });

const startLines: Case[] = [
  bytes("lower-case method", `get / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("method with a bad character", `GE(T / HTTP/1.1\r\n${HEAD}\r\n`),
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
  bytes("empty lines before a request", `\r\n\r\nGET / HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("a TLS hello", "\x16\x03\x01\x00\x05hello\r\n\r\n"),
  bytes("OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("GET *", `GET * HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("CONNECT without a route", "CONNECT a.dom:443 HTTP/1.1\r\nhost: a.dom:443\r\n\r\n"),
  bytes("CONNECT without a port", "CONNECT a.dom HTTP/1.1\r\nhost: a.dom\r\n\r\n"),
  bytes("absolute form with a path", `GET http://{host}/x?y HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form without a path", `GET http://{host} HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form, https", `GET https://{host}/ HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form with a query and no path", `GET http://{host}?a=b HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form of another scheme", `GET ftp://{host}/ HTTP/1.1\r\n${HEAD}\r\n`),
  bytes("absolute form without a host", `GET http:///x HTTP/1.1\r\n${HEAD}\r\n`),
];

const hosts: Case[] = [
  bytes("no host", "GET / HTTP/1.1\r\nx-case: {case}\r\n\r\n"),
  bytes("empty host", "GET / HTTP/1.1\r\nhost:\r\nx-case: {case}\r\n\r\n"),
  bytes("host with a space", "GET / HTTP/1.1\r\nhost: a b\r\nx-case: {case}\r\n\r\n"),
  bytes("host with a slash", "GET / HTTP/1.1\r\nhost: a/b\r\nx-case: {case}\r\n\r\n"),
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

export const malformed: Area = {
  name: "malformed",
  cases: [...startLines, ...hosts, ...fields],
};
