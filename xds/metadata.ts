/** `core.v3.Metadata`: what Envoy has no field for travels under the name `outrigger`. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { type Metadata, MetadataSchema } from "../generated/envoy/config/core/v3/base_pb.js";

/** The metadata name of Outrigger's own extensions. */
export const OUTRIGGER = "outrigger";

/** What the metadata holds under `name`, as plain JSON; undefined if nothing. */
export function metadataOf(metadata: Metadata | undefined, name: string): JsonObject | undefined {
  return metadata?.filterMetadata[name];
}

/** Metadata of the entries that are not undefined; undefined if none is left. */
export function encodeMetadata(entries: Readonly<Record<string, JsonObject | undefined>>): Metadata | undefined {
  const filterMetadata: Record<string, JsonObject> = {};
  for (const [name, json] of Object.entries(entries)) if (json !== undefined) filterMetadata[name] = json;
  return Object.keys(filterMetadata).length > 0 ? create(MetadataSchema, { filterMetadata }) : undefined;
}
