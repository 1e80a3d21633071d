/**
 * The matchers that routes, access rules, faults and retries share, compiled to functions when configuration arrives.
 * Values are latin1 strings that hold bytes; matching ignores the case of ASCII letters only, as Envoy does.
 */
import type { Random } from "../../core/random.ts";
import type { Fraction, HeaderMatch, QueryMatch, StringMatch } from "../../model/matcher.ts";
import type { RequestView } from "../../telemetry/stream-info.ts";
import { queryValue } from "./query.ts";
import { compileFullMatch, encodeUtf8 } from "./regex.ts";

export type StringTest = (value: string) => boolean;
export type RequestTest = (request: RequestView) => boolean;

const always: RequestTest = () => true;
const never: RequestTest = () => false;

/** `type.matcher.v3.StringMatcher`. Throws on a regular expression that is not RE2 syntax. */
export function compileStringMatch(match: StringMatch): StringTest {
  if (match.kind === "regex") return compileFullMatch(match.value);
  const expected = encodeUtf8(match.value);
  if (match.ignoreCase) {
    const inCase = compileCaseSensitive(match.kind, lowerAscii(expected));
    return (value) => inCase(lowerAscii(value));
  }
  return compileCaseSensitive(match.kind, expected);
}

function compileCaseSensitive(kind: "exact" | "prefix" | "suffix" | "contains", expected: string): StringTest {
  switch (kind) {
    case "exact":
      return (value) => value === expected;
    case "prefix":
      return (value) => value.startsWith(expected);
    case "suffix":
      return (value) => value.endsWith(expected);
    case "contains":
      return (value) => value.includes(expected);
  }
}

/** `A` to `Z` in lower case, every other character as it is. */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * `route.v3.HeaderMatcher`. Of several fields with the name, one that matches is enough. A header that is not there
 * never matches a value, inverted or not, unless it is treated as empty.
 */
export function compileHeaderMatch(header: HeaderMatch): RequestTest {
  const { name, invert } = header;
  if (header.match.kind === "present") {
    const present = header.match.present !== invert;
    if (header.treatMissingAsEmpty) return present ? always : never;
    return compilePresence(name, present);
  }
  const test = compileValueTest(header.match);
  const missing = header.treatMissingAsEmpty ? test("") !== invert : false;
  const pseudo = compilePseudoHeader(name);
  if (pseudo !== null) return (request) => test(pseudo(request)) !== invert;
  if (!invert && !missing) return ({ headers }) => headers.some(name, test);
  return ({ headers }) => (headers.has(name) ? headers.some(name, test) !== invert : missing);
}

function compilePresence(name: string, present: boolean): RequestTest {
  const pseudo = compilePseudoHeader(name);
  if (pseudo !== null) return (request) => (pseudo(request) !== "") === present;
  return ({ headers }) => headers.has(name) === present;
}

const INTEGER = /^[ \t]*[+-]?\d+[ \t]*$/;

function compileValueTest(match: Exclude<HeaderMatch["match"], { kind: "present" }>): StringTest {
  if (match.kind === "string") return compileStringMatch(match.match);
  const { start, end } = match;
  return (value) => {
    if (!INTEGER.test(value)) return false;
    const number = Number(value);
    return number >= start && number < end;
  };
}

/** Reads what HTTP/2 calls a pseudo-header; null where the name is an ordinary one. `host` is `:authority` to Envoy. */
export function compilePseudoHeader(name: string): ((request: RequestView) => string) | null {
  switch (name) {
    case ":path":
      return (request) => request.path;
    case ":method":
      return (request) => request.method;
    case ":authority":
    case "host":
      return (request) => request.authority;
    case ":scheme":
      return (request) => request.scheme;
    default:
      return null;
  }
}

/** `route.v3.QueryParameterMatcher`, on the first parameter of that name. Names and values are compared undecoded. */
export function compileQueryMatch(query: QueryMatch): (path: string) => boolean {
  const name = encodeUtf8(query.name);
  if (query.match.kind === "present") {
    const { present } = query.match;
    return (path) => (queryValue(path, name) !== null) === present;
  }
  const test = compileStringMatch(query.match.match);
  return (path) => {
    const value = queryValue(path, name);
    return value !== null && test(value);
  };
}

/** All of several header matchers; null where there are none. */
export function compileHeaderMatches(headers: readonly HeaderMatch[]): RequestTest | null {
  const tests = headers.map(compileHeaderMatch);
  const [first, second] = tests;
  if (first === undefined) return null;
  if (second === undefined) return first;
  return (request) => {
    for (const test of tests) if (!test(request)) return false;
    return true;
  };
}

/** A whole number below 2^48, to be taken modulo the denominators of fractions and weights. */
export function drawInteger(random: Random): number {
  return Math.floor(random() * 0x1_0000_0000_0000);
}

/** True for `fraction` of all values of `drawn` (see `drawInteger`). */
export function inFraction(fraction: Fraction, drawn: number): boolean {
  return drawn % fraction.denominator < fraction.numerator;
}
