/** The round trip that every kind of resource must survive: model → message → bytes → message → model. */
import assert from "node:assert/strict";
import { type DescMessage, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "../codec.ts";
import { decodeBytes } from "../codec.ts";
import type { DecodeOptions } from "../place.ts";

/** No files, no environment. */
export const NO_WORLD: DecodeOptions = {
  readFile: (path) => {
    throw new Error(`no file ${path} here`);
  },
  environment: {},
};

/** Fails unless encoding and decoding `value` gives it back, without a problem. */
export function assertRoundTrip<D extends DescMessage, T>(codec: Codec<D, T>, value: T): void {
  const decoded = decodeBytes(codec, toBinary(codec.schema, codec.encode(value)), NO_WORLD);
  assert.deepEqual(decoded.ok ? [] : decoded.problems, []);
  assert.ok(decoded.ok);
  // A structured clone has plain prototypes, which the objects of fast-check do not.
  assert.deepEqual(decoded.value, structuredClone(value));
}
