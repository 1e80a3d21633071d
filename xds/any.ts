/** Unpacks and packs `google.protobuf.Any`, which is how Envoy's messages carry the configuration of extensions. */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { messageOf } from "../core/errors.ts";
import { type TypedStruct, TypedStructSchema } from "../generated/xds/type/v3/typed_struct_pb.js";
import { reportUnknown } from "./check.ts";
import { messageFromJson, parsedAny } from "./json.ts";
import type { Place } from "./place.ts";
import { typeNameOf } from "./registry.ts";

const TYPED_STRUCTS = new Set(["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"]);

/**
 * The message inside `any`, which must be one of `allowed`; switch on `$typeName` to tell them apart. A `TypedStruct`
 * of an allowed type counts as that type. Anything else, undecodable bytes and a missing `any` are errors at `at`, and
 * give undefined.
 */
export function unpackAny<D extends DescMessage>(
  any: Any | undefined,
  allowed: readonly D[],
  at: Place,
): MessageShape<D> | undefined {
  if (!any) {
    at.error("is required");
    return undefined;
  }
  const name = typeNameOf(any.typeUrl);
  if (TYPED_STRUCTS.has(name)) return unpackTypedStruct(any, allowed, at);
  const schema = allowed.find((candidate) => candidate.typeName === name);
  if (!schema) {
    unsupportedType(name, allowed, at);
    return undefined;
  }
  const parsed = parsedAny(any);
  if (parsed) return parsed as MessageShape<D>;
  return messageFromBinary(schema, any.value, at);
}

/** Decodes bytes from a peer and reports what the subset does not declare; undefined if they are no such message. */
export function messageFromBinary<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  at: Place,
): MessageShape<D> | undefined {
  const message = parseBinary(schema, bytes, at);
  if (message) reportUnknown(schema, message, at);
  return message;
}

/** Decodes bytes without a look at what is in them. */
export function parseBinary<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  at: Place,
): MessageShape<D> | undefined {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    at.error(`not a valid ${schema.typeName}: ${messageOf(error)}`);
    return undefined;
  }
}

/** Wraps a message as an extension's configuration or as a resource. */
export function packAny<D extends DescMessage>(schema: D, message: MessageShape<D>): Any {
  return create(AnySchema, { typeUrl: typeUrlOf(schema), value: toBinary(schema, message) });
}

/** `type.googleapis.com/<full name>` */
export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`;
}

/** The type URL of what a `TypedStruct` in `any` stands for; undefined if there is none in it. */
export function typedStructType(any: Any): string | undefined {
  if (!TYPED_STRUCTS.has(typeNameOf(any.typeUrl))) return undefined;
  const parsed = parsedAny(any) as TypedStruct | undefined;
  if (parsed) return parsed.typeUrl;
  try {
    return fromBinary(TypedStructSchema, any.value).typeUrl;
  } catch {
    return undefined;
  }
}

function unpackTypedStruct<D extends DescMessage>(
  any: Any,
  allowed: readonly D[],
  at: Place,
): MessageShape<D> | undefined {
  const parsed = parsedAny(any) as TypedStruct | undefined;
  const struct = parsed ?? messageFromBinary(TypedStructSchema, any.value, at);
  if (!struct) return undefined;
  const name = typeNameOf(struct.typeUrl);
  const schema = allowed.find((candidate) => candidate.typeName === name);
  if (schema) return messageFromJson(schema, struct.value ?? {}, at.field("value"));
  unsupportedType(name, allowed, at);
  return undefined;
}

function unsupportedType(name: string, allowed: readonly DescMessage[], at: Place): void {
  const known = allowed.map((schema) => schema.typeName).join(", ");
  at.error(`type ${name || '""'} is not supported here${known ? ` (supported: ${known})` : ""}`);
}
