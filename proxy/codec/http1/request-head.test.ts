import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { RequestHead } from "../../http/message.ts";
import { Framing, HeadError } from "./fields.ts";
import { parseRequestHead, type RequestHeadLimits } from "./request-head.ts";
import { fieldsOf } from "./testing/fields-of.ts";
import { mutated, noise } from "./testing/mutations.ts";
import { referenceRequest } from "./testing/reference.ts";

const LIMITS: RequestHeadLimits = {
  maxFields: 100,
  acceptHttp10: true,
  defaultHostForHttp10: "default.test",
  allowAbsoluteUrl: true,
  allowChunkedLength: false,
  allowCustomMethods: true,
  underscores: "allow",
};

interface Parsed {
  readonly result: number;
  readonly head: RequestHead;
  readonly framing: Framing;
}

function parse(text: string, limits: Partial<RequestHeadLimits> = {}, before = ""): Parsed {
  const head = new RequestHead();
  const framing = new Framing();
  const buf = Buffer.from(before + text, "latin1");
  const result = parseRequestHead(buf, before.length, buf.length, { ...LIMITS, ...limits }, head, framing);
  return { result: result > 0 ? result - before.length : result, head, framing };
}

const nameOf = (result: number): string =>
  Object.entries(HeadError).find(([, code]) => code === result)?.[0] ?? `offset ${result}`;

const SOUND = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /p?q=1 HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 12\r\nX-A:b\r\nx-b:  c d\t\r\nEmpty:\r\n\r\n",
  "PUT /x HTTP/1.1\r\ntransfer-encoding: CHUNKED\r\nHost: [::1]:80\r\nConnection: keep-alive, Upgrade\r\n\r\n",
  "GET http://b.test/x?y HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
  "GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
  "M-SEARCH /x HTTP/1.1\r\nHost: a\r\nobs: \x80\xff\r\n\r\n",
];

describe("sound request heads", () => {
  test("are read whole, and not beyond", () => {
    for (const text of SOUND) {
      for (const after of ["", "GET / HTTP/1.1\r\n", "\r\n\r\n"]) {
        assert.equal(parse(text + after, {}, "earlier bytes").result, text.length, text);
      }
    }
  });

  test("give method, target, host, fields and framing", () => {
    const { head, framing } = parse(SOUND[1] as string);
    assert.deepEqual(
      [head.method, head.path, head.authority, head.protocol],
      ["POST", "/p?q=1", "a.test:80", "HTTP/1.1"],
    );
    const fields = fieldsOf(head.headers);
    assert.deepEqual(fields, [
      ["Content-Length", "12"],
      ["X-A", "b"],
      ["x-b", "c d"],
      ["Empty", ""],
    ]);
    assert.equal(framing.contentLength, 12);
    assert.ok(parse(SOUND[2] as string).framing.chunked && parse(SOUND[2] as string).framing.upgrade);
    const absolute = parse(SOUND[3] as string);
    assert.deepEqual([absolute.head.authority, absolute.head.path], ["b.test", "/x?y"]);
    assert.ok(absolute.framing.expectContinue);
    assert.ok(parse(SOUND[4] as string).framing.close);
    const old = parse(SOUND[6] as string);
    assert.deepEqual([old.head.authority, old.framing.keepAlive], ["default.test", true]);
  });

  test("keep host and transfer-encoding out of the fields that go on", () => {
    for (const text of SOUND) {
      const { head } = parse(text);
      assert.ok(!head.headers.has("host") && !head.headers.has("transfer-encoding"));
      assert.ok(!/^(host|transfer-encoding):/im.test(head.headers.toHttp1()), head.headers.toHttp1());
    }
  });
});

