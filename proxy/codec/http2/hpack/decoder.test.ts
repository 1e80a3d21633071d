import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { FieldKind } from "./field.ts";
import { decodeBlock, encodeBlock, type Field, kindsOf, literal, octets } from "./testing/blocks.ts";

const GET: Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const FOUND: Field[] = [
  [":status", "302"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["location", "https://www.example.com"],
];
const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

/** Blocks of one connection, each with what comes out of it and the size of the table after it. */
const VECTORS: Readonly<Record<string, { size: number; blocks: (readonly [string, Field[], number])[] }>> = {
  "C.2.1 literal with indexing": {
    size: 4096,
    blocks: [
      ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", [["custom-key", "custom-header"]], 55],
    ],
  },
  "C.2.2 literal without indexing": {
    size: 4096,
    blocks: [["040c 2f73 616d 706c 652f 7061 7468", [[":path", "/sample/path"]], 0]],
  },
  "C.2.3 literal never indexed": {
    size: 4096,
    blocks: [["1008 7061 7373 776f 7264 0673 6563 7265 74", [["password", "secret"]], 0]],
  },
  "C.2.4 indexed": { size: 4096, blocks: [["82", [[":method", "GET"]], 0]] },
  "C.3 requests without Huffman code": {
    size: 4096,
    blocks: [
      ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", GET, 57],
      ["8286 84be 5808 6e6f 2d63 6163 6865", [...GET, ["cache-control", "no-cache"]], 110],
      [
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        [
          [":method", "GET"],
          [":scheme", "https"],
          [":path", "/index.html"],
          [":authority", "www.example.com"],
          ["custom-key", "custom-value"],
        ],
        164,
      ],
    ],
  },
  "C.4 requests in Huffman code": {
    size: 4096,
    blocks: [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", GET, 57],
      ["8286 84be 5886 a8eb 1064 9cbf", [...GET, ["cache-control", "no-cache"]], 110],
      [
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        [
          [":method", "GET"],
          [":scheme", "https"],
          [":path", "/index.html"],
          [":authority", "www.example.com"],
          ["custom-key", "custom-value"],
        ],
        164,
      ],
    ],
  },
  "C.5 responses without Huffman code, with eviction": {
    size: 256,
    blocks: [
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120
         474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        FOUND,
        222,
      ],
      ["4803 3330 37c1 c0bf", [[":status", "307"], ...FOUND.slice(1)], 222],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738
         666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33
         3630 303b 2076 6572 7369 6f6e 3d31`,
        [
          [":status", "200"],
          ["cache-control", "private"],
          ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
          ["location", "https://www.example.com"],
          ["content-encoding", "gzip"],
          ["set-cookie", COOKIE],
        ],
        215,
      ],
    ],
  },
  "C.6 responses in Huffman code, with eviction": {
    size: 256,
    blocks: [
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
         63c7 8f0b 97c8 e9ae 82ae 43d3`,
        FOUND,
        222,
      ],
      ["4883 640e ffc1 c0bf", [[":status", "307"], ...FOUND.slice(1)], 222],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7
         b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        [
          [":status", "200"],
          ["cache-control", "private"],
          ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
          ["location", "https://www.example.com"],
          ["content-encoding", "gzip"],
          ["set-cookie", COOKIE],
        ],
        215,
      ],
    ],
  },
};

for (const [name, { size, blocks }] of Object.entries(VECTORS)) {
  test(`RFC 7541, appendix ${name}`, () => {
    const decoder = new HpackDecoder(size);
    for (const [hex, fields, tableSize] of blocks) {
      assert.deepEqual(decodeBlock(decoder, octets(hex)), fields);
      assert.equal(decoder.tableSize, tableSize);
    }
  });
}

