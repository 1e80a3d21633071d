/** What routes may refer to in namespaces that are not theirs (Gateway API's `ReferenceGrant`). */
import type { Manifest } from "../manifest/parse.ts";
import { GATEWAY_GROUP } from "../manifest/references.ts";

/** A route that names a Service of another namespace. */
export interface CrossReference {
  /** `HTTPRoute` */
  readonly kind: string;
  readonly namespace: string;
  readonly service: { readonly namespace: string; readonly name: string };
}

/** Whether some grant of the Service's namespace permits it. Grants add up, and none takes back what another gives. */
export type Permits = (reference: CrossReference) => boolean;

export function grantsOf(objects: Iterable<Manifest>): Permits {
  /** By who refers and whose namespace is referred to: names of Services, null for all. */
  const granted = new Map<string, Set<string | null>>();
  for (const object of objects) {
    if (object.kind !== "ReferenceGrant") continue;
    const { metadata, spec } = object.value;
    const names = spec.to.filter((to) => isCore(to.group) && to.kind === "Service").map(({ name }) => name);
    for (const { group, kind, namespace } of spec.from) {
      if (group !== GATEWAY_GROUP) continue;
      const key = `${kind}/${namespace}/${metadata.namespace}`;
      granted.set(key, new Set([...(granted.get(key) ?? []), ...names]));
    }
  }
  return ({ kind, namespace, service }) => {
    const names = granted.get(`${kind}/${namespace}/${service.namespace}`);
    return names !== undefined && (names.has(null) || names.has(service.name));
  };
}

/** Gateway API writes Kubernetes' core group as "". */
function isCore(group: string): boolean {
  return group === "" || group === "core";
}
