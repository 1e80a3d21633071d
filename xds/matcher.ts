/** Matchers of strings, headers, query parameters and paths (`envoy.type.matcher.v3`, `route.v3`) to the model and back. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  QueryParameterMatcherSchema,
} from "../generated/envoy/config/route/v3/route_components_pb.js";
import type { PathMatcher } from "../generated/envoy/type/matcher/v3/path_pb.js";
import { PathMatcherSchema } from "../generated/envoy/type/matcher/v3/path_pb.js";
import {
  type RegexMatchAndSubstitute,
  RegexMatchAndSubstituteSchema,
} from "../generated/envoy/type/matcher/v3/regex_pb.js";
import { type StringMatcher, StringMatcherSchema } from "../generated/envoy/type/matcher/v3/string_pb.js";
import type { HeaderMatch, QueryMatch, RegexRewrite, StringMatch } from "../model/matcher.ts";
import { checkHeaderValue, decodeHeaderName } from "./header-name.ts";
import type { Place } from "./place.ts";
import { checkRegex } from "./regex.ts";

const NEVER: StringMatch = { kind: "exact", value: "", ignoreCase: false };

/** `type.matcher.v3.StringMatcher`. */
export function decodeStringMatcher(matcher: StringMatcher, at: Place): StringMatch {
  const { matchPattern: pattern, ignoreCase } = matcher;
  switch (pattern.case) {
    case "exact":
      return { kind: "exact", value: pattern.value, ignoreCase };
    case "prefix":
    case "suffix":
    case "contains":
      if (pattern.value === "") at.field(pattern.case).error("must not be empty");
      return { kind: pattern.case, value: pattern.value, ignoreCase };
    case "safeRegex":
      checkRegex(pattern.value.regex, at.field("safe_regex").field("regex"));
      if (ignoreCase) at.field("ignore_case").error("has no effect on safe_regex: write (?i) into the expression");
      return { kind: "regex", value: pattern.value.regex };
    default:
      at.error("one of exact, prefix, suffix, contains and safe_regex must be set");
      return NEVER;
  }
}

export function encodeStringMatcher(match: StringMatch): StringMatcher {
  return create(StringMatcherSchema, stringMatcherInit(match));
}

function stringMatcherInit(match: StringMatch): MessageInitShape<typeof StringMatcherSchema> {
  if (match.kind === "regex") return { matchPattern: { case: "safeRegex", value: { regex: match.value } } };
  return { matchPattern: { case: match.kind, value: match.value }, ignoreCase: match.ignoreCase };
}

/** `route.v3.HeaderMatcher`, with the deprecated spellings of `string_match`. Without a specifier: the header is there. */
export function decodeHeaderMatcher(matcher: HeaderMatcher, at: Place): HeaderMatch {
  return {
    name: decodeHeaderName(matcher.name, at.field("name"), true),
    match: decodeHeaderSpecifier(matcher, at),
    invert: matcher.invertMatch,
    treatMissingAsEmpty: matcher.treatMissingHeaderAsEmpty,
  };
}

function decodeHeaderSpecifier(matcher: HeaderMatcher, at: Place): HeaderMatch["match"] {
  const { headerMatchSpecifier: specifier } = matcher;
  const text = (kind: "exact" | "prefix" | "suffix" | "contains", value: string): HeaderMatch["match"] => {
    if (kind !== "exact" && value === "") at.field(`${kind}_match`).error("must not be empty");
    return { kind: "string", match: { kind, value, ignoreCase: false } };
  };
  switch (specifier.case) {
    case "stringMatch":
      return { kind: "string", match: decodeStringMatcher(specifier.value, at.field("string_match")) };
    case "exactMatch":
      return text("exact", specifier.value);
    case "prefixMatch":
      return text("prefix", specifier.value);
    case "suffixMatch":
      return text("suffix", specifier.value);
    case "containsMatch":
      return text("contains", specifier.value);
    case "safeRegexMatch":
      checkRegex(specifier.value.regex, at.field("safe_regex_match").field("regex"));
      return { kind: "string", match: { kind: "regex", value: specifier.value.regex } };
    case "rangeMatch":
      return { kind: "range", start: exactInteger(specifier.value.start), end: exactInteger(specifier.value.end) };
    case "presentMatch":
      return { kind: "present", present: specifier.value };
    default:
      return { kind: "present", present: true };
  }
}

