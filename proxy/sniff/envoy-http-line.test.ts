/** The lines that Envoy 1.40 was asked about, and its answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readEnvoyHttpLine } from "./envoy-http-line.ts";
import { MORE, NOT_HTTP } from "./http-line.ts";

const read = (text: string): ReturnType<typeof readEnvoyHttpLine> => readEnvoyHttpLine(Buffer.from(text, "latin1"));

const ANSWERS: readonly [string, ReturnType<typeof readEnvoyHttpLine>][] = [
  ["GET / HTTP/1.1\r\n", "http/1.1"],
  ["GET / HTTP/1.0\r\n", "http/1.0"],
  ["GET / HTTP/1.1\n\n", "http/1.1"],
  ["FROB / HTTP/1.1\r\n", "http/1.1"],
  ["get / HTTP/1.1\r\n", "http/1.1"],
  ["GET / HTTP/3.7\r\n", "http/1.0"],
  ["GET /\r\n", "http/1.0"],
  ["GET\t/\tHTTP/1.1\r\n", "http/1.1"],
  ["GET / HTTP/1.1 \r\n", "http/1.1"],
  ["GET /\x01 HTTP/1.1\r\n", "http/1.1"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"],
  ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "http/1.0"],
  ["PRI * HT", MORE],
  ["G", MORE],
  ["*1abcdefg", MORE],
  ["abcdefgh ", MORE],
  ["\r\n\r\nGET / HTTP/1.1\r\n", NOT_HTTP],
  [" GET / HTTP/1.1\r\n", NOT_HTTP],
  ["PING\r\n", NOT_HTTP],
  ["EHLO me\r\n", NOT_HTTP],
  ["get foo\r\n", NOT_HTTP],
  ["get  x\r\n", NOT_HTTP],
  ["a b c d e\r\n", NOT_HTTP],
  ["a: b c\r\n", NOT_HTTP],
  ["user@ x\r\n", NOT_HTTP],
  ["*3\r\n$3\r\nSET\r\n", NOT_HTTP],
  ["G\x01T / HTTP/1.1\r\n", NOT_HTTP],
  ["GET / HTTP/1.1x\r\n", NOT_HTTP],
  ["GET / HTTP/1.\r\n", NOT_HTTP],
  ["GET /\xe9 HTTP/1.1\r\n", NOT_HTTP],
  ["\x01abcdefgh", NOT_HTTP],
  ["(abcdefgh", NOT_HTTP],
  ["abcdef\0gh", NOT_HTTP],
  ["\0\0\0\x08\x04\xd2\x16\x2f", NOT_HTTP],
];

describe("HTTP in plaintext, as Envoy judges", () => {
  for (const [bytes, answer] of ANSWERS) {
    test(JSON.stringify(bytes), () => assert.equal(read(bytes), answer));
  }

  test("a line that does not end is given up", () => {
    assert.equal(read(`GET /${"a".repeat(60_000)}`), MORE);
    assert.equal(read(`GET /${"a".repeat(70_000)}`), NOT_HTTP);
    assert.equal(read(`GET /${"a".repeat(70_000)} HTTP/1.1\r\n`), NOT_HTTP);
  });

  test("an answer stays the answer, whatever follows", () => {
    const piece = fc.oneof(
      fc.constantFrom("GET ", "PRI ", "* ", "/ ", "HTTP/1.1", "\r\n", "HTTP/2.0\r\n\r\n", "SM\r\n\r\n"),
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join("");
        let answer: ReturnType<typeof read> = MORE;
        for (let i = 0; i <= text.length; i++) {
          const next = read(text.slice(0, i));
          if (answer === MORE) answer = next;
          else assert.equal(next, answer);
        }
      }),
    );
  });
});
