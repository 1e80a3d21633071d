import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderMap } from "../../core/header-map.ts";
import { seededRandom } from "../../core/random.ts";
import { extract, inject, NOTHING } from "./propagation.ts";
import { parseTraceparent, randomSpanId, randomTraceId, type TraceContext } from "./trace-context.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(..."0123456789abcdef"), { minLength: length, maxLength: length })
    .map((digits) => digits.join(""))
    .filter((id) => !/^0+$/.test(id));

const contexts: fc.Arbitrary<TraceContext> = fc.record(
  { traceId: hex(32), spanId: hex(16), sampled: fc.boolean() },
  { noNullPrototype: true },
);

for (const [style, b3Single, b3Multi] of [
  ["W3C", false, false],
  ["W3C and b3", true, false],
  ["W3C and x-b3-*", false, true],
] as const) {
  test(`what is injected as ${style} is extracted again`, () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const headers = new HeaderMap();
        inject(headers, context, { ...NOTHING, b3Single, b3Multi }, "");
        assert.deepEqual(extract(headers), { parent: context, sampled: context.sampled, b3Single, b3Multi });
      }),
    );
  });
}

test("B3 alone, single or multi, carries the context as well", () => {
  fc.assert(
    fc.property(contexts, fc.boolean(), (context, single) => {
      const headers = new HeaderMap();
      inject(headers, context, { ...NOTHING, b3Single: single, b3Multi: !single }, "00f067aa0ba902b7");
      headers.remove("traceparent");
      assert.deepEqual(extract(headers).parent, context);
    }),
  );
});

/** https://www.w3.org/TR/trace-context/#traceparent-header and the validity rules of section 3.2.2. */
const TRACEPARENTS: readonly [value: string, sampled: boolean | null][] = [
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true],
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false],
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true],
  ["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings", true],
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", null],
  ["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", null],
  ["00-00000000000000000000000000000000-00f067aa0ba902b7-01", null],
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", null],
  ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", null],
  ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", null],
  ["", null],
];

for (const [value, sampled] of TRACEPARENTS) {
  test(`traceparent ${value || "(empty)"}`, () => assert.equal(parseTraceparent(value)?.sampled ?? null, sampled));
}

/** https://github.com/openzipkin/b3-propagation */
const B3: readonly [fields: Record<string, string>, traceId: string | null, sampled: boolean | null][] = [
  [
    { b3: "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90" },
    "80f198ee56343ba864fe8b2a57d3eff7",
    true,
  ],
  [{ b3: "a3ce929d0e0e4736-00f067aa0ba902b7-0" }, "0000000000000000a3ce929d0e0e4736", false],
  [{ b3: "a3ce929d0e0e4736-00f067aa0ba902b7-d" }, "0000000000000000a3ce929d0e0e4736", true],
  [{ b3: "a3ce929d0e0e4736-00f067aa0ba902b7" }, "0000000000000000a3ce929d0e0e4736", null],
  [{ b3: "0" }, null, false],
  [{ b3: "nonsense" }, null, null],
  [{ b3: "a3ce929d0e0e4736-short-1" }, null, null],
  [
    { "X-B3-TraceId": "463AC35C9F6413AD", "X-B3-SpanId": "a2fb4a1d1a96d312", "X-B3-Sampled": "1" },
    "0000000000000000463ac35c9f6413ad",
    true,
  ],
  [{ "X-B3-Sampled": "0" }, null, false],
  [
    { "X-B3-TraceId": "463ac35c9f6413ad", "X-B3-SpanId": "a2fb4a1d1a96d312", "X-B3-Flags": "1" },
    "0000000000000000463ac35c9f6413ad",
    true,
  ],
];

for (const [fields, traceId, sampled] of B3) {
  test(`b3 ${JSON.stringify(fields)}`, () => {
    const extracted = extract(HeaderMap.of(fields));
    assert.equal(extracted.parent?.traceId ?? null, traceId);
    assert.equal(extracted.sampled, sampled);
  });
}

test("a malformed traceparent gives way to B3", () => {
  const headers = HeaderMap.of({ traceparent: "00-zz", b3: "a3ce929d0e0e4736-00f067aa0ba902b7-1" });
  assert.equal(extract(headers).parent?.spanId, "00f067aa0ba902b7");
});

test("extraction never throws, whatever the headers hold", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), fc.string(), (traceparent, b3, id) => {
      const headers = HeaderMap.of({ traceparent, b3, "x-b3-traceid": id, "x-b3-spanid": id });
      const { parent } = extract(headers);
      if (parent !== null) assert.match(parent.traceId + parent.spanId, /^[0-9a-f]{48}$/);
    }),
  );
});

test("ids are hex of the right length and never zero", () => {
  const random = seededRandom(1);
  assert.match(randomTraceId(random), /^[0-9a-f]{32}$/);
  assert.match(randomSpanId(random), /^[0-9a-f]{16}$/);
  assert.equal(
    randomSpanId(() => 0),
    "0000000000000001",
  );
  assert.equal(new Set(Array.from({ length: 1000 }, () => randomSpanId(random))).size, 1000);
});
