/** The expectations are what Envoy 1.40 answered to the same matchers and requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../core/random.ts";
import type { HeaderMatch, StringMatch } from "../../model/matcher.ts";
import { type Fields, request } from "../../test/support/routes.ts";
import {
  compileHeaderMatch,
  compileQueryMatch,
  compileStringMatch,
  drawInteger,
  inFraction,
} from "./compile-matcher.ts";

function header(match: HeaderMatch["match"], rest: Partial<HeaderMatch> = {}): HeaderMatch {
  return { name: "x-h", match, invert: false, treatMissingAsEmpty: false, ...rest };
}

const exact = (value: string, ignoreCase = false): HeaderMatch["match"] => ({
  kind: "string",
  match: { kind: "exact", value, ignoreCase },
});
const regex = (value: string): HeaderMatch["match"] => ({ kind: "string", match: { kind: "regex", value } });
const present = (is: boolean): HeaderMatch["match"] => ({ kind: "present", present: is });
const range = (start: number, end: number): HeaderMatch["match"] => ({ kind: "range", start, end });
const invert = { invert: true };
const asEmpty = { treatMissingAsEmpty: true };

const REQUESTS: Readonly<Record<string, Fields>> = {
  none: [],
  v: [["x-h", "v"]],
  V: [["X-H", "V"]],
  empty: [["x-h", ""]],
  "5": [["x-h", "5"]],
  "10": [["x-h", "10"]],
  "-3": [["x-h", "-3"]],
  "+5": [["x-h", "+5"]],
  "05": [["x-h", "05"]],
  "5x": [["x-h", "5x"]],
  twice: [
    ["x-h", "a"],
    ["X-H", "b"],
  ],
  "a, b": [["x-h", "a, b"]],
};
const ALL = Object.keys(REQUESTS);
const BUT = (...names: string[]): string[] => ALL.filter((name) => !names.includes(name));

const HEADER_CASES: readonly (readonly [string, HeaderMatch, readonly string[]])[] = [
  ["exact", header(exact("v")), ["v"]],
  ["exact inverted", header(exact("v"), invert), BUT("none", "v")],
  ["exact inverted, missing as empty", header(exact("v"), { ...invert, ...asEmpty }), BUT("v")],
  ["exact empty, missing as empty", header(exact(""), asEmpty), ["none", "empty"]],
  ["exact, any case", header(exact("v", true)), ["v", "V"]],
  ["one of several values", header(exact("b")), ["twice"]],
  ["several values are not joined", header(exact("a,b")), []],
  ["none of several values", header(exact("b"), invert), BUT("none", "twice")],
  ["regex matches whole values", header(regex("a.*b")), ["a, b"]],
  ["regex, missing as empty", header(regex("a*"), asEmpty), ["none", "empty", "twice"]],
  ["present", header(present(true)), BUT("none")],
  ["present inverted", header(present(true), invert), ["none"]],
  ["absent", header(present(false)), ["none"]],
  ["absent inverted", header(present(false), invert), BUT("none")],
  ["present, missing as empty", header(present(true), asEmpty), ALL],
  ["absent, missing as empty", header(present(false), asEmpty), []],
  ["absent inverted, missing as empty", header(present(false), { ...invert, ...asEmpty }), ALL],
  ["range", header(range(1, 10)), ["5", "+5", "05"]],
  ["range inverted", header(range(1, 10), invert), BUT("none", "5", "+5", "05")],
  ["range inverted, missing as empty", header(range(1, 10), { ...invert, ...asEmpty }), BUT("5", "+5", "05")],
  ["negative range", header(range(-5, 0)), ["-3"]],
];

for (const [title, matcher, expected] of HEADER_CASES) {
  test(`header matcher: ${title}`, () => {
    const matches = compileHeaderMatch(matcher);
    assert.deepEqual(
      ALL.filter((name) => matches(request("/", REQUESTS[name]))),
      expected,
    );
  });
}

test("pseudo-headers are read from the request line; host is the authority", () => {
  const ask = request("/p?q=1", [], { method: "PUT", authority: "x.com:80" });
  ask.scheme = "https";
  const cases: readonly (readonly [string, string])[] = [
    [":path", "/p?q=1"],
    [":method", "PUT"],
    [":authority", "x.com:80"],
    ["host", "x.com:80"],
    [":scheme", "https"],
  ];
  for (const [name, value] of cases) {
    assert.equal(compileHeaderMatch(header(exact(value), { name }))(ask), true, name);
    assert.equal(compileHeaderMatch(header(exact("other"), { name }))(ask), false, name);
    assert.equal(compileHeaderMatch(header(present(true), { name }))(ask), true, name);
  }
});

const QUERIES = [
  "",
  "?a",
  "?a=",
  "?a=1",
  "?a=b%20c",
  "?a=b+c",
  "?a%20b=1",
  "?A=1",
  "?a=2&a=1",
  "?a=1&a=2",
  "?b=1;a=1",
  "?=1&a",
  "?a=1=2",
  "?&&a=12",
];
const QUERY_CASES: readonly (readonly [string, string, StringMatch | boolean, readonly string[]])[] = [
  ["the first value counts", "a", { kind: "exact", value: "1", ignoreCase: false }, ["?a=1", "?a=1&a=2"]],
  ["values are not decoded", "a", { kind: "exact", value: "b c", ignoreCase: false }, []],
  ["values are compared as sent", "a", { kind: "exact", value: "b%20c", ignoreCase: false }, ["?a=b%20c"]],
  ["names are compared as sent", "a%20b", true, ["?a%20b=1"]],
  ["names have their case", "A", true, ["?A=1"]],
  ["empty value", "a", { kind: "exact", value: "", ignoreCase: false }, ["?a", "?a=", "?=1&a"]],
  ["absent", "a", false, ["", "?a%20b=1", "?A=1", "?b=1;a=1"]],
  ["regex", "a", { kind: "regex", value: "[0-9]+" }, ["?a=1", "?a=2&a=1", "?a=1&a=2", "?&&a=12"]],
];

for (const [title, name, matcher, expected] of QUERY_CASES) {
  test(`query matcher: ${title}`, () => {
    const matches = compileQueryMatch({
      name,
      match: typeof matcher === "boolean" ? { kind: "present", present: matcher } : { kind: "string", match: matcher },
    });
    assert.deepEqual(
      QUERIES.filter((query) => matches(`/q${query}`)),
      expected,
    );
  });
}

test("text of a configuration matches its UTF-8 bytes", () => {
  const bytes = Buffer.from("grüß", "utf8").toString("latin1");
  for (const kind of ["exact", "prefix", "suffix", "contains"] as const) {
    assert.equal(compileStringMatch({ kind, value: "grüß", ignoreCase: false })(bytes), true, kind);
  }
  assert.equal(compileStringMatch({ kind: "regex", value: "gr.ß" })(bytes), true);
  assert.equal(compileStringMatch({ kind: "exact", value: "grüß", ignoreCase: false })("grüß"), false);
});

test("matching without case folds ASCII letters alone", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), fc.string({ unit: "binary-ascii" }), (value, wanted) => {
      for (const kind of ["exact", "prefix", "suffix", "contains"] as const) {
        const folded = compileStringMatch({ kind, value: wanted, ignoreCase: true })(value);
        const reference = compileStringMatch({ kind, value: wanted.toLowerCase(), ignoreCase: false });
        assert.equal(folded, reference(value.toLowerCase()));
      }
    }),
  );
  assert.equal(compileStringMatch({ kind: "exact", value: "\u00c9", ignoreCase: true })("\u00c3\u00a9"), false);
});

test("a regular expression takes linear time where backtracking would take for ever", () => {
  const matches = compileStringMatch({ kind: "regex", value: "(a+)+b" });
  assert.equal(matches("a".repeat(50_000)), false);
});

test("a fraction holds for exactly its share of the random numbers", () => {
  for (const [numerator, denominator] of [
    [0, 100],
    [37, 100],
    [9_999, 10_000],
    [100, 100],
  ] as const) {
    let chosen = 0;
    for (let drawn = 0; drawn < denominator * 3; drawn++) if (inFraction({ numerator, denominator }, drawn)) chosen++;
    assert.equal(chosen, numerator * 3);
  }
});

test("random numbers are drawn as whole numbers below 2^48", () => {
  const random = seededRandom(7);
  for (let i = 0; i < 1000; i++) {
    const drawn = drawInteger(random);
    assert.ok(Number.isSafeInteger(drawn) && drawn >= 0 && drawn < 2 ** 48);
  }
});
