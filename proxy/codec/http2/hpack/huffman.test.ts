import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodedRoom, decodingBuffer, huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";
import { octets } from "./testing/blocks.ts";

function encoded(text: string): Buffer {
  const out = Buffer.alloc(huffmanLength(text));
  assert.equal(huffmanEncode(out, 0, text), out.length);
  return out;
}

/** Decodes from within a larger buffer, whose bytes around it must make no difference. */
function decoded(code: Buffer, around = 0xff): string | null {
  const buf = Buffer.concat([Buffer.alloc(3, around), code, Buffer.alloc(6, around)]);
  const out = decodingBuffer(code.length);
  const length = huffmanDecode(buf, 3, 3 + code.length, out);
  return length < 0 ? null : out.latin1Slice(0, length);
}

test("strings of RFC 7541, appendix C, in both directions", () => {
  const vectors: [string, string][] = [
    ["www.example.com", "f1e3 c2e5 f23a 6ba0 ab90 f4ff"],
    ["no-cache", "a8eb 1064 9cbf"],
    ["custom-key", "25a8 49e9 5ba9 7d7f"],
    ["custom-value", "25a8 49e9 5bb8 e8b4 bf"],
    ["302", "6402"],
    ["Mon, 21 Oct 2013 20:13:21 GMT", "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff"],
    ["https://www.example.com", "9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3"],
  ];
  for (const [text, hex] of vectors) {
    assert.deepEqual(encoded(text), octets(hex));
    assert.equal(decoded(octets(hex)), text);
  }
});

test("every byte, alone and beside every other", () => {
  for (let a = 0; a < 256; a++) {
    const alone = String.fromCharCode(a);
    assert.equal(decoded(encoded(alone)), alone);
    for (let b = 0; b < 256; b++) {
      const pair = String.fromCharCode(a, b);
      assert.equal(decoded(encoded(pair), 0), pair);
    }
  }
});

test("what was encoded is decoded, and never longer than the room for it", () => {
  const byte = fc.oneof(fc.nat(255), fc.integer({ min: 0x20, max: 0x7e }));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 200 }), (bytes) => {
      const text = String.fromCharCode(...bytes);
      const code = encoded(text);
      assert.ok(decodedRoom(code.length) >= text.length);
      assert.equal(decoded(code), text);
    }),
  );
  const long = "a".repeat(20_000);
  assert.equal(decoded(encoded(long)), long);
});

test("padding is fewer than eight bits, all of them ones (RFC 7541, section 5.2)", () => {
  assert.equal(decoded(octets("1f")), "a", "00011 and three ones");
  for (const hex of ["18", "1b", "1e", "1fff", "ff", "f1e3c2e5f23a6ba0ab90f4ffff"]) {
    assert.equal(decoded(octets(hex)), null, hex);
    assert.equal(decoded(octets(hex), 0), null, hex);
  }
});

test("EOS spelled out is refused", () => {
  assert.equal(decoded(octets("fffffffc")), null);
  assert.equal(decoded(octets("ffffffff")), null);
  assert.equal(decoded(octets("1fffffffff")), null, "after a symbol");
});

test("decoding agrees with reading bit by bit, whatever the bytes", () => {
  const codes = new Map<string, number>();
  for (let symbol = 0; symbol < 256; symbol++) {
    const text = String.fromCharCode(symbol);
    const bits = [...encoded(text)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    // The code is what is common to the symbol alone and before a byte that begins with a zero.
    const before = [...encoded(`${text}0`)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    let length = 0;
    while (length < bits.length && bits[length] === before[length]) length++;
    codes.set(bits.slice(0, length), symbol);
  }
  const reference = (bytes: Uint8Array): string | null => {
    let rest = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    let text = "";
    for (;;) {
      let length = 5;
      while (length <= 30 && length <= rest.length && !codes.has(rest.slice(0, length))) length++;
      const symbol = codes.get(rest.slice(0, length));
      if (symbol === undefined) return rest.length < 8 && !rest.includes("0") ? text : null;
      text += String.fromCharCode(symbol);
      rest = rest.slice(length);
    }
  };
  const bytes = fc.array(fc.oneof(fc.nat(255), fc.integer({ min: 0xf8, max: 0xff })), { maxLength: 16 });
  fc.assert(
    fc.property(bytes, (numbers) => {
      const code = Buffer.from(numbers);
      assert.equal(decoded(code, 0), reference(code));
      assert.equal(decoded(code, 0xff), reference(code));
    }),
    { numRuns: 2000 },
  );
});
