import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ChunkedDecoder, type ChunkSink } from "./chunked.ts";
import { HeadError } from "./fields.ts";
import { fieldsOf } from "./testing/fields-of.ts";
import { mutated, noise } from "./testing/mutations.ts";
import { referenceChunks } from "./testing/reference.ts";

interface Decoded {
  readonly outcome: "done" | "more" | keyof typeof HeadError;
  /** What was handed on. */
  readonly out: string;
  /** Bytes of content that were said to be in it. */
  readonly payload: number;
  readonly trailers: readonly (readonly [string, string])[];
  /** What was left after the body. */
  readonly rest: string;
}

/** Feeds `text` in the pieces that end at `cuts`. */
function decode(text: string, raw: boolean, cuts: readonly number[] = []): Decoded {
  const decoder = new ChunkedDecoder();
  decoder.reset(raw);
  let out = "";
  let payload = 0;
  const sink: ChunkSink = {
    onChunk(bytes, count) {
      assert.ok(bytes.length > 0, "an empty piece would end a body that is framed anew");
      out += bytes.toString("latin1");
      payload += count;
    },
  };
  const ends = [...new Set([...cuts.filter((cut) => cut > 0 && cut < text.length), text.length])].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    // Not at the start of its buffer, as in a segment that begins with something else.
    const buf = Buffer.from(`??${text.slice(from, end)}`, "latin1");
    const after = decoder.feed(buf, 2, buf.length, sink);
    if (after < 0) {
      const error = Object.entries(HeadError).find(([, code]) => code === after)?.[0] as keyof typeof HeadError;
      return { outcome: error, out, payload, trailers: [], rest: "" };
    }
    if (decoder.done) {
      const trailers = decoder.trailers === null ? [] : fieldsOf(decoder.trailers);
      return { outcome: "done", out, payload, trailers, rest: text.slice(from + after - 2) };
    }
    assert.equal(after, buf.length, "only a body that is done leaves bytes");
    from = end;
  }
  return { outcome: "more", out, payload, trailers: [], rest: "" };
}

/** The content of what raw mode handed on, which lacks its end on purpose. */
function contentOf(out: string): string {
  const read = referenceChunks(`${out}0\r\n\r\n`);
  if (read === null || read === "more") throw new Error(`not chunks: ${JSON.stringify(out)}`);
  return read.body;
}

const chunk = fc.tuple(
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  fc.constantFrom("", "", ";", ";a", ";a=b", ';a="b;c"', "; x = y"),
  fc.constantFrom("", "", "0", "000"),
  fc.boolean(),
);
const trailer = fc.constantFrom("X-A: b", "x-sum:", "X-b:  c ");
const cutsOf = fc.array(fc.nat(400), { maxLength: 30 });

interface Body {
  readonly text: string;
  readonly content: string;
  readonly trailers: readonly string[];
}

