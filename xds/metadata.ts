/** `core.v3.Metadata`: what Envoy has no field for travels under the name `outrigger`. */
import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Struct, StructSchema, type Value } from "@bufbuild/protobuf/wkt";
import { type Metadata, MetadataSchema } from "../generated/envoy/config/core/v3/base_pb.js";

/** The metadata name of Outrigger's own extensions. */
export const OUTRIGGER = "outrigger";

/** What the metadata holds under `name`, as plain JSON; undefined if nothing. */
export function metadataOf(metadata: Metadata | undefined, name: string): JsonObject | undefined {
  const struct = metadata?.filterMetadata[name];
  return struct && structToJson(struct);
}

/** Metadata of the entries that are not undefined; undefined if none is left. */
export function encodeMetadata(entries: Readonly<Record<string, JsonObject | undefined>>): Metadata | undefined {
  const filterMetadata: Record<string, Struct> = {};
  for (const [name, json] of Object.entries(entries)) {
    if (json !== undefined) filterMetadata[name] = fromJson(StructSchema, json);
  }
  if (Object.keys(filterMetadata).length === 0) return undefined;
  return create(MetadataSchema, { filterMetadata });
}

// Not protobuf-es's `toJson`: that throws on NaN and on values without a kind, which a peer can send.
function structToJson(struct: Struct): JsonObject {
  return Object.fromEntries(Object.entries(struct.fields).map(([key, value]) => [key, valueToJson(value)]));
}

function valueToJson({ kind }: Value): JsonValue {
  switch (kind.case) {
    case "structValue":
      return structToJson(kind.value);
    case "listValue":
      return kind.value.values.map(valueToJson);
    case "boolValue":
    case "numberValue":
    case "stringValue":
      return kind.value;
    default:
      return null;
  }
}