test("what breaks the rules of the format is refused", () => {
  const broken: [string, string][] = [
    ["index 0", "80"],
    ["an index behind the empty dynamic table", "be"],
    ["a name's index behind the dynamic table", "7e 01 61"],
    ["a name's index far behind it", "0f ff ff ff 7f 01 61"],
    ["an index without an end", "ff 80"],
    ["an index that is too large", "ff ff ff ff ff ff 0f"],
    ["a name without an end", "00 03 61 61"],
    ["a literal without a name", "00"],
    ["a literal without a value", "00 01 61"],
    ["a value without an end", "00 01 61 02 61"],
    ["a value without its length", "04 7f"],
    ["a value of enormous length", "04 7f ff ff ff ff ff ff 01"],
    ["a value that ends in EOS", "04 84 ff ff ff ff"],
    ["padding of zeros", "04 81 18"],
    ["a size above what was agreed", "3f e2 1f"],
    ["a size without an end", "3f"],
    ["a size after a field", "82 20"],
    ["three sizes", "20 3f e1 1f 20"],
  ];
  for (const [what, hex] of broken) assert.equal(decodeBlock(new HpackDecoder(4096), octets(hex)), null, what);
});

test("the table's size is changed at the start of a block, twice at most", () => {
  const decoder = new HpackDecoder(4096);
  const entry = "40 01 61 01 62";
  assert.deepEqual(decodeBlock(decoder, octets(`${entry} be`)), [
    ["a", "b"],
    ["a", "b"],
  ]);
  assert.equal(decoder.tableSize, 34);
  assert.deepEqual(decodeBlock(decoder, octets("20 3f e1 1f 82")), [[":method", "GET"]], "down to 0, up to 4096");
  assert.equal(decoder.tableSize, 0, "what was evicted does not come back");
  assert.equal(decodeBlock(decoder, octets("be")), null);
});

test("a table that we made smaller has to be confirmed before the next field", () => {
  const reduced = (...sizes: number[]): HpackDecoder => {
    const decoder = new HpackDecoder(4096);
    assert.ok(decodeBlock(decoder, octets("40 01 61 01 62")));
    for (const size of sizes) decoder.setMaxTableSize(size);
    return decoder;
  };
  assert.equal(decodeBlock(reduced(100), octets("82")), null, "no update");
  assert.equal(decodeBlock(reduced(100), octets("3f 46 82")), null, "an update above the new size");
  assert.ok(decodeBlock(reduced(100), octets("3f 45 be")), "exactly it");
  assert.ok(decodeBlock(reduced(100), octets("3e be")) === null, "below it, and the entry is gone");
  // RFC 7541, section 4.2: the smallest size must be told, even if a larger one holds by now.
  assert.equal(decodeBlock(reduced(0, 4096), octets("3f e1 1f 82")), null);
  assert.ok(decodeBlock(reduced(0, 4096), octets("20 3f e1 1f 82")));
  assert.ok(decodeBlock(reduced(8192), octets("be")), "a larger one needs no word");
  const decoder = reduced(100);
  assert.ok(decodeBlock(decoder, octets("3f 45")), "a block of nothing else");
  assert.ok(decodeBlock(decoder, octets("be")));
});

test("fields carry their kind; one bad value says nothing of the next with its name", () => {
  const decoder = new HpackDecoder(4096);
  assert.deepEqual(kindsOf(decoder, octets("82 84 86")), [FieldKind.method, FieldKind.path, FieldKind.scheme]);
  const invalid: [string, string][] = [
    ["", "v"],
    ["Upper", "v"],
    ["a b", "v"],
    ["a", "b\r\nc: d"],
    ["a", "\0"],
    ["a", " b"],
    ["a", "b\t"],
  ];
  for (const [name, value] of invalid) {
    assert.deepEqual(kindsOf(decoder, literal(name, value)), [FieldKind.invalid], JSON.stringify([name, value]));
  }
  assert.deepEqual(kindsOf(decoder, literal("transfer-encoding", "x")), [FieldKind.connectionSpecific]);
  // `a` with a line feed goes into the table; then it is used whole, and for its name.
  assert.deepEqual(kindsOf(decoder, octets("40 01 61 01 0a be 7e 01 62")), [
    FieldKind.invalid,
    FieldKind.invalid,
    FieldKind.regular,
  ]);
});

test("literals that recur are remembered without being mixed up", () => {
  const decoder = new HpackDecoder(4096);
  const path = `/${"a".repeat(40)}`;
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(decodeBlock(decoder, literal(":path", path)), [[":path", path]]);
    // As long, and alike in many places.
    const other = `/${"a".repeat(19)}b${"a".repeat(20)}`;
    assert.deepEqual(decodeBlock(decoder, literal(":path", other)), [[":path", other]]);
    assert.deepEqual(kindsOf(decoder, literal(":path", ` ${path}`)), [FieldKind.invalid]);
  }
});

