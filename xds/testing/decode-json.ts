/** Decodes a resource from its JSON form, as a bootstrap file has it. */
import assert from "node:assert/strict";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { formatProblem } from "../../core/errors.ts";
import { messageFromJson } from "../json.ts";
import { conclude, type Decoded, type DecodeOptions, Place } from "../place.ts";
import type { Json } from "./bootstrap-json.ts";
import { NO_WORLD } from "./round-trip.ts";

/** Runs `decode` on the message that `json` is. */
export function decodeJson<D extends DescMessage, T>(
  schema: D,
  json: Json,
  decode: (message: MessageShape<D>, at: Place) => T,
  options: DecodeOptions = NO_WORLD,
): Decoded<T> {
  const root = Place.root(options);
  // What is undefined is left out, as in a file.
  const plain: unknown = JSON.parse(JSON.stringify(json));
  return conclude(root, decode(messageFromJson(schema, plain, root), root));
}

/** The value and the notes; fails if there is a problem. */
export function accepted<T>(decoded: Decoded<T>): { readonly value: T; readonly notes: readonly string[] } {
  assert.deepEqual(decoded.ok ? [] : decoded.problems.map(formatProblem), []);
  assert.ok(decoded.ok);
  return { value: decoded.value, notes: decoded.notes.map(formatProblem) };
}

/** The problems as lines; fails if there is none. */
export function refused(decoded: Decoded<unknown>): readonly string[] {
  assert.ok(!decoded.ok, "accepted");
  return decoded.problems.map(formatProblem);
}
