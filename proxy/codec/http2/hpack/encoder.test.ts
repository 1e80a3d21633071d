import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { decodeBlock, encodeBlock, type Field, octets } from "./testing/blocks.ts";

/** As a peer gets them: names in lower case. */
function lower(fields: readonly Field[]): Field[] {
  return fields.map(([name, value]) => [name.toLowerCase(), value]);
}

test("fields of the static table take one byte from the start", () => {
  const block = encodeBlock(new HpackEncoder(), [
    [":method", "GET"],
    [":method", "POST"],
    [":scheme", "https"],
    [":path", "/"],
    [":status", "404"],
  ]);
  assert.deepEqual(block, octets("82 83 87 84 8d"));
});

test("what comes again takes one byte from the third time on, in whatever case its name is", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  const fields: Field[] = [
    [":authority", "orders.shop.svc.cluster.local"],
    ["Content-Type", "application/grpc"],
    ["te", "trailers"],
    ["x-Custom", "one"],
    ["x-custom", "two"],
  ];
  for (let i = 0; i < 6; i++) {
    const block = encodeBlock(encoder, fields);
    assert.deepEqual(decodeBlock(decoder, block), lower(fields));
    if (i >= 3) assert.equal(block.length, fields.length, `block ${i}`);
  }
});

test("values that are different each time don't push out those that recur", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  let size = 0;
  for (let i = 0; i < 3000; i++) {
    const fields: Field[] = [
      [":path", `/orders/${i * 7919}`],
      [":authority", "orders"],
      ["user-agent", "grpc-go/1.62.1"],
      ["grpc-timeout", `${(i * 7919) % 100_003}u`],
      ["x-request-id", `${i * 104_729}-4d2e-9a77-${i * 15_485_863}`],
      ["x-b3-spanid", ((i + 1) * 2_654_435_761).toString(16)],
    ];
    const block = encodeBlock(encoder, fields);
    assert.deepEqual(decodeBlock(decoder, block), fields);
    if (i === 10) size = decoder.tableSize;
    const spelled = [0, 3, 4, 5].reduce((sum, at) => sum + (fields[at] as Field)[1].length + 3, 0);
    if (i >= 10) assert.ok(block.length <= spelled + 2, `block ${i} has ${block.length} bytes`);
  }
  assert.ok(decoder.tableSize - size < 300, `the table went from ${size} to ${decoder.tableSize} bytes`);
});

test("a name learns when its values come to recur", () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 200; i++) encodeBlock(encoder, [["x-tenant", `tenant-${i}`]]);
  let length = 0;
  for (let i = 0; i < 30; i++) {
    length = encodeBlock(encoder, [
      ["x-tenant", "tenant-a"],
      ["x-tenant", "tenant-b"],
    ]).length;
  }
  assert.equal(length, 2);
});

test("credentials and short cookies are never indexed (RFC 7541, section 7.1.3)", () => {
  const encoder = new HpackEncoder();
  const secrets: [Field, string][] = [
    [["authorization", "Basic YWJj"], "1f 08"],
    [["Authorization", `Bearer ${"x".repeat(100)}`], "1f 08"],
    [["proxy-authorization", "Basic YWJj"], "1f 22"],
    [["cookie", "id=12345"], "1f 11"],
  ];
  for (let i = 0; i < 5; i++) {
    for (const [field, start] of secrets) assert.deepEqual(encodeBlock(encoder, [field]).subarray(0, 2), octets(start));
  }
  const long: Field = ["cookie", "session=0123456789abcdef"];
  for (let i = 0; i < 5; i++) encodeBlock(encoder, [long]);
  assert.equal(encodeBlock(encoder, [long]).length, 1);
});

test("sizes of the table are told with the next block, the smallest first", () => {
  const told = (...sizes: number[]): string => {
    const encoder = new HpackEncoder();
    for (const size of sizes) encoder.setMaxTableSize(size);
    const block = encodeBlock(encoder, [[":method", "GET"]]);
    assert.equal(encodeBlock(encoder, [[":method", "GET"]]).length, 1, "once only");
    return block.toString("hex");
  };
  assert.equal(told(), "82");
  assert.equal(told(4096), "82");
  assert.equal(told(65_536), "82", "we use 4096 at most");
  assert.equal(told(0), "2082");
  assert.equal(told(100), "3f4582");
  assert.equal(told(0, 4096), "203fe11f82");
  assert.equal(told(100, 0, 200), "203fa90182");
  assert.equal(told(200, 100), "3f4582");
  assert.equal(told(0xffff_ffff), "82");
});

test("a table of no size is not used", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  const fields: Field[] = [
    ["x-a", "b"],
    ["x-c", "d"],
  ];
  for (let i = 0; i < 4; i++) assert.ok(decodeBlock(decoder, encodeBlock(encoder, fields)));
  assert.notEqual(decoder.tableSize, 0);
  encoder.setMaxTableSize(0);
  decoder.setMaxTableSize(0);
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(decodeBlock(decoder, encodeBlock(encoder, fields)), fields);
    assert.equal(decoder.tableSize, 0);
  }
});

test("names without end neither fill the memory nor spoil what recurs", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  const known: Field = ["x-known", "again and again"];
  for (let i = 0; i < 5000; i++) {
    const fields: Field[] = [known, [`x-${i}`, "v"], [`X-${i}`, "v"]];
    const block = encodeBlock(encoder, fields);
    assert.deepEqual(decodeBlock(decoder, block), lower(fields));
  }
  assert.ok(encoder.knownNames <= 256, `${encoder.knownNames} names`);
  for (let i = 0; i < 20; i++) decodeBlock(decoder, encodeBlock(encoder, [known]));
  assert.equal(encodeBlock(encoder, [known]).length, 1);
});

const name = fc.oneof(
  fc.constantFrom(":path", ":status", "x-a", "X-A", "x-request-id", "cookie", "authorization", "content-type", "Date"),
  fc.integer({ min: 0, max: 400 }).map((n) => `x-${n}`),
  fc.integer({ min: 100, max: 20_000 }).map((n) => "n".repeat(n)),
);
const latin1 = fc.array(fc.nat(255), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes));
const value = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("", "a", "b", "200", "/", "/index.html", "application/grpc", "\xff".repeat(30)),
  },
  { weight: 2, arbitrary: latin1 },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 5000 }).map((n) => "v".repeat(n)) },
);
const block = fc.array(fc.tuple(name, value), { maxLength: 20 });
const size = fc.constantFrom(0, 31, 64, 100, 500, 1000, 4095, 4096, 65_536);

test("what is encoded is decoded, with sizes that change in between", () => {
  const step = fc.record({
    sizes: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(size, { maxLength: 3 })),
    block,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(4096);
      for (const { sizes, block: fields } of steps) {
        for (const bytes of sizes) {
          encoder.setMaxTableSize(bytes);
          decoder.setMaxTableSize(bytes);
        }
        assert.deepEqual(decodeBlock(decoder, encodeBlock(encoder, fields)), lower(fields));
        assert.equal(encoder.tableSize, decoder.tableSize);
      }
    }),
    { numRuns: 300 },
  );
});
