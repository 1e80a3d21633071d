/** What a connection's first bytes tell. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HTTP1, HTTP2, isNoHttp, looksLikeHttp2, MORE } from "./http-version.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

describe("the version", () => {
  test("is HTTP/2 as soon as enough of the preface has come, and open until then", () => {
    for (let length = 0; length <= PREFACE.length; length++) {
      const seen = looksLikeHttp2(Buffer.from(PREFACE.slice(0, length)));
      assert.equal(seen, length < 14 ? MORE : HTTP2, `after ${length} bytes`);
    }
  });

  test("is HTTP/1 with the first byte that is not the preface's", () => {
    for (const text of ["GET / HTTP/1.1\r\n", "PRI * HTTP/1.1\r\n", "PUT", "\x16\x03"]) {
      assert.equal(looksLikeHttp2(Buffer.from(text)), HTTP1, text);
    }
  });
});

describe("a line that no request begins with", () => {
  const lines: Readonly<Record<string, boolean>> = {
    "INVALID CONNECTION PREFACE\r\n\r\n": true,
    "a b c\n": true,
    "a b\r\n": false,
    garbage: false,
    "garbage\r\n": false,
    "GET / HTTP/1.1\r\n": false,
    "GET a HTTP/1.1\r\n": false,
    "GET  / HTTP/1.1\r\n": false,
    "GET / FTP/1.1\r\n": false,
    "GET http://a/ b c\r\n": false,
    "OPTIONS * x\r\n": false,
    "CONNECT a.test:443 HTTP/1.1\r\n": false,
    // It may go on.
    "a b c": false,
  };
  for (const [line, none] of Object.entries(lines)) {
    test(`${JSON.stringify(line)}: ${none ? "yes" : "no"}`, () => assert.equal(isNoHttp(Buffer.from(line)), none));
  }
});