const body: fc.Arbitrary<Body> = fc
  .tuple(fc.array(chunk, { maxLength: 6 }), fc.array(trailer, { maxLength: 3 }), fc.constantFrom("0", "00;end", "0000"))
  .map(([chunks, trailers, last]) => ({
    text: `${chunks
      .map(([data, extension, zeros, upper]) => {
        const size = data.length.toString(16);
        return `${zeros}${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
      })
      .join("")}${last}\r\n${trailers.map((line) => `${line}\r\n`).join("")}\r\n`,
    content: chunks.map(([data]) => data).join(""),
    trailers,
  }));

describe("sound chunked bodies", () => {
  test("give the same content in both modes and for all splits, and end where they end", () => {
    fc.assert(
      fc.property(body, cutsOf, ({ text, content, trailers }, cuts) => {
        for (const raw of [true, false]) {
          const { outcome, out, payload, trailers: got, rest } = decode(`${text}next`, raw, cuts);
          assert.equal(outcome, "done");
          assert.equal(raw ? contentOf(out) : out, content);
          assert.equal(payload, content.length);
          assert.equal(rest, "next");
          assert.deepEqual(
            got.map(([name, value]) => `${name}:${value}`),
            trailers.map((line) => line.replace(/:\s*(.*?)\s*$/, ":$1")),
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("pass on as they came, but for extensions", () => {
    const text = "5;a=b\r\nhello\r\n0006\r\n world\r\n0;end\r\nx: y\r\n\r\n";
    assert.equal(decode(text, true).out, "5\r\nhello\r\n0006\r\n world\r\n");
    assert.equal(decode(text, false).out, "hello world");
  });

  test("one decoder serves one body after another", () => {
    const decoder = new ChunkedDecoder();
    const sink: ChunkSink = { onChunk: () => undefined };
    for (const text of ["3\r\nabc\r\n0\r\na: b\r\n\r\n", "0\r\n\r\n"]) {
      decoder.reset(true);
      const buf = Buffer.from(text);
      assert.equal(decoder.feed(buf, 0, buf.length, sink), buf.length);
      assert.ok(decoder.done);
      assert.equal(decoder.trailers === null, text.startsWith("0"));
    }
  });
});

describe("chunked bodies that are refused", () => {
  const cases: readonly (readonly [what: string, text: string, error: keyof typeof HeadError])[] = [
    ["a size that is no number", "x\r\n", "chunkSize"],
    ["no size", "\r\n", "chunkSize"],
    ["a signed size", "+1\r\na\r\n", "chunkSize"],
    ["a size in 0x", "0x1\r\na\r\n", "chunkSize"],
    ["a space after the size", "1 \r\na\r\n", "chunkSize"],
    ["a space before the size", " 1\r\na\r\n", "chunkSize"],
    ["a bare LF after the size", "1\na\r\n", "chunkSize"],
    ["a bare CR after the size", "1\ra\r\n", "chunkSize"],
    ["data without its end", "1\r\nab\r\n", "chunkSize"],
    ["a bare LF after the data", "1\r\na\n0\r\n\r\n", "chunkSize"],
    ["a bare CR after the data", "1\r\na\r0\r\n\r\n", "chunkSize"],
    ["a size beyond 48 bits", "1000000000001\r\n", "chunkSize"],
    ["zeros without end", `${"0".repeat(17)}1\r\na\r\n`, "chunkSize"],
    ["a bare LF in an extension", "1;a\nb\r\na\r\n", "chunkSize"],
    ["a NUL in an extension", "1;\0\r\na\r\n", "chunkSize"],
    ["extensions without end", `1;${"x".repeat(20_000)}`, "chunkSize"],
    ["many small extensions", `1;${"x".repeat(99)}\r\na\r\n`.repeat(200), "chunkSize"],
    ["a malformed trailer", "0\r\nbad\r\n\r\n", "invalidName"],
    ["a folded trailer", "0\r\na: b\r\n c\r\n\r\n", "obsoleteFold"],
    ["too many trailers", `0\r\n${"a: b\r\n".repeat(101)}\r\n`, "tooManyFields"],
    ["too long a trailer", `0\r\na: ${"b".repeat(70_000)}`, "tooLarge"],
    ["too long trailers in all", `0\r\n${`a: ${"b".repeat(7000)}\r\n`.repeat(10)}\r\n`, "tooLarge"],
  ];
  for (const [what, text, error] of cases) {
    test(what, () => {
      for (const raw of [true, false]) {
        assert.equal(decode(text, raw).outcome, error);
        const everywhere = Array.from({ length: Math.min(text.length, 100) }, (_, i) => i);
        assert.equal(decode(text, raw, [...everywhere, 8000, 30_000, 60_000]).outcome, error);
      }
    });
  }
});

describe("any bytes at all", () => {
  const sound = [
    "5\r\nhello\r\n0\r\n\r\n",
    "1;a=b\r\nx\r\nA\r\n0123456789\r\n00\r\nX-A: b\r\nx-c:\r\n\r\n",
    "0\r\n\r\n",
  ];
  const inputs = fc.oneof({ weight: 8, arbitrary: mutated(sound) }, noise);

  test("are read as a strict reader reads them, in both modes and for all splits", () => {
    let accepted = 0;
    fc.assert(
      fc.property(inputs, cutsOf, (text, cuts) => {
        const reference = referenceChunks(text);
        for (const raw of [true, false]) {
          const whole = decode(text, raw);
          const parts = decode(text, raw, cuts);
          assert.equal(parts.outcome, whole.outcome);
          if (whole.outcome === "done") {
            accepted++;
            assert.ok(reference !== null && reference !== "more", JSON.stringify(text));
            for (const { out, trailers, rest, payload } of [whole, parts]) {
              assert.equal(raw ? contentOf(out) : out, reference.body);
              assert.equal(payload, reference.body.length);
              assert.deepEqual(trailers, reference.trailers);
              assert.equal(rest, reference.rest);
            }
          } else if (whole.outcome === "more") assert.equal(reference, "more", JSON.stringify(text));
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted > 300, `only ${accepted} were accepted`);
  });

  test("give one-byte pieces the same end as the whole", () => {
    fc.assert(
      fc.property(inputs, (text) => {
        const everywhere = Array.from({ length: text.length }, (_, i) => i);
        for (const raw of [true, false]) {
          const [whole, parts] = [decode(text, raw), decode(text, raw, everywhere)];
          assert.deepEqual([parts.outcome, parts.rest], [whole.outcome, whole.rest]);
        }
      }),
      { numRuns: 500 },
    );
  });
});
