/** Which resources a change of the mesh has touched, and whose they are. */
import type { ResourceKind } from "../xds/resources.ts";

/** Names that changed, by kind: for all sidecars, and for single ones by node id. */
export interface CacheChange {
  readonly shared: ReadonlyMap<ResourceKind, ReadonlySet<string>>;
  readonly nodes: ReadonlyMap<string, ReadonlyMap<ResourceKind, ReadonlySet<string>>>;
}

export class ChangeBuilder implements CacheChange {
  readonly shared = new Map<ResourceKind, Set<string>>();
  readonly nodes = new Map<string, Map<ResourceKind, Set<string>>>();

  touchShared(kind: ResourceKind, name: string): void {
    touch(this.shared, kind, name);
  }

  touchNode(id: string, kind: ResourceKind, name: string): void {
    let kinds = this.nodes.get(id);
    if (!kinds) this.nodes.set(id, (kinds = new Map()));
    touch(kinds, kind, name);
  }
}

function touch(kinds: Map<ResourceKind, Set<string>>, kind: ResourceKind, name: string): void {
  const names = kinds.get(kind);
  if (names) names.add(name);
  else kinds.set(kind, new Set([name]));
}
