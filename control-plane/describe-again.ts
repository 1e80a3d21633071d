/** A sidecar may register before its pod is known, and a pod's labels may change: what is known is looked up again then. */
import { isDeepStrictEqual } from "node:util";
import type { ResourceCache } from "./cache.ts";
import { podKey } from "./mesh/cluster.ts";
import type { Registry } from "./registry/registry.ts";
import type { MeshContent, MeshSource } from "./source.ts";

/** To be called after the mesh has taken the content. */
export function describeAgain(
  source: MeshSource,
  { cluster, change }: MeshContent,
  registry: Registry,
  cache: ResourceCache,
): void {
  if (cluster === null || change?.pods.size === 0) return;
  for (const { workload } of registry.views()) {
    const known = workload.pod === null ? null : podKey(workload.namespace, workload.pod);
    if (change !== null && known !== null && cluster.pods.has(known) && !change.pods.has(known)) continue;
    const described = source.describe(workload);
    if (isDeepStrictEqual(described, workload)) continue;
    registry.describe(described);
    cache.changeNode(described);
  }
}
