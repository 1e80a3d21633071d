/** Reading what an API server has checked already: what is not as expected counts as not being there. */
import { isObject, type Json, type JsonObject } from "../api.ts";

export function objectAt(object: JsonObject, field: string): JsonObject {
  const value = object[field];
  return isObject(value) ? value : {};
}

export function textAt(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === "string" ? value : "";
}

export function objectsAt(object: JsonObject, field: string): readonly JsonObject[] {
  const value = object[field];
  return Array.isArray(value) ? (value as readonly Json[]).filter(isObject) : [];
}

/** Words to words. */
export function textsAt(object: JsonObject, field: string): Readonly<Record<string, string>> {
  const entries = Object.entries(objectAt(object, field));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** The fields of those names, without what is null. */
export function pick(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (object[name] == null ? [] : [[name, object[name]]])));
}
