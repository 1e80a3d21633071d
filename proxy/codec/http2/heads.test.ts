/** Heads and trailers come out of a connection as they went in: as text to the byte, as header lists in lower case. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HeaderMap } from "../../../core/header-map.ts";
import { RequestHead, ResponseHead } from "../../http/message.ts";
import { Framing } from "../http1/fields.ts";
import { parseRequestHead } from "../http1/request-head.ts";
import { parseResponseHead } from "../http1/response-head.ts";
import { fieldsOf } from "../http1/testing/fields-of.ts";
import { requestHead, statusLine } from "../http1/writer.ts";
import { Body } from "../stream.ts";
import { ClientCall, Pair, type ServerCall, TEXT_LIMITS } from "./testing/pair.ts";

/** Sends heads through a connection whose bytes come in pieces of `most`. */
function carry(
  text: boolean,
  most: number,
  request: RequestHead,
  response: ResponseHead,
  trailers: HeaderMap | null,
): { readonly client: ClientCall; readonly server: ServerCall } {
  const pair = new Pair({ text });
  const client = new ClientCall();
  const stream = pair.client.open();
  stream.begin(client);
  stream.sendHead(request, Body.unbounded, false);
  stream.sendEnd(trailers);
  pair.settle(most);
  const [server] = pair.served;
  assert.ok(server !== undefined);
  server.stream?.sendHead(response, Body.unbounded);
  server.stream?.sendEnd(trailers);
  pair.settle(most);
  return { client, server };
}

const name = fc.stringMatching(/^[Xx]-[A-Za-z0-9!#$%&'*+.^`|~-]{1,12}$/);
/** What may stand in a value, and no blank around it. */
const value = fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,40}[!-~\x80-\xff])?$/);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });
const piece = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(100_000));

const lines = (all: readonly (readonly [string, string])[]): string =>
  all.map(([field, text]) => `${field}: ${text}\r\n`).join("");

describe("heads that travel as text", () => {
  const framing = new Framing();

  test("come out byte for byte: case, order, reason", () => {
    const reason = fc.stringMatching(/^[A-Za-z][A-Za-z ]{0,20}[a-z]$/);
    fc.assert(
      fc.property(fields, fields, fields, reason, piece, (asked, answered, after, words, most) => {
        const requestText = `POST /a?b HTTP/1.1\r\nHost: a.test\r\n${lines(asked)}\r\n`;
        const request = new RequestHead();
        framing.clear();
        const bytes = Buffer.from(requestText, "latin1");
        assert.equal(parseRequestHead(bytes, 0, bytes.length, TEXT_LIMITS, request, framing), bytes.length);
        const responseText = `HTTP/1.1 299 ${words}\r\n${lines(answered)}\r\n`;
        const response = new ResponseHead();
        const back = Buffer.from(responseText, "latin1");
        framing.clear();
        assert.equal(parseResponseHead(back, 0, back.length, 100, response, framing), back.length);
        const trailers = new HeaderMap();
        for (const [field, text] of after) trailers.append(field, text);
        const { client, server } = carry(true, most, request, response, trailers);
        assert.equal(requestHead(server.head, Body.unbounded, false, false), requestText);
        assert.equal(server.head.protocol, "HTTP/1.1");
        const { status, headers } = client.response;
        assert.equal(`${statusLine(status, client.response.reason, false)}${headers.toHttp1()}\r\n`, responseText);
        assert.equal(server.trailers?.toHttp1(), lines(after));
        assert.equal(client.trailers?.toHttp1(), lines(after));
      }),
      { numRuns: 200 },
    );
  });
});

describe("heads that travel as header lists", () => {
  test("keep their fields, in lower case", () => {
    fc.assert(
      fc.property(fields, fields, fields, piece, (asked, answered, after, most) => {
        const request = new RequestHead();
        Object.assign(request, { method: "PUT", path: "/a?b", authority: "a.test:80", scheme: "https" });
        for (const [field, text] of asked) request.headers.append(field, text);
        const response = new ResponseHead();
        response.status = 404;
        for (const [field, text] of answered) response.headers.append(field, text);
        const trailers = new HeaderMap();
        for (const [field, text] of after) trailers.append(field, text);
        const { client, server } = carry(false, most, request, response, trailers);
        const { method, path, authority, scheme, protocol } = server.head;
        assert.deepEqual([method, path, authority, scheme, protocol], ["PUT", "/a?b", "a.test:80", "https", "HTTP/2"]);
        const lower = (all: readonly (readonly [string, string])[]) =>
          all.map(([field, text]) => [field.toLowerCase(), text]);
        assert.deepEqual(fieldsOf(server.head.headers), lower(asked));
        assert.equal(client.response.status, 404);
        assert.deepEqual(fieldsOf(client.response.headers), lower(answered));
        assert.deepEqual(fieldsOf(server.trailers as HeaderMap), lower(after));
        assert.deepEqual(fieldsOf(client.trailers as HeaderMap), lower(after));
      }),
      { numRuns: 200 },
    );
  });

  test("leave out what belongs to one HTTP/1 connection", () => {
    const request = new RequestHead();
    Object.assign(request, { method: "GET", path: "/", authority: "a" });
    for (const field of ["Connection", "keep-alive", "Proxy-Connection", "transfer-encoding", "upgrade"]) {
      request.headers.append(field, "x");
    }
    request.headers.append("x-kept", "1");
    const response = new ResponseHead();
    response.status = 200;
    const { server } = carry(false, 1000, request, response, null);
    assert.deepEqual(fieldsOf(server.head.headers), [["x-kept", "1"]]);
  });
});

for (const text of [true, false]) {
  test(`heads and trailers of several frames ${text ? "as text" : "as header lists"}`, () => {
    const long = "v".repeat(20_000);
    const request = new RequestHead();
    Object.assign(request, { method: "POST", path: "/", authority: "a" });
    const response = new ResponseHead();
    response.status = 200;
    for (const { headers } of [request, response]) {
      headers.append("x-one", long);
      headers.append("x-two", long);
    }
    const { client, server } = carry(text, 5000, request, response, HeaderMap.of({ "x-sum": long }));
    assert.deepEqual([server.head.headers.get("x-two"), client.response.headers.get("x-two")], [long, long]);
    assert.deepEqual([server.trailers?.get("x-sum"), client.trailers?.get("x-sum")], [long, long]);
  });
}
