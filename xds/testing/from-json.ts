/** Resources written as protobuf JSON, as tests like to write them, taken through bytes into the decoder. */
import assert from "node:assert/strict";
import { createRegistry, type DescMessage, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { formatProblem } from "../../core/errors.ts";
import { type Codec, decodeBytes } from "../codec.ts";
import type { Decoded, DecodeOptions } from "../place.ts";
import { EXTENSION_TYPES } from "../registry.ts";
import { NO_WORLD } from "./round-trip.ts";

const registry = createRegistry(...EXTENSION_TYPES);

/** Decodes a resource that is expected to be good. */
export function decodeJson<D extends DescMessage, T>(
  codec: Codec<D, T>,
  json: object,
  options?: Partial<DecodeOptions>,
): T {
  const decoded = run(codec, json, options);
  assert.deepEqual(decoded.ok ? [] : decoded.problems.map(formatProblem), []);
  assert.ok(decoded.ok);
  return decoded.value;
}

/** What is wrong with a resource, as people read it. */
export function problemsOf<D extends DescMessage, T>(
  codec: Codec<D, T>,
  json: object,
  options?: Partial<DecodeOptions>,
): string[] {
  const decoded = run(codec, json, options);
  assert.ok(!decoded.ok, "decoded without a problem");
  return decoded.problems.map(formatProblem);
}

/** What of a good resource was accepted and ignored. */
export function notesOf<D extends DescMessage, T>(codec: Codec<D, T>, json: object): string[] {
  const decoded = run(codec, json, {});
  assert.deepEqual(decoded.ok ? [] : decoded.problems.map(formatProblem), []);
  return decoded.notes.map(formatProblem);
}

function run<D extends DescMessage, T>(
  codec: Codec<D, T>,
  json: object,
  options: Partial<DecodeOptions> | undefined,
): Decoded<T> {
  const message = fromJson(codec.schema, json as JsonValue, { registry });
  return decodeBytes(codec, toBinary(codec.schema, message), { ...NO_WORLD, ...options });
}
