/** Strings as configurations hold them: what every other arbitrary is built from. */
import fc from "fast-check";

const TOKEN = [..."abcdefghijklmnopqrstuvwxyz0123456789-_"];

/** Lower-case header field name that is neither `host` nor one of Envoy's pseudo headers. */
export const headerName: fc.Arbitrary<string> = fc
  .string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 12 })
  .filter((name) => name !== "host");

/** Any text without NUL, CR, LF and without `%`, which begins a command in many places. */
export const plainText: fc.Arbitrary<string> = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .map((text) => text.replaceAll(/[\0\r\n%]/gu, "~"));

export const nonEmptyText: fc.Arbitrary<string> = plainText.map((text) => text || "x");

/** A name as people give it. Not `__proto__`, which the protobuf library loses as a map's key. */
export const name: fc.Arbitrary<string> = fc
  .string({ unit: fc.constantFrom(...TOKEN, ".", "/", "|"), minLength: 1, maxLength: 12 })
  .filter((text) => text !== "__proto__");

/** Text with command operators, which must survive untouched. */
export const template: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      plainText,
      fc.constantFrom(
        "%RESPONSE_CODE%",
        "%REQ(X-Id?:PATH):20%",
        "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%",
        "100%%",
        "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
      ),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join("") || "-");

export const regex: fc.Arbitrary<string> = fc.constantFrom("a+", "/v[0-9]+/.*", "(?i)x|y", "[[:alpha:]]*", "(a)(b)?");

/** Milliseconds that Envoy's durations carry exactly. */
export const durationMs: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 1, 999, 1000, 1001),
  fc.nat({ max: 1_000_000_000 }),
);

export const positiveMs: fc.Arbitrary<number> = durationMs.map((ms) => ms + 1);

export const uint32: fc.Arbitrary<number> = fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.nat({ max: 0xffff_ffff }));

export const port: fc.Arbitrary<number> = fc.integer({ min: 1, max: 65535 });

export const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });

export const few = <T>(arbitrary: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength: Math.max(2, minLength) });

/** Adds each of the fields or leaves it out. */
export const andPerhaps = <T extends object, O extends object>(
  base: fc.Arbitrary<T>,
  optional: { [K in keyof O]: fc.Arbitrary<O[K]> },
): fc.Arbitrary<T & Partial<O>> =>
  fc
    .tuple(base, fc.record<O, never>(optional, { requiredKeys: [], noNullPrototype: true }))
    .map(([given, more]) => ({ ...given, ...more }));
