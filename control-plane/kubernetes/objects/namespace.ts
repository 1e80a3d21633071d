/** Kubernetes `Namespace` (v1): which namespaces its sidecars are to be told of. */
import type { JsonObject } from "../api.ts";
import { objectAt, textsAt } from "./fields.ts";

export const REACH_ANNOTATION = "outrigger.dev/reach";

/** Names of namespaces, with commas between, besides its own; null: all. */
export function readReach(object: JsonObject): ReadonlySet<string> | null {
  const text = textsAt(objectAt(object, "metadata"), "annotations")[REACH_ANNOTATION];
  if (text === undefined) return null;
  const names = text.split(",").map((name) => name.trim());
  return names.includes("*") ? null : new Set(names.filter((name) => name !== ""));
}
