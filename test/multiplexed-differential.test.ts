/**
 * A random call of HTTP/1 is sent through two sidecars that carry it as a stream and through two that do not: application
 * and caller must be told the same in the same letters.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RunningProxy } from "./support/running-proxy.ts";
import { holdBusy, http1Cluster, startTwoHops } from "./support/two-hops.ts";
import { type Message, readMessage, Upstream } from "./support/wire.ts";

interface Body {
  readonly framing: "none" | "length" | "chunked";
  readonly pieces: readonly string[];
  readonly trailers: readonly string[];
}

interface Call {
  readonly method: string;
  readonly version: string;
  readonly fields: readonly string[];
  readonly body: Body;
  readonly informational: readonly string[];
  readonly status: string;
  readonly answerFields: readonly string[];
  /** `close`: the connection's end ends the body. */
  readonly answer: Body | "close";
}

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.!#$%&'*+^`|~-]{0,12}$/);
/** Names that mean something to a proxy are put in by hand below. */
const SPECIAL =
  /^(connection|content-length|date|expect|host|keep-alive|proxy-.*|server|te|trailer|transfer-encoding|upgrade|via|x-.*|forwarded)$/i;
const name = token.filter((text) => !SPECIAL.test(text));
const value = fc.stringMatching(/^([!-~\x80-\xff]([ \t!-~\x80-\xff]{0,40}[!-~\x80-\xff])?)?$/);
const known = fc.constantFrom(
  "Accept: */*",
  "COOKIE: a=1; b=2",
  "Cookie: c=3",
  "cookie: d=4",
  "TE: trailers",
  "te: gzip",
  "Connection: keep-alive",
  "Connection: close",
  "Connection: X-Hop, close",
  "X-Hop: gone",
  "Keep-Alive: timeout=5",
  "Proxy-Connection: keep-alive",
  "X-Forwarded-For: 192.0.2.7",
  "X-Forwarded-Proto: https",
  "Via: 1.0 fred",
  "Trailer: X-Sum",
  "Upgrade-Insecure-Requests: 1",
  "Expect: 200-ok",
);
const knownAnswer = fc.constantFrom(
  "Server: mine",
  "Date: Sat, 01 Jan 2022 00:00:00 GMT",
  "Set-Cookie: a=1",
  "set-cookie: b=2",
  "Connection: close",
  "Connection: keep-alive",
  "Keep-Alive: timeout=50",
  "Via: 1.1 app",
  "Trailer: X-Sum",
  "Transfer-Encoding-Not: x",
);
const plain = fc.tuple(name, value).map(([key, text]) => `${key}: ${text}`);
const long = fc
  .tuple(name, fc.oneof(fc.integer({ min: 200, max: 1000 }), fc.integer({ min: 13_000, max: 20_000 })))
  .map(([key, size]) => `${key}: ${"v".repeat(size)}`);
const fieldsOf = (special: fc.Arbitrary<string>): fc.Arbitrary<string[]> =>
  fc.array(
    fc.oneof({ weight: 6, arbitrary: plain }, { weight: 4, arbitrary: special }, { weight: 1, arbitrary: long }),
    { maxLength: 8 },
  );
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 60 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }).map((size) => "p".repeat(size)) },
);
const trailers = fc.array(plain, { maxLength: 2 });
const body: fc.Arbitrary<Body> = fc.record({
  framing: fc.constantFrom("none", "length", "chunked"),
  pieces: fc.array(piece, { maxLength: 3 }),
  trailers,
});
const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH");
const call: fc.Arbitrary<Call> = fc.record({
  method,
  version: fc.oneof({ weight: 5, arbitrary: fc.constant("1.1") }, { weight: 1, arbitrary: fc.constant("1.0") }),
  fields: fieldsOf(known),
  body,
  informational: fc.array(
    fc.constantFrom("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 102 So So\r\n\r\n"),
    {
      maxLength: 2,
    },
  ),
  status: fc.constantFrom(
    "200 OK",
    "200 Fine By Me",
    "204 No Content",
    "304 Not Modified",
    "404 Nope",
    "503 ",
    "599 Odd",
  ),
  answerFields: fieldsOf(knownAnswer),
  answer: fc.oneof({ weight: 5, arbitrary: body }, { weight: 1, arbitrary: fc.constant("close" as const) }),
});

/** Framing field and content as they go over the wire. */
function encode({ framing, pieces, trailers: after }: Body): { readonly field: string; readonly content: string } {
  if (framing === "none") return { field: "", content: "" };
  const whole = pieces.join("");
  if (framing === "length") return { field: `Content-Length: ${whole.length}\r\n`, content: whole };
  const chunks = pieces.map((bytes) => `${bytes.length.toString(16)}\r\n${bytes}\r\n`);
  return {
    field: "Transfer-Encoding: chunked\r\n",
    content: `${chunks.join("")}0\r\n${after.map((line) => `${line}\r\n`).join("")}\r\n`,
  };
}

