import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ResponseHead } from "../../http/message.ts";
import { Framing, HeadError } from "./fields.ts";
import { parseResponseHead } from "./response-head.ts";
import { fieldsOf } from "./testing/fields-of.ts";
import { mutated, noise } from "./testing/mutations.ts";
import { referenceResponse } from "./testing/reference.ts";

function parse(text: string, before = ""): { result: number; head: ResponseHead; framing: Framing } {
  const head = new ResponseHead();
  const framing = new Framing();
  const buf = Buffer.from(before + text, "latin1");
  const result = parseResponseHead(buf, before.length, buf.length, 100, head, framing);
  return { result: result > 0 ? result - before.length : result, head, framing };
}

const nameOf = (result: number): string =>
  Object.entries(HeadError).find(([, code]) => code === result)?.[0] ?? `offset ${result}`;

const SOUND = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
  "HTTP/1.1 404 Not \x80 Found\t!\r\nTransfer-Encoding: Chunked\r\nX-A: b\r\n\r\n",
  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
  "HTTP/1.1 204\r\n\r\n",
  "HTTP/1.1 599 \r\nConnection: close\r\nEmpty:\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
];

test("sound response heads are read whole, and not beyond", () => {
  for (const text of SOUND) {
    for (const after of ["", "HTTP/1.1 200 OK\r\n", "\r\n"])
      assert.equal(parse(text + after, "before").result, text.length);
  }
  const { head, framing } = parse(SOUND[1] as string);
  assert.deepEqual(
    [head.status, head.reason, head.protocol, framing.chunked],
    [404, "Not \x80 Found\t!", "HTTP/1.1", true],
  );
  assert.deepEqual(fieldsOf(head.headers), [["X-A", "b"]]);
  assert.deepEqual([parse(SOUND[3] as string).head.reason, parse(SOUND[4] as string).head.reason], ["", ""]);
  assert.equal(parse(SOUND[0] as string).head.reason, "OK");
});

const REFUSED: readonly (readonly [what: string, text: string, error: keyof typeof HeadError])[] = [
  ["another protocol", "SSH-2.0 x\r\n\r\n", "version"],
  ["HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "version"],
  ["two digits", "HTTP/1.1 20 OK\r\n\r\n", "status"],
  ["four digits", "HTTP/1.1 2000 OK\r\n\r\n", "startLine"],
  ["a status below 100", "HTTP/1.1 099 No\r\n\r\n", "status"],
  ["no space before the status", "HTTP/1.1200 OK\r\n\r\n", "status"],
  ["a reason without a space", "HTTP/1.1 200OK\r\n\r\n", "startLine"],
  ["a NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", "startLine"],
  ["a bare LF after the status line", "HTTP/1.1 200 OK\nA: b\r\n\r\n", "bareLf"],
  ["a bare CR after the status line", "HTTP/1.1 200 OK\rA: b\r\n\r\n", "bareCr"],
  ["folding", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obsoleteFold"],
  [
    "a length and chunks",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "lengthAndChunked",
  ],
  ["a length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "contentLength"],
  ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transferEncoding"],
];

describe("response heads that are refused", () => {
  for (const [what, text, error] of REFUSED) test(what, () => assert.equal(nameOf(parse(text).result), error));
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

  test("are never taken for a response that a strict reader refuses or reads otherwise", () => {
    let accepted = 0;
    fc.assert(
      fc.property(inputs, (text) => {
        const { result, head, framing } = parse(text);
        if (result <= 0) return;
        accepted++;
        const reference = referenceResponse(text.slice(0, result));
        assert.notEqual(reference, null, JSON.stringify(text));
        if (reference === null) return;
        assert.equal(head.status, Number(reference.start.slice(9, 12)));
        assert.equal(head.reason, reference.start.slice(13));
        assert.deepEqual([framing.contentLength, framing.chunked], [reference.contentLength, reference.chunked]);
        const expected = reference.fields.filter(([name]) => name.toLowerCase() !== "transfer-encoding");
        assert.deepEqual(fieldsOf(head.headers), expected);
      }),
      { numRuns: 4000 },
    );
    assert.ok(accepted > 400, `only ${accepted} were accepted`);
  });
});
