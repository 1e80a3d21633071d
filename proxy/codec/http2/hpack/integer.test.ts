import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cursor, MAX_INTEGER_BYTES, readInteger, writeInteger } from "./integer.ts";
import { octets } from "./testing/blocks.ts";

function written(flags: number, max: number, value: number): string {
  const out = Buffer.alloc(MAX_INTEGER_BYTES);
  return out.subarray(0, writeInteger(out, 0, flags, max, value)).toString("hex");
}

test("integers are written as in RFC 7541, appendix C.1", () => {
  assert.equal(written(0, 0x1f, 10), "0a");
  assert.equal(written(0, 0x1f, 1337), "1f9a0a");
  assert.equal(written(0, 0xff, 42), "2a");
});

test("what was written is read, with every prefix", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(2 ** 28 - 1), (bits, value) => {
      const max = (1 << bits) - 1;
      const out = Buffer.alloc(MAX_INTEGER_BYTES);
      const end = writeInteger(out, 0, 0, max, value);
      if (value < max) {
        assert.equal(out[0], value);
        assert.equal(end, 1);
        return;
      }
      assert.equal(readInteger(out, 1, end, max), value);
      assert.equal(cursor.at, end);
      assert.equal(readInteger(out, 1, end - 1, max), -1, "an integer that is cut off");
    }),
  );
});

test("an integer beyond all use, or one that never ends, is refused", () => {
  for (const hex of ["ffffffff0f", "ffffffffffffffff7f", "8080808000", "80".repeat(1000)]) {
    assert.equal(readInteger(octets(hex), 0, hex.length / 2, 31), -1, hex);
  }
  assert.equal(readInteger(octets("80808000"), 0, 4, 31), 31, "some padding is no error");
});
