/** Whether a pod is to have a sidecar: opt-in, by its namespace or by itself. */

import { type JsonObject, objectOf, textOf, textsOf } from "../json.ts";
import { INJECT } from "./annotations.ts";

/** Label of a namespace: `enabled` or `disabled`. */
export const NAMESPACE_LABEL = "outrigger.dev/inject";

export interface Wanted {
  readonly wanted: boolean;
  /** For people. */
  readonly because: string;
}

/**
 * The pod's label `sidecar.outrigger.dev/inject` decides (`true`, `false`), else its annotation of that name, else its
 * namespace's label. What says nothing stays as it is. `namespace`: the Namespace object, or null where it is unknown.
 */
export function injectionWanted(
  pod: JsonObject,
  namespace: JsonObject | null,
  ignoredNamespaces: readonly string[],
): Wanted {
  const metadata = objectOf(pod["metadata"]);
  const place = objectOf(namespace?.["metadata"]);
  const name = textOf(place["name"]) || textOf(metadata["namespace"]);
  if (ignoredNamespaces.includes(name)) return no(`pods of namespace ${name} are never changed`);
  for (const [what, values] of [
    ["label", textsOf(metadata["labels"])],
    ["annotation", textsOf(metadata["annotations"])],
  ] as const) {
    const own = values[INJECT];
    if (own === "true" || own === "enabled") return yes(`the pod's ${what} ${INJECT}`);
    if (own === "false" || own === "disabled") return no(`the pod's ${what} ${INJECT}`);
  }
  const label = textsOf(place["labels"])[NAMESPACE_LABEL];
  if (label === "enabled" || label === "true") return yes(`the label ${NAMESPACE_LABEL} of namespace ${name}`);
  return no(
    label === undefined
      ? `neither the pod nor its namespace asks for a sidecar (${INJECT}, ${NAMESPACE_LABEL})`
      : `the label ${NAMESPACE_LABEL} of namespace ${name}`,
  );
}

const yes = (because: string): Wanted => ({ wanted: true, because });
const no = (because: string): Wanted => ({ wanted: false, because });
