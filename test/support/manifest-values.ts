/** Values that a described schema might be given: mostly good ones, and mistakes of every kind among them. */
import fc from "fast-check";
import type { Shape, StringShape } from "../../control-plane/manifest/shape.ts";

/** What somebody might write where something else belongs. Never null, which YAML takes for nothing and JSON does not. */
const misfits = fc.oneof(
  fc.boolean(),
  fc.integer({ min: -5, max: 2_000_000 }),
  fc.double({ min: -2, max: 200, noNaN: true }),
  fc.constantFrom("", "x", "a b", "On", "*", "1.5s", "5", "UPPER", "/a/*", "é", "a..b", "-a"),
  fc.constant([]),
  fc.constant({}),
);

/** Strings that mean something in one field or other, so that values meet in several places. */
const WORDS = [
  ..."a b shop shop/orders a.b 0s 1ms 99ms 100ms 250ms 1s 1m30s 99999h99999h99999h99999h /a /a/* /a*".split(" "),
  ..."spiffe://cluster.local/ns/a/sa/b spiffe://mesh/* http://collector:4318/v1/traces grpc://[::1]:4317".split(" "),
  ..."https://collector:4318 http:// grpc://a:b".split(" "),
];

/** A value for `shape`; `wrong` of a thousand are mistakes. */
export function arbitraryOf(shape: Shape, wrong = 15): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: wrong, arbitrary: misfits }, { weight: 1000 - wrong, arbitrary: fitting(shape, wrong) });
}

function fitting(shape: Shape, wrong: number): fc.Arbitrary<unknown> {
  switch (shape.type) {
    case "string":
      return strings(shape);
    case "number": {
      const { min, max } = shape;
      const edges = fc.constantFrom(min, max, Math.min(max, min + 1), Math.min(max, 80), Math.min(max, 443));
      const inside = shape.fractional ? fc.double({ min, max, noNaN: true }) : fc.integer({ min, max });
      return fc.oneof(
        { weight: 20, arbitrary: edges },
        { weight: 20, arbitrary: inside },
        fc.constantFrom(min - 1, max + 1),
      );
    }
    case "boolean":
      return fc.boolean();
    case "list":
      return fc.oneof(
        { weight: 60, arbitrary: lists(shape.item, shape.min, Math.min(shape.max, 4), wrong) },
        lists(shape.item, 0, 0, wrong),
      );
    case "object":
      return objects(shape.fields, wrong);
    default:
      return misfits;
  }
}

function strings({ pattern, words }: StringShape): fc.Arbitrary<string> {
  if (words) return fc.constantFrom(...words);
  if (!pattern) return fc.constantFrom(...WORDS);
  const fit = WORDS.filter((word) => pattern.test(word));
  const made = fc.stringMatching(pattern, { maxLength: 20 });
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...fit) },
    { weight: 9, arbitrary: made },
    fc.constantFrom(...WORDS),
  );
}

function lists(item: Shape, min: number, max: number, wrong: number): fc.Arbitrary<unknown> {
  return fc.array(arbitraryOf(item, wrong), { minLength: min, maxLength: max, size: "max" });
}

function objects(
  fields: Readonly<Record<string, { readonly shape: Shape; readonly required: boolean }>>,
  wrong: number,
): fc.Arbitrary<unknown> {
  const names = Object.keys(fields);
  const entries = names.map((name) => {
    const { shape, required } = fields[name] ?? { shape: { type: "any" }, required: false };
    const value = arbitraryOf(shape, wrong).map((one): [string, unknown][] => [[name, one]]);
    return fc.oneof(
      { weight: required ? 990 : 400, arbitrary: value },
      { weight: required ? 10 : 600, arbitrary: fc.constant<[string, unknown][]>([]) },
    );
  });
  const unknown = fc.oneof(
    { weight: 990, arbitrary: fc.constant<[string, unknown][]>([]) },
    { weight: 10, arbitrary: fc.constant<[string, unknown][]>([["unheardOf", 1]]) },
  );
  return fc.tuple(...entries, unknown).map((parts) => Object.fromEntries(parts.flat()));
}
