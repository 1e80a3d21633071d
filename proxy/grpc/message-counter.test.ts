import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessageCounter } from "./message-counter.ts";

function message(length: number, compressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, Buffer.alloc(length, 0xff)]);
}

function counted(pieces: readonly Uint8Array[]): number {
  const counter = new MessageCounter();
  for (const piece of pieces) counter.push(piece);
  return counter.count;
}

test("messages are counted however their bytes are split", () => {
  const bytes = Buffer.concat([message(0), message(3), message(300, true), message(0, true), message(1)]);
  for (let at = 0; at <= bytes.length; at++) {
    assert.equal(counted([bytes.subarray(0, at), bytes.subarray(at)]), 5, `split at ${at}`);
  }
  assert.equal(counted([...bytes].map((byte) => Uint8Array.of(byte))), 5);
});

test("any messages in any pieces", () => {
  const lengths = fc.array(fc.nat({ max: 70_000 }), { maxLength: 6 });
  fc.assert(
    fc.property(lengths, fc.array(fc.nat({ max: 300_000 }), { maxLength: 12 }), (sizes, cuts) => {
      const bytes = Buffer.concat(sizes.map((size) => message(size)));
      const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i] ?? 0, end));
      assert.equal(counted(pieces), sizes.length);
    }),
    { numRuns: 50 },
  );
});

test("a message counts once its length is known, and the longest one hides what is in it", () => {
  const counter = new MessageCounter();
  counter.push(Buffer.from([0, 0xff, 0xff, 0xff]));
  assert.equal(counter.count, 0);
  counter.push(Buffer.from([0xff]));
  assert.equal(counter.count, 1);
  for (let i = 0; i < 100; i++) counter.push(message(0));
  assert.equal(counter.count, 1);
  counter.reset();
  counter.push(message(7));
  assert.equal(counter.count, 1);
});
