import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { xxHash64 } from "./xxhash64.ts";

test("published values of XXH64 with seed 0", () => {
  const known: readonly (readonly [string, bigint])[] = [
    ["", 0xef46db3751d8e999n],
    ["a", 0xd24ec4f1a98c6e5bn],
    ["as", 0x1c330fb2d66be179n],
    ["asd", 0x631c37ce72a97393n],
    ["asdf", 0x415872f599cea71en],
    ["Call me Ishmael. Some years ago--never mind how long precisely-", 0x02a2e85470d6fd96n],
  ];
  for (const [text, hash] of known) assert.equal(xxHash64(text), hash, text);
});

const MASK = (1n << 64n) - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const rotl = (x: bigint, bits: bigint): bigint => ((x << bits) | (x >> (64n - bits))) & MASK;
const lane = (acc: bigint, input: bigint): bigint => (rotl((acc + input * P2) & MASK, 31n) * P1) & MASK;

/** The specification written down with 64-bit integers. */
function reference(bytes: Buffer): bigint {
  let at = 0;
  let h: bigint;
  if (bytes.length >= 32) {
    const v = [(P1 + P2) & MASK, P2, 0n, -P1 & MASK];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) v[i] = lane(v[i] as bigint, bytes.readBigUInt64LE(at + 8 * i));
    }
    h = 0n;
    [1n, 7n, 12n, 18n].forEach((bits, i) => {
      h = (h + rotl(v[i] as bigint, bits)) & MASK;
    });
    for (const acc of v) h = ((h ^ lane(0n, acc)) * P1 + P4) & MASK;
  } else {
    h = P5;
  }
  h = (h + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) h = (rotl(h ^ lane(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  if (at + 4 <= bytes.length) {
    h = (rotl(h ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) h = (rotl(h ^ ((BigInt(bytes[at] as number) * P5) & MASK), 11n) * P1) & MASK;
  h = ((h ^ (h >> 33n)) * P2) & MASK;
  h = ((h ^ (h >> 29n)) * P3) & MASK;
  return h ^ (h >> 32n);
}

test("agrees with the specification for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      assert.equal(xxHash64(buffer.toString("latin1")), reference(buffer));
    }),
    { numRuns: 500 },
  );
});