function requestOf(one: Call, id: number): string {
  const { field, content } = encode(one.version === "1.0" && one.body.framing === "chunked" ? NOTHING : one.body);
  const fields = one.fields.map((line) => `${line}\r\n`).join("");
  return `${one.method} /call/${id}?q=%20a HTTP/${one.version}\r\nHost: App.Test:80\r\n${fields}${field}\r\n${content}`;
}

const NOTHING: Body = { framing: "none", pieces: [], trailers: [] };

function bodiless(one: Call): boolean {
  return one.method === "HEAD" || /^(204|304)/.test(one.status);
}

function answerOf(one: Call): string {
  const fields = one.answerFields.map((line) => `${line}\r\n`).join("");
  const head = `${one.informational.join("")}HTTP/1.1 ${one.status}\r\n${fields}`;
  if (one.answer === "close") return `${head}\r\n${bodiless(one) ? "" : "until the end"}`;
  const { field, content } = encode(one.answer.framing === "none" ? { ...NOTHING, framing: "length" } : one.answer);
  return bodiless(one) ? `${head}${/^204/.test(one.status) ? "" : field}\r\n` : `${head}${field}\r\n${content}`;
}

/** Message heads and content, without what differs from one call to the next. */
function seen(message: Message): object {
  const fields = message.fields.map(([key, text]) => {
    const varies = /^(x-request-id|x-envoy-upstream-service-time|date)$/.test(key);
    return `${key}: ${varies ? "(varies)" : text}`;
  });
  return { ...message, fields };
}

interface Outcome {
  readonly application: object | null;
  readonly informational: readonly object[];
  readonly caller: object | string;
}

/** Sends one call through a pair and tells what both ends saw. */
async function through(first: RunningProxy, one: Call, id: number, requests: Map<number, Message>): Promise<Outcome> {
  const wire = await first.connect();
  wire.write(requestOf(one, id));
  const noBody = one.method === "HEAD";
  const informational: object[] = [];
  let caller: object | string = "";
  try {
    let message = await wire.message({ noBody });
    while (/^HTTP\/1\.1 1/.test(message.start)) {
      informational.push(seen(message));
      message = await wire.message({ noBody });
    }
    caller = seen(message);
    if (/connection: close/i.test(JSON.stringify(caller))) await wire.gone();
    assert.equal(wire.received, "", "nothing comes after the answer");
  } catch (error) {
    caller = String(error);
  }
  wire.destroy();
  const request = requests.get(id);
  requests.delete(id);
  return { application: request === undefined ? null : seen(request), informational, caller };
}

for (const trailersPass of [true, false]) {
  test(`both ends see the same with streams and without, trailers ${trailersPass ? "on" : "off"}`, async (t) => {
    const requests = new Map<number, Message>();
    const answers = new Map<number, Call>();
    const application = await Upstream.start(t);
    application.onWire = (wire) => {
      wire.socket.on("data", () => {
        for (;;) {
          const next = readMessage(wire.received);
          if (next === null) return;
          wire.received = next.rest;
          const id = Number(/\/call\/(\d+)/.exec(next.message.start)?.[1] ?? -1);
          const one = answers.get(id);
          if (one === undefined) return;
          requests.set(id, next.message);
          wire.write(answerOf(one));
          if (one.answer === "close" || one.answerFields.includes("Connection: close")) wire.end();
        }
      });
      wire.socket.on("end", () => wire.end());
    };
    const options = { enable_trailers: trailersPass };
    const manager = {
      http_protocol_options: { ...options, accept_http_10: true, default_host_for_http_10: "none" },
      server_header_transformation: "PASS_THROUGH",
    };
    const hop = { manager, cluster: http1Cluster(options), action: { timeout: "0s" } };
    const shared = { application: application.port, first: hop, second: hop };
    const streams = await startTwoHops(t, shared);
    const without = await startTwoHops(t, { ...shared, alpn: ["http/1.1"] });
    await holdBusy(streams.first);
    let id = 0;
    const { multiplexed } = streams.first.cluster().stats;
    const held = multiplexed.streams_total;
    let short = 0;
    await fc.assert(
      fc.asyncProperty(call, async (one) => {
        const [a, b] = [id++, id++];
        // Long heads have connections of their own; those in between are not sent.
        if (one.fields.join("").length < 12_000) short++;
        answers.set(a, one).set(b, one);
        const withStreams = await through(streams.first, one, a, requests);
        const plainly = await through(without.first, one, b, requests);
        const text = JSON.stringify(withStreams).replaceAll(`/call/${a}?`, "/call/n?");
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(plainly).replaceAll(`/call/${b}?`, "/call/n?")));
      }),
      { numRuns: 150 },
    );
    assert.equal(multiplexed.streams_total - held, short, "every call with a short head was a stream");
    assert.equal(streams.second.cluster().stats.http2.streams_active, 0, "the application hears HTTP/1");
  });
}
