/**
 * Which resources an object's last change has touched: what sidecars must have accepted for the object to be in force.
 * What a source gives out at once is taken up at once, so that objects that changed together have their resources
 * together; that is no more than waiting for a neighbour's, too.
 */
import { isDeepStrictEqual } from "node:util";
import type { ResourceCache } from "../cache.ts";
import type { CacheChange } from "../cache-change.ts";
import type { Manifest } from "../manifest/parse.ts";
import type { Finding } from "../mesh/state.ts";
import type { MeshContent } from "../source.ts";
import { sameContent } from "./revision.ts";

interface Known {
  readonly manifest: Manifest;
  readonly findings: readonly Finding[];
  /** Shared by all that changed together. */
  readonly changes: readonly CacheChange[];
}

export class ObjectChanges {
  readonly #cache: Pick<ResourceCache, "subscribe">;
  readonly #known = new Map<string, Known>();
  #findings: readonly Finding[] = [];
  /** The same by object. */
  #found: ReadonlyMap<string, readonly Finding[]> = new Map();

  constructor(cache: Pick<ResourceCache, "subscribe">) {
    this.#cache = cache;
  }

  /** Runs `takeUp`, which makes resources of a content, and notes what these are of. It gives what was found. */
  take({ manifests, change }: MeshContent, takeUp: () => readonly Finding[]): void {
    const changes: CacheChange[] = [];
    const unsubscribe = this.#cache.subscribe((one) => changes.push(one));
    let findings: readonly Finding[];
    try {
      findings = takeUp();
    } finally {
      unsubscribe();
    }
    const { objects } = manifests;
    const keys = new Set(change?.objects ?? [...objects.keys(), ...this.#known.keys()]);
    if (findings !== this.#findings) {
      // What it refers to came or went.
      for (const { key } of [...findings, ...this.#findings]) keys.add(key);
      this.#findings = findings;
      this.#found = Map.groupBy(findings, ({ key }) => key);
    }
    for (const key of keys) this.#note(key, objects.get(key), this.#found.get(key) ?? [], changes);
  }

  /** undefined: there is no such object, or none that counts. */
  of(key: string): readonly CacheChange[] | undefined {
    return this.#known.get(key)?.changes;
  }

  #note(
    key: string,
    manifest: Manifest | undefined,
    findings: readonly Finding[],
    changes: readonly CacheChange[],
  ): void {
    const known = this.#known.get(key);
    // Nobody waits for a slice: they change all the time.
    if (manifest === undefined || manifest.kind === "EndpointSlice") this.#known.delete(key);
    else if (!known || !sameContent(known.manifest, manifest) || !sameFindings(known.findings, findings)) {
      this.#known.set(key, { manifest, findings, changes });
    } else this.#known.set(key, { ...known, manifest, findings });
  }
}

/** A file's lines may move. */
function sameFindings(a: readonly Finding[], b: readonly Finding[]): boolean {
  return isDeepStrictEqual(a.map(withoutSource), b.map(withoutSource));
}

function withoutSource({ source: _, ...finding }: Finding): Omit<Finding, "source"> {
  return finding;
}