/** The nearest number that is exact: a header is read as a number too, so nothing beyond that could be told apart. */
function exactInteger(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

export function encodeHeaderMatcher(header: HeaderMatch): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name: header.name,
    headerMatchSpecifier: headerSpecifierInit(header.match),
    invertMatch: header.invert,
    treatMissingHeaderAsEmpty: header.treatMissingAsEmpty,
  });
}

type HeaderSpecifierInit = NonNullable<MessageInitShape<typeof HeaderMatcherSchema>["headerMatchSpecifier"]>;

function headerSpecifierInit(match: HeaderMatch["match"]): HeaderSpecifierInit {
  switch (match.kind) {
    case "string":
      return { case: "stringMatch", value: stringMatcherInit(match.match) };
    case "range":
      return { case: "rangeMatch", value: { start: BigInt(match.start), end: BigInt(match.end) } };
    case "present":
      return { case: "presentMatch", value: match.present };
  }
}

const MAX_QUERY_NAME_BYTES = 1024;

/** `route.v3.QueryParameterMatcher`. Without a specifier: the parameter is there. */
export function decodeQueryMatcher(matcher: QueryParameterMatcher, at: Place): QueryMatch {
  const { name, queryParameterMatchSpecifier: specifier } = matcher;
  if (name === "") at.field("name").error("must not be empty");
  if (Buffer.byteLength(name) > MAX_QUERY_NAME_BYTES) {
    at.field("name").error(`must not be longer than ${MAX_QUERY_NAME_BYTES} bytes`);
  }
  switch (specifier.case) {
    case "stringMatch":
      return {
        name,
        match: { kind: "string", match: decodeStringMatcher(specifier.value, at.field("string_match")) },
      };
    case "presentMatch":
      return { name, match: { kind: "present", present: specifier.value } };
    default:
      return { name, match: { kind: "present", present: true } };
  }
}

export function encodeQueryMatcher(query: QueryMatch): QueryParameterMatcher {
  const { name, match } = query;
  return create(QueryParameterMatcherSchema, {
    name,
    queryParameterMatchSpecifier:
      match.kind === "string"
        ? { case: "stringMatch", value: stringMatcherInit(match.match) }
        : { case: "presentMatch", value: match.present },
  });
}

/** `type.matcher.v3.PathMatcher`. */
export function decodePathMatcher(matcher: PathMatcher, at: Place): StringMatch {
  if (matcher.rule.case === "path") return decodeStringMatcher(matcher.rule.value, at.field("path"));
  at.error("path must be set");
  return NEVER;
}

export function encodePathMatcher(match: StringMatch): PathMatcher {
  return create(PathMatcherSchema, { rule: { case: "path", value: stringMatcherInit(match) } });
}

/** `type.matcher.v3.RegexMatchAndSubstitute`, whose result becomes a path or a host. */
export function decodeRegexRewrite(rewrite: RegexMatchAndSubstitute, at: Place): RegexRewrite {
  if (!rewrite.pattern) at.field("pattern").error("must be set");
  else checkRegex(rewrite.pattern.regex, at.field("pattern").field("regex"));
  return {
    pattern: rewrite.pattern?.regex ?? "",
    substitution: checkHeaderValue(rewrite.substitution, at.field("substitution")),
  };
}

export function encodeRegexRewrite(rewrite: RegexRewrite): RegexMatchAndSubstitute {
  return create(RegexMatchAndSubstituteSchema, {
    pattern: { regex: rewrite.pattern },
    substitution: rewrite.substitution,
  });
}
