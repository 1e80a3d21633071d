import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
} from "../generated/envoy/config/route/v3/route_components_pb.js";
import type { HeaderMatch } from "../model/matcher.ts";
import { parseBinary } from "./any.ts";
import { decodeHeaderMatcher, decodeQueryMatcher, encodeHeaderMatcher, encodeQueryMatcher } from "./matcher.ts";
import { Place } from "./place.ts";
import { headerMatch, queryMatch } from "./testing/arbitrary-matcher.ts";
import type { Json } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

const header = (json: Json): HeaderMatch["match"] =>
  accepted(decodeJson(HeaderMatcherSchema, { name: "X-A", ...json }, decodeHeaderMatcher)).value.match;
const text = (kind: string, value: string) => ({ kind: "string", match: { kind, value, ignoreCase: false } });

test("the deprecated spellings mean the same as string_match", () => {
  assert.deepEqual(header({ exact_match: "v" }), text("exact", "v"));
  assert.deepEqual(header({ prefix_match: "v" }), text("prefix", "v"));
  assert.deepEqual(header({ suffix_match: "v" }), text("suffix", "v"));
  assert.deepEqual(header({ contains_match: "v" }), text("contains", "v"));
  assert.deepEqual(header({ safe_regex_match: { regex: "v+" } }), {
    kind: "string",
    match: { kind: "regex", value: "v+" },
  });
  assert.deepEqual(header({ string_match: { exact: "v" } }), text("exact", "v"));
});

test("without a specifier the header has to be there", () => {
  assert.deepEqual(header({}), { kind: "present", present: true });
});

test("names of headers are lower case, those of query parameters are not", () => {
  const { value } = accepted(decodeJson(HeaderMatcherSchema, { name: "X-A" }, decodeHeaderMatcher));
  assert.equal(value.name, "x-a");
  const query = accepted(decodeJson(QueryParameterMatcherSchema, { name: "Q" }, decodeQueryMatcher));
  assert.deepEqual(query.value, { name: "Q", match: { kind: "present", present: true } });
});

test("a range beyond what numbers hold exactly is cut to it", () => {
  const range = header({ range_match: { start: "-9223372036854775808", end: "9223372036854775807" } });
  assert.deepEqual(range, { kind: "range", start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER });
});

test("header and query matchers survive the way to bytes and back", () => {
  const at = Place.root(NO_WORLD);
  fc.assert(
    fc.property(headerMatch, queryMatch, (wantedHeader, wantedQuery) => {
      const headerBytes = toBinary(HeaderMatcherSchema, encodeHeaderMatcher(wantedHeader));
      const queryBytes = toBinary(QueryParameterMatcherSchema, encodeQueryMatcher(wantedQuery));
      const headerMessage = parseBinary(HeaderMatcherSchema, headerBytes, at);
      const queryMessage = parseBinary(QueryParameterMatcherSchema, queryBytes, at);
      assert.ok(headerMessage && queryMessage);
      assert.deepEqual(decodeHeaderMatcher(headerMessage, at), structuredClone(wantedHeader));
      assert.deepEqual(decodeQueryMatcher(queryMessage, at), structuredClone(wantedQuery));
    }),
  );
  assert.deepEqual(at.findings.problems, []);
});
