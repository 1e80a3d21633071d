/** What API servers make of the three kinds of patches, as far as control planes send them. */
import { ApiError, isObject, type Json, type JsonObject } from "../api.ts";

/** JSON Merge Patch (RFC 7396). */
export function merged(object: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, Json | undefined> = { ...object };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (isObject(value)) {
      const before = result[name];
      result[name] = merged(isObject(before) ? before : {}, value);
    } else result[name] = value;
  }
  return result;
}

/** Server-side apply by one manager, who owns every field that it names. */
export function applied(object: JsonObject | undefined, configuration: JsonObject): JsonObject {
  return merged(object ?? {}, configuration);
}

/** JSON Patch (RFC 6902): `add`, `replace` and `test`. Throws an ApiError as a server answers what does not apply. */
export function jsonPatched(object: JsonObject, operations: Json): JsonObject {
  const result = structuredClone(object) as Record<string, unknown>;
  for (const { op, path, value } of operations as readonly { op: string; path: string; value: Json }[]) {
    const parts = path.split("/").slice(1);
    const last = parts.pop() ?? "";
    const parent = parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], result);
    const fields = parent as Record<string, unknown>;
    if (op === "test") {
      if (JSON.stringify(fields[last]) === JSON.stringify(value)) continue;
      throw new ApiError(422, "Invalid", `the value at ${path} is another`);
    }
    fields[last] = value;
  }
  return result as JsonObject;
}
