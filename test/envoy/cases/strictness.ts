/**
 * Requests that Envoy's parser repairs and Outrigger refuses. Two parsers that repair differently see different messages
 * in the same bytes, which is how requests are smuggled; no client sends any of these.
 */
import type { Area, Case, Difference, JsonObject } from "../harness/case.ts";
import { ANY, to } from "../harness/config.ts";
import { raw } from "../harness/http.ts";

const HEAD = "host: {host}\r\nx-case: {case}\r\n";
const get = (text: string, tail = "\r\n"): string => `GET / HTTP/1.1\r\n${HEAD}${text}${tail}`;
const chunked = (body: string): string => `POST / HTTP/1.1\r\n${HEAD}transfer-encoding: chunked\r\n\r\n${body}`;

/** The answer, the connection and the start of the log line: all the rest differs too. */
const verdict = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => /^(?:< HTTP.*|connection: \w+|log: \S+ \S+ \S+)/.exec(line)?.[0] ?? []);

const TAKEN = ["< HTTP/1.1 200 OK", "connection: kept", "log: 200 - via_upstream"];
const NO_ROUTE = ["< HTTP/1.1 404 Not Found", "connection: kept", "log: 404 NR route_not_found"];

function refused(name: string, bytes: string, why: string, differs: Partial<Difference> = {}): Case {
  const outrigger = ["< HTTP/1.1 400 Bad Request", "connection: closed", "log: 400 DPE http1.codec_error"];
  return { name, steps: raw(bytes), view: verdict, differs: { why, envoy: TAKEN, outrigger, ...differs } };
}

/** The same, with Envoy's response code details for what is wrong. */
const because = (details: string): Pick<Difference, "outrigger"> => ({
  outrigger: ["< HTTP/1.1 400 Bad Request", "connection: closed", `log: 400 DPE ${details}`],
});

const LINES = "RFC 9112, section 2.2: a line ends with CR LF; a bare LF or CR is where parsers part";
const ONE_SPACE = "RFC 9112, section 3: single spaces part a request line";
const HOSTS = "RFC 9112, section 3.2: more than one Host, or an invalid one, is answered with 400";
const CHUNKS = "RFC 9112, section 7.1: what is not a chunk is an error";

const lines: Case[] = [
  refused("bare LF after every line", "GET / HTTP/1.1\nhost: {host}\nx-case: {case}\n\n", LINES),
  refused("bare LF after a field", get("x-a: 1\n"), LINES),
  refused("bare LF at the end of the head", get("x-a: 1\r\n", "\n"), LINES),
  refused("bare CR in a value", get("x-a: a\rb\r\n"), LINES),
  refused("CR CR LF", get("x-a: a\r\r\n"), LINES),
  refused("obsolete folding", get("x-a: 1\r\n  2\r\n"), "RFC 9112, section 5.2: a server may refuse line folding"),
  refused("two spaces after the method", `GET  / HTTP/1.1\r\n${HEAD}\r\n`, ONE_SPACE),
  refused("space after the version", `GET / HTTP/1.1 \r\n${HEAD}\r\n`, ONE_SPACE),
];

const hosts: Case[] = [
  refused("two hosts", get("host: other.dom\r\n"), HOSTS, { envoy: NO_ROUTE }),
  refused("the same host twice", get("host: {host}\r\n"), HOSTS, { envoy: NO_ROUTE }),
  refused("host with user info", "GET / HTTP/1.1\r\nhost: u@a.dom\r\nx-case: {case}\r\n\r\n", HOSTS, {
    envoy: NO_ROUTE,
    ...because("http.invalid_authority"),
  }),
  refused(
    "absolute target with user info",
    `GET http://u:p@{host}/ HTTP/1.1\r\n${HEAD}\r\n`,
    "RFC 9110, section 4.2.4: user info in a target is likely to hide where it leads",
    because("http1.invalid_url"),
  ),
];

const old: JsonObject = { http_protocol_options: { accept_http_10: true } };

const bodies: Case[] = [
  refused("bare LF after a chunk", chunked("3\r\nabc\n0\r\n\r\n"), LINES),
  refused("white space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), CHUNKS),
  refused("chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), CHUNKS),
  refused("NUL in a chunk extension", chunked("3;a\0b\r\nabc\r\n0\r\n\r\n"), CHUNKS),
  {
    ...refused(
      "chunked body in HTTP/1.0",
      "POST / HTTP/1.0\r\nhost: a.dom\r\nx-case: {case}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "RFC 9112, section 6.1: such a message has faulty framing",
      {
        envoy: ["< HTTP/1.0 200 OK", "log: 200 - via_upstream"],
        outrigger: ["< HTTP/1.1 501 Not Implemented", "log: 501 DPE http1.invalid_transfer_encoding"],
      },
    ),
    manager: old,
    virtualHosts: [{ name: "any", domains: ["*"], routes: [to(ANY)] }],
  },
];

export const strictness: Area = {
  name: "strictness",
  cases: [...lines, ...hosts, ...bodies],
};
