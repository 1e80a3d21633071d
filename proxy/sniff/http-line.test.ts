import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MORE, NOT_HTTP, readHttpLine } from "./http-line.ts";

const read = (text: string): ReturnType<typeof readHttpLine> => readHttpLine(Buffer.from(text, "latin1"));

const HTTP: readonly [string, string][] = [
  ["GET / HTTP/1.1\r\n", "http/1.1"],
  ["GET / HTTP/1.0\n", "http/1.0"],
  ["\r\n\r\nPOST /a?b=c HTTP/1.1\r\n", "http/1.1"],
  ["OPTIONS * HTTP/1.1\r\n", "http/1.1"],
  ["CONNECT orders:443 HTTP/1.1\r\n", "http/1.1"],
  ["M-SEARCH * HTTP/1.1\r\n", "http/1.1"],
  ["PROPPATCH /\xe9 HTTP/1.1\r\n", "http/1.1"],
  ["GET http://orders/ HTTP/1.1\r\n", "http/1.1"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"],
];

/** What it says, and after how many bytes it is known to be no HTTP. */
const OTHERS: readonly [string, string, number][] = [
  ["PostgreSQL", "\0\0\0\x08\x04\xd2\x16\x2f", 1],
  ["Redis", "*1\r\n$4\r\nPING\r\n", 1],
  ["Redis, inline", "PING\r\n", 2],
  ["Redis, inline, a method's name", "GET key\r\n", 8],
  ["memcached", "get key\r\n", 1],
  ["SMTP", "EHLO me\r\n", 1],
  ["SSH", "SSH-2.0-OpenSSH_9.2\r\n", 2],
  ["AMQP", "AMQP\0\0\x09\x01", 2],
  ["MongoDB", "\x3a\0\0\0", 1],
  ["TLS", "\x16\x03\x01\x02\0\x01", 1],
  ["RTSP", "OPTIONS rtsp://a/ RTSP/1.0\r\n", 19],
  ["SIP", "OPTIONS sip:a SIP/2.0\r\n", 15],
  ["HTTP/0.9", "GET /\r\n", 6],
  ["a version of another kind", "GET / HTTP/3.0\r\n", 12],
  ["no line", "\r\n\r\n\r\n", 5],
  ["a method in lower case", "get / HTTP/1.1\r\n", 1],
  ["a longer word", "GETS / HTTP/1.1\r\n", 4],
];

describe("HTTP in plaintext", () => {
  for (const [line, protocol] of HTTP) {
    test(`${JSON.stringify(line)} is ${protocol}, however it is split`, () => {
      const end = line.startsWith("PRI") ? 14 : line.length;
      for (let i = 0; i <= line.length; i++) {
        assert.equal(read(line.slice(0, i)), i < end ? MORE : protocol, `${i} bytes`);
      }
      assert.equal(read(`${line}host: a\r\n\r\n`), protocol);
    });
  }

  for (const [name, bytes, known] of OTHERS) {
    test(`${name} is none, as soon as a byte says so`, () => {
      for (let i = 0; i <= bytes.length; i++) {
        assert.equal(read(bytes.slice(0, i)), i < known ? MORE : NOT_HTTP, `${i} bytes`);
      }
    });
  }

  test("a line that does not end is given up", () => {
    assert.equal(read(`GET /${"a".repeat(16_000)}`), MORE);
    assert.equal(read(`GET /${"a".repeat(17_000)}`), NOT_HTTP);
    assert.equal(read(`GET /${"a".repeat(17_000)} HTTP/1.1\r\n`), NOT_HTTP);
  });

  test("whatever comes, an answer stays the answer, and nothing is thrown", () => {
    const piece = fc.oneof(
      fc.constantFrom("GET ", "PRI ", "* ", "/ ", "HTTP/1.", "1\r\n", "0\n", "HTTP/2.0\r\n\r\n", "\r", "\n"),
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join("");
        let answer: ReturnType<typeof readHttpLine> = MORE;
        for (let i = 0; i <= text.length; i++) {
          const next = read(text.slice(0, i));
          if (answer === MORE) answer = next;
          else assert.equal(next, answer);
        }
      }),
    );
  });
});
