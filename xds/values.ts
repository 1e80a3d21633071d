/** Reads and writes the small values that all resources share: durations, percentages, enums, runtime values. */
import { create, type DescEnum } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type RuntimeFractionalPercent,
  RuntimeFractionalPercentSchema,
} from "../generated/envoy/config/core/v3/base_pb.js";
import {
  type FractionalPercent,
  FractionalPercent_DenominatorType,
  FractionalPercentSchema,
  type Percent,
  PercentSchema,
} from "../generated/envoy/type/v3/percent_pb.js";
import type { Fraction } from "../model/matcher.ts";
import type { Place } from "./place.ts";

/** Envoy's limit in seconds, about 292 years: it counts in nanoseconds, in 64 bits. */
const MAX_DURATION_S = 9_223_372_036n;

/** A duration in whole milliseconds (truncated, as Envoy does), `fallback` if it is not set. Negative ones are errors. */
export function durationMs<F>(duration: Duration | undefined, fallback: F, at: Place): number | F {
  if (!duration) return fallback;
  const { seconds, nanos } = duration;
  if (seconds < 0n || nanos < 0) {
    at.error("a duration must not be negative");
    return fallback;
  }
  if (seconds > MAX_DURATION_S || nanos > 999_999_999) {
    at.error("not a valid duration");
    return fallback;
  }
  return Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
}

/** Like `durationMs`, but zero is an error too. */
export function positiveDurationMs<F>(duration: Duration | undefined, fallback: F, at: Place): number | F {
  if (duration && duration.seconds === 0n && duration.nanos === 0) at.error("a duration must be greater than 0");
  return durationMs(duration, fallback, at);
}

/** A duration message of `ms` milliseconds. */
export function duration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1_000_000) });
}

/** A percentage from 0 to 100, `fallback` if it is not set. */
export function percentOf<F>(percent: Percent | undefined, fallback: F, at: Place): number | F {
  if (!percent) return fallback;
  if (percent.value >= 0 && percent.value <= 100) return percent.value;
  at.error(`a percentage must be from 0 to 100, got ${percent.value}`);
  return fallback;
}

export function percent(value: number): Percent {
  return create(PercentSchema, { value });
}

const DENOMINATORS: Readonly<Record<number, number>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: 1_000_000,
};

/** An exact share. An enum value without a meaning was reported before. */
export function fractionOf(message: FractionalPercent): Fraction {
  return { numerator: message.numerator, denominator: DENOMINATORS[message.denominator] ?? 100 };
}

/** The message of a share; its denominator is one of 100, 10,000 and 1,000,000. */
export function fraction(value: Fraction): FractionalPercent {
  const found = Object.entries(DENOMINATORS).find(([, denominator]) => denominator === value.denominator);
  return create(FractionalPercentSchema, {
    numerator: value.numerator,
    denominator: Number(found?.[0] ?? FractionalPercent_DenominatorType.HUNDRED),
  });
}

/**
 * A share that the runtime may override (`RuntimeFractionalPercent`): the value of `runtime_key` in `layered_runtime`,
 * a percentage, comes before the default. A default is required.
 */
export function runtimeFractionOf(message: RuntimeFractionalPercent, at: Place): Fraction {
  const override = at.findings.runtime.get(message.runtimeKey);
  if (typeof override === "number" && override >= 0) return { numerator: Math.min(override, 100), denominator: 100 };
  if (!message.defaultValue) {
    at.field("default_value").error("is required");
    return { numerator: 0, denominator: 100 };
  }
  return fractionOf(message.defaultValue);
}

export function runtimeFraction(value: Fraction): RuntimeFractionalPercent {
  return create(RuntimeFractionalPercentSchema, { defaultValue: fraction(value) });
}

/**
 * The model's word for an enum value. Values missing in `words` are known to Envoy and not supported here: an error
 * that gives their name.
 */
export function wordOf<T>(
  desc: DescEnum,
  value: number,
  words: Readonly<Partial<Record<number, T>>>,
  at: Place,
): T | undefined {
  const word = words[value];
  // A number without a name was reported when the message was checked.
  if (word === undefined && desc.value[value]) at.error(`${desc.value[value].name} is not supported`);
  return word;
}

/** The enum value of the model's word: the inverse of `wordOf` over the same table. */
export function numberOf<T>(words: Readonly<Partial<Record<number, T>>>, word: T): number {
  for (const [number, candidate] of Object.entries(words)) if (candidate === word) return Number(number);
  throw new Error(`no enum value for ${String(word)}`);
}

/** A field without which the message has no meaning; reports it and gives undefined if it is not there. */
export function required<T>(value: T | undefined, at: Place): T | undefined {
  if (value === undefined || value === "") at.error("is required");
  return value;
}
