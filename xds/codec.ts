/** The contract of a resource kind's file: decode, validate and encode side by side. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { deepFreeze } from "../model/snapshot.ts";
import { parseBinary } from "./any.ts";
import { reportUnknown } from "./check.ts";
import { conclude, type Decoded, type DecodeOptions, Place } from "./place.ts";

export interface Codec<D extends DescMessage, T> {
  readonly schema: D;
  /** The word before a resource's name in errors: `cluster "orders"`. */
  readonly label: string;
  /** The name that a resource is known by. */
  readonly nameOf: (message: MessageShape<D>) => string;
  /**
   * Never throws. Reports what is wrong at its place and returns something that fits the type all the same: the value
   * is thrown away if anything was reported.
   */
  readonly decode: (message: MessageShape<D>, at: Place) => T;
  /** The message that `decode` turns back into an equal value. */
  readonly encode: (value: T) => MessageShape<D>;
}

/** Decodes the bytes of one resource into its frozen model. Never throws. */
export function decodeBytes<D extends DescMessage, T>(
  codec: Codec<D, T>,
  bytes: Uint8Array,
  options: DecodeOptions,
): Decoded<T> {
  const root = Place.root(options);
  const { problems, notes } = root.findings;
  const message = parseBinary(codec.schema, bytes, root.in(codec.label));
  if (!message) return { ok: false, problems, notes };
  const at = root.in(labelOf(codec, message));
  reportUnknown(codec.schema, message, at);
  const value = codec.decode(message, at);
  return conclude(root, deepFreeze(value));
}

/** What errors call a resource: `cluster "orders"`. */
export function labelOf<D extends DescMessage, T>(codec: Codec<D, T>, message: MessageShape<D>): string {
  const name = codec.nameOf(message);
  return name ? `${codec.label} ${JSON.stringify(name)}` : codec.label;
}
