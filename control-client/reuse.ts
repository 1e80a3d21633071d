/** Keeps object identity from one snapshot to the next, so that what reads it can compare with `===`. */
import { isDeepStrictEqual } from "node:util";
import { deepFreeze, type Snapshot } from "../model/snapshot.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";

/** `next` frozen, with each of `previous`'s maps that has the same entries; `previous` itself if nothing differs. */
export function reuseMaps(previous: Snapshot | null, next: Snapshot): Snapshot {
  if (previous === null) return deepFreeze(next);
  const merged: Snapshot = {
    revision: next.revision,
    listeners: sameEntries(previous.listeners, next.listeners),
    routes: sameEntries(previous.routes, next.routes),
    clusters: sameEntries(previous.clusters, next.clusters),
    endpoints: sameEntries(previous.endpoints, next.endpoints),
    secrets: sameEntries(previous.secrets, next.secrets),
  };
  const keys = Object.keys(merged) as (keyof Snapshot)[];
  return keys.every((key) => merged[key] === previous[key]) ? previous : deepFreeze(merged);
}

const MAP_OF = {
  listener: "listeners",
  route: "routes",
  cluster: "clusters",
  endpoint: "endpoints",
  secret: "secrets",
} as const satisfies Record<ResourceKind, keyof Snapshot>;

/** The equal resource of `known`, if there is one, else `value`. */
export function reuseResource<K extends ResourceKind>(
  known: Snapshot | null,
  kind: K,
  name: string,
  value: ResourceModels[K],
): ResourceModels[K] {
  const map: ReadonlyMap<string, unknown> | undefined = known?.[MAP_OF[kind]];
  const old = map?.get(name);
  return old !== undefined && isDeepStrictEqual(old, value) ? (old as ResourceModels[K]) : value;
}

function sameEntries<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  if (previous.size !== next.size) return next;
  for (const [name, value] of next) if (previous.get(name) !== value) return next;
  return previous;
}
