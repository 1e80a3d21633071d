/**
 * A snapshot on its way to another thread: only what changed is sent, in slices, so that neither thread is kept from its
 * requests for long by the cloning. A resource that did not change keeps its identity on the other side as well.
 */
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";

type Kind = Exclude<keyof Snapshot, "revision">;

const KINDS: readonly Kind[] = ["secrets", "endpoints", "clusters", "routes", "listeners"];

type Resource<K extends Kind> = Snapshot[K] extends ReadonlyMap<string, infer R> ? R : never;

export type Changes = { readonly [K in Kind]?: readonly (readonly [name: string, resource: Resource<K>])[] };

export interface SnapshotSlice {
  readonly changes: Changes;
  /** With the last slice. */
  readonly end: SnapshotEnd | null;
}

export interface SnapshotEnd {
  readonly revision: string;
  /** All names of the kinds in which some came or went, in their order. */
  readonly names: { readonly [K in Kind]?: readonly string[] };
}

/** A slice is about a millisecond's cloning: so many resources, or fewer with many endpoints. */
const SLICE = 64;
const ENDPOINTS_PER_RESOURCE = 16;

/** What turns `before` into `after`; there is always a last slice, though it may hold nothing new. */
export function* snapshotSlices(before: Snapshot, after: Snapshot): Generator<SnapshotSlice, void, undefined> {
  let changes: Record<string, (readonly [string, unknown])[]> = {};
  let size = 0;
  for (const kind of KINDS) {
    if (after[kind] === before[kind]) continue;
    for (const [name, resource] of after[kind]) {
      if (before[kind].get(name) === resource) continue;
      if (size >= SLICE) {
        yield { changes: changes as Changes, end: null };
        changes = {};
        size = 0;
      }
      (changes[kind] ??= []).push([name, resource]);
      size += kind === "endpoints" ? endpointWeight(after, name) : 1;
    }
  }
  const moved = KINDS.filter((kind) => !sameNames(before[kind], after[kind]));
  const names = Object.fromEntries(moved.map((kind) => [kind, [...after[kind].keys()]]));
  yield { changes: changes as Changes, end: { revision: after.revision, names } };
}

function endpointWeight({ endpoints }: Snapshot, name: string): number {
  const localities = endpoints.get(name)?.localities ?? [];
  return 1 + localities.reduce((sum, locality) => sum + locality.endpoints.length, 0) / ENDPOINTS_PER_RESOURCE;
}

function sameNames(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): boolean {
  if (before === after) return true;
  if (before.size !== after.size) return false;
  const names = after.keys();
  for (const name of before.keys()) if (names.next().value !== name) return false;
  return true;
}

/** The other end: puts slices together. */
export class SnapshotReceiver {
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #changes: Record<Kind, Map<string, unknown>> = noChanges();

  /** The new snapshot with its last slice, null before. */
  take({ changes, end }: SnapshotSlice): Snapshot | null {
    for (const kind of KINDS)
      for (const [name, resource] of changes[kind] ?? []) this.#changes[kind].set(name, resource);
    if (end === null) return null;
    const kinds = KINDS.map((kind) => [kind, this.#rebuild(kind, end.names[kind])]);
    this.#snapshot = { ...(Object.fromEntries(kinds) as Omit<Snapshot, "revision">), revision: end.revision };
    this.#changes = noChanges();
    return this.#snapshot;
  }

  #rebuild(kind: Kind, names: readonly string[] | undefined): ReadonlyMap<string, unknown> {
    const before: ReadonlyMap<string, unknown> = this.#snapshot[kind];
    const changed = this.#changes[kind];
    if (changed.size === 0 && names === undefined) return before;
    const rebuilt = new Map<string, unknown>();
    for (const name of names ?? before.keys()) rebuilt.set(name, changed.get(name) ?? before.get(name));
    return rebuilt;
  }
}

function noChanges(): Record<Kind, Map<string, unknown>> {
  return { secrets: new Map(), endpoints: new Map(), clusters: new Map(), routes: new Map(), listeners: new Map() };
}
