import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isMap, isScalar, isSeq, parseDocument, Scalar, stringify } from "yaml";
import { plainScalar } from "./plain-scalar.ts";
import { parseYamlSubset } from "./yaml-subset.ts";

/** What the whole parser makes of the text; undefined if it refuses it. */
function oracle(text: string): { readonly value: unknown } | undefined {
  const document = parseDocument(text, { schema: "failsafe", merge: false, prettyErrors: false });
  if (document.errors.length > 0) return undefined;
  const convert = (node: unknown): unknown => {
    if (isMap(node)) {
      return Object.fromEntries(
        node.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : String(key), convert(value)]),
      );
    }
    if (isSeq(node)) return node.items.map(convert);
    if (!isScalar(node)) return null;
    const source = String(node.value ?? "");
    return node.type === Scalar.PLAIN ? plainScalar(source) : source;
  };
  return { value: convert(document.contents) };
}

function assertAgrees(text: string): void {
  const value = parseYamlSubset(text);
  if (value === undefined) return;
  assert.deepEqual({ value }, oracle(text), JSON.stringify(text));
}

const FILE = `# a comment
node: {id: a, "cluster": 'it''s', n: -1, e: {}, l: [ 1, two, "3",], t: , u: ::1}
---x: 1
`;

test("reads what configuration is written in", () => {
  const text = [
    "---",
    "# comment",
    "node: { id: a, 'cluster': b, port: 80, on: yes } # trailing",
    "static_resources:",
    "  listeners:",
    "  - name: l1",
    "    address:",
    "      socket_address: {address: ::1, port_value: 0x50}",
    '    "@type": "type.googleapis.com/a.B"',
    "    empty:",
    "  -   - nested",
    "      - list",
    "  -",
    "    x: 1.5e3",
    "    inline_string: |",
    "      -----BEGIN-----",
    "",
    "        deeper # not a comment",
    "    stripped: |-",
    "        a",
    "  # at any column",
    "    url: http://a.b:80/c#d",
    "",
  ].join("\n");
  assert.deepEqual(parseYamlSubset(text), oracle(text)?.value);
  assert.deepEqual(parseYamlSubset(text), {
    node: { id: "a", cluster: "b", port: 80, on: true },
    static_resources: {
      listeners: [
        {
          name: "l1",
          address: { socket_address: { address: "::1", port_value: 80 } },
          "@type": "type.googleapis.com/a.B",
          empty: null,
        },
        ["nested", "list"],
        {
          x: 1500,
          inline_string: "-----BEGIN-----\n\n  deeper # not a comment\n",
          stripped: "a",
          url: "http://a.b:80/c#d",
        },
      ],
    },
  });
});

const OTHERS = [
  "a: &x 1\nb: *x\n",
  "<<: {a: 1}\n",
  "a: !!str 1\n",
  "a: >\n  folded\n  text\n",
  "a: one\n  two\n",
  'a: "one\n  two"\n',
  "a: [1,\n  2]\n",
  "? a\n: b\n",
  "a: 1\na: 2\n",
  "a:\t1\n",
  "--- a\n...\n",
  "a: b: c\n",
  "a: [b: c]\n",
  FILE,
];

for (const text of OTHERS) {
  test(`leaves to the whole parser: ${JSON.stringify(text)}`, () => assert.equal(parseYamlSubset(text), undefined));
}

const key = fc.oneof(fc.constantFrom("a", "b_c", "@type", "x y", "1", "null", "- a", ""), fc.string({ maxLength: 5 }));
const scalar = fc.oneof(
  fc.constantFrom(
    "text",
    "10.0.0.1",
    "a: b",
    "# no",
    "- x",
    "yes",
    "0x1f",
    "::1",
    "*",
    "\n",
    "a\n  b\n\n",
    "'",
    '"',
    "\\",
  ),
  fc.string({ maxLength: 8 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(key, tie("tree"), { maxKeys: 3 }),
  ),
}));

test("agrees with the whole parser on what that writes, in block and in flow style", () => {
  fc.assert(
    fc.property(tree, fc.boolean(), fc.constantFrom("QUOTE_SINGLE", "QUOTE_DOUBLE", "PLAIN"), (value, flow, type) => {
      assertAgrees(
        stringify(value, {
          collectionStyle: flow ? "flow" : "block",
          defaultStringType: type as "PLAIN",
          lineWidth: 0,
          indentSeq: !flow,
        }),
      );
    }),
    { numRuns: 1500 },
  );
});

test("agrees with the whole parser on lines thrown together", () => {
  const piece = fc.constantFrom(
    ..."\n|  |- |a|: |b|#|'|\"|{|}|[|]|,|~|1|yes|---|...|    |a: |- a|\n  |\n    |\n- |: |  x: y|\\n|?|!|&|*|>|-".split(
      "|",
    ),
    "|",
    "|-",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => assertAgrees(pieces.join(""))),
    { numRuns: 6000 },
  );
});
