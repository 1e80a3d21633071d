/** The bootstrap of a sidecar that was given nothing but its control plane: all of its configuration is dynamic. */
import type { Bootstrap, NodeIdentity } from "../model/bootstrap.ts";
import { deepFreeze, EMPTY_SNAPSHOT } from "../model/snapshot.ts";

/** Listeners and clusters over one delta stream, waited for without end: a sidecar without configuration is not ready. */
export function sidecarBootstrap(node: NodeIdentity): Bootstrap {
  const ads = { kind: "ads", initialFetchTimeoutMs: 0 } as const;
  return deepFreeze<Bootstrap>({
    node,
    admin: null,
    static: EMPTY_SNAPSHOT,
    dynamic: { ads: { variant: "delta", clusters: [], initialMetadata: [] }, listeners: ads, clusters: ads },
    tracing: null,
  });
}
