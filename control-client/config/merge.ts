/**
 * `--config-yaml` over `-c`: protobuf's MergeFrom, which is how Envoy joins them, on trees that keep their positions.
 * Messages merge, lists are appended, map entries and scalars replace, a member of a oneof replaces the others.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { Located, LocatedEntry, LocatedMap } from "./located.ts";

/** `override` merged over `base`, both of them JSON forms of a `schema` message. */
export function mergeLocated(schema: DescMessage, base: Located, override: Located): Located {
  if (isNull(override)) return base;
  if (base.kind !== "map" || override.kind !== "map") return override;
  const entries = new Map(base.entries);
  for (const [key, entry] of override.entries) {
    const field = fieldOf(schema, key);
    if (isNull(entry.value) || (field && isUnset(field, entry.value))) continue;
    const known = field && nameIn(entries, field);
    const old = known === undefined ? undefined : entries.get(known);
    if (field?.oneof) for (const member of field.oneof.fields) if (member !== field) drop(entries, member);
    if (!field || !known || !old) entries.set(key, entry);
    else entries.set(known, { at: entry.at, value: mergeField(field, old.value, entry.value) });
  }
  return { ...base, entries };
}

function mergeField(field: DescField, base: Located, override: Located): Located {
  if (field.fieldKind === "list" && base.kind === "list" && override.kind === "list") {
    return { ...base, items: [...base.items, ...override.items] };
  }
  if (base.kind !== "map" || override.kind !== "map") return override;
  if (field.fieldKind === "map") return replaceEntries(base, override);
  const message = field.message;
  if (!message || message.typeName === "google.protobuf.Any") return override;
  // A Struct is a map from names to values.
  if (message.typeName === "google.protobuf.Struct") return replaceEntries(base, override);
  return mergeLocated(message, base, override);
}

function replaceEntries(base: LocatedMap, override: LocatedMap): Located {
  return { ...base, entries: new Map([...base.entries, ...override.entries]) };
}

function fieldOf(schema: DescMessage, key: string): DescField | undefined {
  return schema.fields.find((field) => field.name === key || field.jsonName === key);
}

function nameIn(entries: ReadonlyMap<string, LocatedEntry>, field: DescField): string | undefined {
  return [field.name, field.jsonName].find((name) => entries.has(name));
}

function drop(entries: Map<string, LocatedEntry>, field: DescField): void {
  entries.delete(field.name);
  entries.delete(field.jsonName);
}

/** A field without presence that has its default value is one that was not set, and so does not override. */
function isUnset(field: DescField, value: Located): boolean {
  if (value.kind !== "scalar" || field.presence !== FeatureSet_FieldPresence.IMPLICIT) return false;
  return value.value === 0 || value.value === "" || value.value === false;
}

function isNull(value: Located): boolean {
  return value.kind === "scalar" && value.value === null;
}
