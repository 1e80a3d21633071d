/** Kubernetes objects as JSON of which some fields are known, and all are kept. */
import type { JsonValue } from "../model/bootstrap.ts";

export type { JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object, or an empty one in its absence. */
export function objectOf(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The objects of a list; what is not an object is nothing that a pod can have there. */
export function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  return listOf(value).filter(isObject);
}

export function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

/** "" for anything but a string. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

/** A map of strings, as labels and annotations are. */
export function textsOf(value: JsonValue | undefined): Readonly<Record<string, string>> {
  const texts: [string, string][] = [];
  for (const [name, text] of Object.entries(objectOf(value))) if (typeof text === "string") texts.push([name, text]);
  return Object.fromEntries(texts);
}
