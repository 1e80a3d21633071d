/** Arbitrary matchers of the model. */
import fc from "fast-check";
import type { Cidr } from "../../model/address.ts";
import type { Fraction, HeaderMatch, QueryMatch, RegexRewrite, StringMatch } from "../../model/matcher.ts";
import { headerName, nonEmptyText, plainText, regex } from "./arbitrary-text.ts";

export const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constant("exact" as const), value: plainText, ignoreCase: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom("prefix" as const, "suffix" as const, "contains" as const),
    value: nonEmptyText,
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("regex" as const), value: regex }),
);

export const headerMatch: fc.Arbitrary<HeaderMatch> = fc.record({
  name: fc.oneof(headerName, fc.constantFrom(":method", ":path", ":authority", "host")),
  match: fc.oneof(
    fc.record({ kind: fc.constant("string" as const), match: stringMatch }),
    fc.record({ kind: fc.constant("range" as const), start: fc.maxSafeInteger(), end: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constant("present" as const), present: fc.boolean() }),
  ),
  invert: fc.boolean(),
  treatMissingAsEmpty: fc.boolean(),
});

export const queryMatch: fc.Arbitrary<QueryMatch> = fc.record({
  name: nonEmptyText,
  match: fc.oneof(
    fc.record({ kind: fc.constant("string" as const), match: stringMatch }),
    fc.record({ kind: fc.constant("present" as const), present: fc.boolean() }),
  ),
});

export const fraction: fc.Arbitrary<Fraction> = fc.record({
  numerator: fc.nat({ max: 1_000_000 }),
  denominator: fc.constantFrom(100, 10_000, 1_000_000),
});

export const regexRewrite: fc.Arbitrary<RegexRewrite> = fc.record({ pattern: regex, substitution: plainText });

/** Ranges with their host bits cleared, as decoding leaves them. */
export const cidr: fc.Arbitrary<Cidr> = fc.constantFrom(
  { address: "0.0.0.0", prefixLength: 0 },
  { address: "10.0.0.0", prefixLength: 8 },
  { address: "192.168.7.32", prefixLength: 27 },
  { address: "127.0.0.1", prefixLength: 32 },
  { address: "::", prefixLength: 0 },
  { address: "fd00:1::", prefixLength: 32 },
  { address: "::1", prefixLength: 128 },
);
