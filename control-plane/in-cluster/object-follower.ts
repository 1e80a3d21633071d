/** Follows one object of a cluster, by a watch that is of it alone: the control plane may read no others of its kind. */
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import type { JsonObject, KubernetesApi } from "../kubernetes/api.ts";
import { Reflector } from "../kubernetes/reflector.ts";

export interface FollowedObject {
  /** For logs: `Secret outrigger-system/outrigger-ca`. */
  readonly what: string;
  /** `/api/v1/namespaces/outrigger-system/secrets` */
  readonly collection: string;
  readonly name: string;
}

export interface ObjectFollowerOptions extends FollowedObject {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called with each version of it; null: there is none (any more). Not called before it is known. */
  readonly onChange: (object: JsonObject | null) => void;
}

export interface ObjectFollower {
  /** Looks again at once where it waits after a failure. */
  hurry(): void;
  close(): Promise<void>;
}

/** Starts. */
export function followObject(options: ObjectFollowerOptions): ObjectFollower {
  const { what, collection, name, api, clock, random, log, onChange } = options;
  const reflector = new Reflector<JsonObject>({
    kind: what,
    collections: [
      { path: `${collection}?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`, metadataOnly: false },
    ],
    api,
    clock,
    random,
    log,
    pageSize: 0,
    read: (object) => object,
    changed: () => {
      const [object = null] = reflector.values();
      onChange(object);
    },
  });
  reflector.start();
  return { hurry: () => reflector.hurry(), close: () => reflector.close() };
}