test("an entry of 4 KB that is called for 10,000 times costs no memory", () => {
  const decoder = new HpackDecoder(4096);
  const value = "a".repeat(4000);
  const entry = Buffer.concat([octets("40 01 61 7f a1 1e"), Buffer.from(value)]);
  assert.deepEqual(decodeBlock(decoder, entry), [["a", value]]);
  let fields = 0;
  let bytes = 0;
  const sink = {
    onField(_name: string, text: string): void {
      fields++;
      bytes += text.length;
    },
  };
  const bomb = Buffer.alloc(10_000, 0xbe);
  const before = process.memoryUsage();
  assert.ok(decoder.decode(bomb, 0, bomb.length, sink));
  const after = process.memoryUsage();
  assert.deepEqual([fields, bytes], [10_000, 40_000_000]);
  const grown = after.heapUsed - before.heapUsed + after.external - before.external;
  assert.ok(grown < 4_000_000, `${grown} bytes for 40 MB of fields`);
  assert.ok(decoder.tableSize <= 4096);
});

test("entries larger than the table empty it, and are fields all the same", () => {
  const decoder = new HpackDecoder(64);
  assert.ok(decodeBlock(decoder, octets("40 01 61 01 62")));
  assert.equal(decoder.tableSize, 34);
  const large = Buffer.concat([octets("40 01 61 28"), Buffer.alloc(40, 0x62)]);
  assert.deepEqual(decodeBlock(decoder, large), [["a", "b".repeat(40)]]);
  assert.equal(decoder.tableSize, 0);
});

test("a table of 64 KB holds what it should", () => {
  const decoder = new HpackDecoder(65_536);
  const entries = 65_536 / 34;
  for (let i = 0; i < 5000; i++) {
    const byte = (i % 90) + 33;
    assert.ok(decodeBlock(decoder, Buffer.from([0x40, 1, 0x61, 1, byte])));
  }
  assert.equal(decoder.tableSize, Math.floor(entries) * 34);
  const oldest = 61 + Math.floor(entries) - 127;
  const block = Buffer.from([0xff, (oldest & 0x7f) | 0x80, oldest >> 7]);
  const expected = String.fromCharCode(((5000 - Math.floor(entries)) % 90) + 33);
  assert.deepEqual(decodeBlock(decoder, block), [["a", expected]]);
});

test("no bytes make it throw, or let the table grow beyond its size", () => {
  const valid = Object.values(VECTORS).flatMap(({ blocks }) => blocks.map(([hex]) => octets(hex)));
  const encoder = new HpackEncoder();
  for (let i = 0; i < 5; i++)
    valid.push(Buffer.from(encodeBlock(encoder, [...GET, ...FOUND, ["x-request-id", `id-${i}`]])));
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }), fc.nat(200))
    .map(([block, edits, cut]) => {
      const copy = Buffer.from(block);
      for (const [at, byte] of edits) copy[at % copy.length] = byte;
      return copy.subarray(0, Math.max(1, copy.length - (cut % copy.length)));
    });
  const random = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(
      fc.array(fc.oneof(mutated, random), { maxLength: 12 }),
      fc.constantFrom(0, 64, 256, 4096),
      (blocks, size) => {
        const decoder = new HpackDecoder(size);
        let fields = 0;
        const sink = {
          onField(name: string, value: string, tag: number, kind: number): void {
            fields++;
            assert.ok(typeof name === "string" && typeof value === "string");
            assert.ok(Number.isInteger(tag) && kind >= 0 && kind <= FieldKind.invalid);
            if (kind !== FieldKind.invalid) assert.doesNotMatch(name + value, /[\0\r\n]/);
          },
        };
        for (const block of blocks) {
          const before = fields;
          decoder.decode(block, 0, block.length, sink);
          assert.ok(fields - before <= block.length);
          assert.ok(decoder.tableSize <= size);
        }
      },
    ),
    { numRuns: 3000 },
  );
});
