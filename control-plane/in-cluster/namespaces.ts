/** The cluster's Namespaces as the injector needs them: what their labels and annotations say, without asking for each pod. */
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { NAMESPACE_LABEL } from "../injector/wanted.ts";
import type { JsonObject as InjectorObject } from "../json.ts";
import type { JsonObject, KubernetesApi } from "../kubernetes/api.ts";
import { collectionsOf, SOURCE_KINDS } from "../kubernetes/kinds.ts";
import { objectAt, pick, textAt, textsAt } from "../kubernetes/objects/fields.ts";
import { Reflector } from "../kubernetes/reflector.ts";

export interface NamespacesOptions {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Hears which namespaces ask for sidecars, at each change. */
  readonly onAsking: (names: ReadonlySet<string>) => void;
}

export interface Namespaces {
  /**
   * The object, if it asks for sidecars. null: it does not, or nothing is known of it. The API server may know better
   * by then: it asks about a pod only where somebody wants a sidecar.
   */
  asking(name: string): InjectorObject | null;
  close(): Promise<void>;
}

/** Starts to follow them. */
export function followNamespaces({ api, clock, random, log, onAsking }: NamespacesOptions): Namespaces {
  const reflector = new Reflector<JsonObject>({
    kind: "Namespace (injector)",
    collections: collectionsOf(SOURCE_KINDS.Namespace),
    api,
    clock,
    random,
    log,
    pageSize: SOURCE_KINDS.Namespace.pageSize,
    read: (object) => ({ metadata: pick(objectAt(object, "metadata"), ["name", "labels", "annotations"]) }),
    changed: () => onAsking(new Set([...reflector.values()].filter(asks).map(nameOf))),
  });
  reflector.start();
  return {
    asking(name) {
      const namespace = reflector.get(name);
      return namespace !== undefined && asks(namespace) ? (namespace as InjectorObject) : null;
    },
    close: () => reflector.close(),
  };
}

function asks(namespace: JsonObject): boolean {
  const label = textsAt(objectAt(namespace, "metadata"), "labels")[NAMESPACE_LABEL];
  return label === "enabled" || label === "true";
}

function nameOf(namespace: JsonObject): string {
  return textAt(objectAt(namespace, "metadata"), "name");
}
