/** Service accounts that AccessPolicies name and that the cluster does not have: nobody can call under them. */
import { type Manifest, positionOf } from "../manifest/parse.ts";
import type { Cluster } from "./cluster.ts";
import type { Finding } from "./state.ts";

export function findUnknownCallers(objects: readonly Manifest[], cluster: Cluster, findings: Finding[]): void {
  for (const object of objects) {
    if (object.kind !== "AccessPolicy") continue;
    const { metadata, spec } = object.value;
    const named = spec.rules.flatMap(({ from }) => from.flatMap(({ serviceAccounts }) => serviceAccounts));
    for (const name of new Set(named)) {
      const key = name.includes("/") ? name : `${metadata.namespace}/${name}`;
      if (cluster.serviceAccounts.has(key)) continue;
      findings.push({
        key: object.key,
        source: positionOf(object),
        message: `names service account ${key}, which does not exist`,
      });
    }
  }
}