const REFUSED: readonly (readonly [what: string, text: string, error: keyof typeof HeadError])[] = [
  ["an empty method", " / HTTP/1.1\r\nHost: a\r\n\r\n", "method"],
  ["a method with a separator", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "method"],
  ["a tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "method"],
  ["two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "target"],
  ["two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "version"],
  ["a version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n", "version"],
  ["a space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "version"],
  ["another version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "http10"],
  ["a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "bareLf"],
  ["a bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "bareCr"],
  ["a target that is no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "target"],
  ["another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "invalidScheme"],
  ["user information in the target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "invalidUrl"],
  ["CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "invalidUrl"],
  ["CONNECT to more than one port", "CONNECT a:1:2 HTTP/1.1\r\nHost: a\r\n\r\n", "invalidUrl"],
  ["no host", "GET / HTTP/1.1\r\n\r\n", "missingHost"],
  ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "multipleHosts"],
  ["a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "invalidAuthority"],
  ["a host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "invalidAuthority"],
  ["a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n", "bareLf"],
  ["a bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n\r\n", "bareCr"],
  ["a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "bareLf"],
  ["a NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nB: \0\r\n\r\n", "invalidValue"],
  ["a DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nB: \x7f\r\n\r\n", "invalidValue"],
  ["a folded value", "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n", "obsoleteFold"],
  ["a fold before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "obsoleteFold"],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nB : c\r\n\r\n", "invalidName"],
  ["an empty name", "GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n", "invalidName"],
  ["a line without a colon", "GET / HTTP/1.1\r\nHost: a\r\nB\r\n\r\n", "invalidName"],
  ["a byte above ASCII in a name", "GET / HTTP/1.1\r\nHost: a\r\nB\xe4: c\r\n\r\n", "invalidName"],
  ["a signed length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", "contentLength"],
  ["a negative length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", "contentLength"],
  ["a hexadecimal length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", "contentLength"],
  ["an empty length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "contentLength"],
  ["a list of lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "contentLength"],
  ["a length twice", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "contentLength"],
  [
    "a length too long to count",
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${"9".repeat(20)}\r\n\r\n`,
    "contentLength",
  ],
  [
    "a length and chunks",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "lengthAndChunked",
  ],
  ["another coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "transferEncoding"],
  ["two codings", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transferEncoding"],
  [
    "chunked twice",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "transferEncoding",
  ],
  ["chunks in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "transferEncoding"],
  ["too many fields", `GET / HTTP/1.1\r\nHost: a\r\n${"a: b\r\n".repeat(101)}\r\n`, "tooManyFields"],
];

describe("request heads that are refused", () => {
  for (const [what, text, error] of REFUSED) {
    test(what, () => assert.equal(nameOf(parse(text).result), error));
  }

  test("1.0 where it is not accepted", () => {
    assert.equal(nameOf(parse(SOUND[6] as string, { acceptHttp10: false }).result), "http10");
    assert.equal(nameOf(parse(SOUND[6] as string, { defaultHostForHttp10: "" }).result), "missingHost");
  });

  test("methods that nobody has registered, unless they are allowed", () => {
    const text = "FLY / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert.equal(nameOf(parse(text, { allowCustomMethods: false }).result), "method");
    assert.equal(parse(text).result, text.length);
    for (const known of ["GET", "PROPFIND"]) {
      assert.ok(parse(text.replace("FLY", known), { allowCustomMethods: false }).result > 0);
    }
  });

  test("names with underscores where they are, or only these fields", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\nA_b: 1\r\nc: 2\r\n\r\n";
    assert.equal(nameOf(parse(text, { underscores: "reject_request" }).result), "underscore");
    const dropped = parse(text, { underscores: "drop_header" });
    assert.equal(dropped.head.headers.toHttp1(), "c: 2\r\n");
  });

  test("a length beside chunks may be allowed, and is then taken out", () => {
    const text = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nb: c\r\n\r\n";
    const { result, head, framing } = parse(text, { allowChunkedLength: true });
    assert.equal(result, text.length);
    assert.deepEqual([framing.chunked, framing.contentLength, head.headers.toHttp1()], [true, -1, "b: c\r\n"]);
  });
});

describe("any bytes at all", () => {
  const inputs = fc.oneof(
    { weight: 6, arbitrary: mutated(SOUND) },
    { weight: 3, arbitrary: mutated(REFUSED.map(([, text]) => text)) },
    noise,
  );

  test("are read the same however they are split", () => {
    fc.assert(
      fc.property(inputs, (text) => {
        const { result } = parse(text);
        for (let length = 0; length < text.length; length++) {
          const part = parse(text.slice(0, length)).result;
          assert.ok(part === 0 || part === result, `${nameOf(part)} after ${length}, ${nameOf(result)} in the end`);
        }
      }),
      { numRuns: 400 },
    );
  });

  test("are never taken for a request that a strict reader refuses or reads otherwise", () => {
    let accepted = 0;
    fc.assert(
      fc.property(inputs, (text) => {
        const { result, head, framing } = parse(text);
        if (result <= 0) return;
        accepted++;
        const reference = referenceRequest(text.slice(0, result));
        assert.notEqual(reference, null, JSON.stringify(text));
        if (reference === null) return;
        const [method, target] = reference.start.split(" ");
        assert.equal(head.method, method);
        assert.ok(method === "CONNECT" || target?.endsWith(head.path) || head.path === "/");
        assert.deepEqual([framing.contentLength, framing.chunked], [reference.contentLength, reference.chunked]);
        const expected = reference.fields.filter(([name]) => !/^(host|transfer-encoding)$/i.test(name));
        assert.deepEqual(fieldsOf(head.headers), expected);
        assert.equal(head.headers.toHttp1(), linesOf(text, expected.length));
      }),
      { numRuns: 4000 },
    );
    assert.ok(accepted > 400, `only ${accepted} were accepted`);
  });
});

/** The field lines of a head as they stand there, without host and transfer-encoding. */
function linesOf(text: string, count: number): string {
  const lines = text
    .slice(text.indexOf("\r\n") + 2)
    .split("\r\n")
    .filter((line) => !/^(host|transfer-encoding):/i.test(line));
  return lines
    .slice(0, count)
    .map((line) => `${line}\r\n`)
    .join("");
}
