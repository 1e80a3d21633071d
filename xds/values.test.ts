import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { RuntimeFractionalPercentSchema } from "../generated/envoy/config/core/v3/base_pb.js";
import { Place } from "./place.ts";
import { fraction as arbitraryFraction } from "./testing/arbitrary-matcher.ts";
import { NO_WORLD } from "./testing/round-trip.ts";
import {
  duration,
  durationMs,
  fraction,
  fractionOf,
  percent,
  percentOf,
  positiveDurationMs,
  runtimeFractionOf,
} from "./values.ts";

test("milliseconds survive a duration message", () => {
  fc.assert(fc.property(fc.nat(), (ms) => assert.equal(durationMs(duration(ms), null, Place.root(NO_WORLD)), ms)));
});

test("what is smaller than a millisecond is cut off, and what is not set is the fallback", () => {
  const at = Place.root(NO_WORLD);
  assert.equal(durationMs(create(DurationSchema, { seconds: 1n, nanos: 999_999 }), null, at), 1000);
  assert.equal(durationMs(undefined, "none", at), "none");
  assert.deepEqual(at.findings.problems, []);
});

test("durations that are negative, out of range or zero where they may not be are errors", () => {
  const at = Place.root(NO_WORLD);
  durationMs(create(DurationSchema, { seconds: -1n }), 0, at.field("a"));
  durationMs(create(DurationSchema, { nanos: -1 }), 0, at.field("b"));
  durationMs(create(DurationSchema, { seconds: 315_576_000_001n }), 0, at.field("c"));
  durationMs(create(DurationSchema, { nanos: 1_000_000_000 }), 0, at.field("d"));
  positiveDurationMs(create(DurationSchema), 0, at.field("e"));
  assert.deepEqual(
    at.findings.problems.map((problem) => problem.path),
    ["a", "b", "c", "d", "e"],
  );
});

test("a percentage is from 0 to 100", () => {
  const at = Place.root(NO_WORLD);
  assert.equal(percentOf(percent(12.5), 0, at), 12.5);
  for (const value of [-1, 100.5, Number.NaN]) percentOf(percent(value), 0, at);
  assert.equal(at.findings.problems.length, 3);
});

test("a share keeps its numerator and denominator", () => {
  fc.assert(fc.property(arbitraryFraction, (value) => assert.deepEqual(fractionOf(fraction(value)), { ...value })));
});

test("the runtime's percentage comes before the default", () => {
  const at = Place.root(NO_WORLD);
  at.findings.runtime.set("shift", 25);
  const message = create(RuntimeFractionalPercentSchema, { defaultValue: { numerator: 1 }, runtimeKey: "shift" });
  assert.deepEqual(runtimeFractionOf(message, at), { numerator: 25, denominator: 100 });
  message.runtimeKey = "other";
  assert.deepEqual(runtimeFractionOf(message, at), { numerator: 1, denominator: 100 });
});
