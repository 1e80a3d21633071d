/** Keeps object identity from one snapshot to the next, so that what reads it can compare with `===`. */
import { isDeepStrictEqual } from "node:util";
import { deepFreeze, type Snapshot } from "../model/snapshot.ts";

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

/** `next` with each resource that equals one of `previous` taken from there: for snapshots that were built apart. */
export function reuseEqual(previous: Snapshot, next: Snapshot): Snapshot {
  return reuseMaps(previous, {
    revision: next.revision,
    listeners: equalEntries(previous.listeners, next.listeners),
    routes: equalEntries(previous.routes, next.routes),
    clusters: equalEntries(previous.clusters, next.clusters),
    endpoints: equalEntries(previous.endpoints, next.endpoints),
    secrets: equalEntries(previous.secrets, next.secrets),
  });
}

function sameEntries<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  if (previous.size !== next.size) return next;
  for (const [name, value] of next) if (previous.get(name) !== value) return next;
  return previous;
}

function equalEntries<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const merged = new Map<string, T>();
  for (const [name, value] of next) {
    const old = previous.get(name);
    merged.set(name, old !== undefined && isDeepStrictEqual(old, value) ? old : value);
  }
  return merged;
}
