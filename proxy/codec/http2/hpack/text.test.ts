import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ownText, readText, sharedText, writeText } from "./text.ts";

const latin1 = fc
  .array(fc.oneof(fc.nat(255), fc.integer({ min: 0x61, max: 0x7a })), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes));

test("text is written and read, whatever its length and wherever it lies", () => {
  fc.assert(
    fc.property(latin1, fc.nat(20), (text, at) => {
      const buf = Buffer.alloc(64, 0xee);
      const end = writeText(buf, at, text);
      assert.equal(end, at + text.length);
      assert.equal(buf.toString("latin1", at, end), text);
      assert.ok(buf.every((byte, i) => byte === 0xee || (i >= at && i < end)));
      assert.equal(readText(buf, at, end), text);
    }),
  );
});

test("shared and own text has the same characters, and leaves no trace", () => {
  const odd = ["", "0", "42", "4294967294", "4294967295", "99999999999", "-1", "1e3", "__proto__", "constructor"];
  for (const text of [...odd, ...odd, "toString", "x".repeat(300), "caf\xe9"]) {
    assert.equal(sharedText(text), text);
    assert.equal(ownText(text), text);
  }
  fc.assert(
    fc.property(latin1, latin1, (one, other) => {
      assert.equal(sharedText(one), one);
      assert.equal(sharedText(other), other);
    }),
  );
});
