import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { linesOf } from "./lines.ts";

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (const [index, begin] of places.entries()) yield bytes.subarray(begin, places[index + 1] ?? bytes.length);
}

async function all(lines: AsyncIterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}

test("lines are the same however the bytes are cut, characters too", async () => {
  const line = fc
    .string({ unit: "grapheme", maxLength: 20 })
    .filter((text) => !text.includes("\n") && text.trim() !== "");
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), async (texts, cuts) => {
      const bytes = new TextEncoder().encode(texts.map((text) => `${text}\n\n`).join(""));
      assert.deepEqual(await all(linesOf(chunksOf(bytes, cuts), 1000)), texts);
    }),
    { numRuns: 200 },
  );
});

test("what has no newline yet is no line", async () => {
  const bytes = new TextEncoder().encode('{"a":1}\n{"b"');
  assert.deepEqual(await all(linesOf(chunksOf(bytes, [3]), 1000)), ['{"a":1}']);
});

test("a line that does not end is given up", async () => {
  const bytes = new TextEncoder().encode("x".repeat(100));
  await assert.rejects(all(linesOf(chunksOf(bytes, [50]), 60)), /more than 60 bytes/);
});
