/**
 * The resources of one kind that a stream holds, by a digest of their bytes: what comes again unchanged is recognised
 * before it is decoded (one edited timeout makes a control plane send everything again).
 */

import { hash } from "node:crypto";
import type { Problem } from "../../core/errors.ts";
import type { ResourceKind, ResourceModels } from "../../xds/resources.ts";
import { FACTS } from "../resources.ts";
import type { EncodedResource, ResourceDecoder } from "./decoder.ts";

/** One resource of a response. */
export interface Item {
  /** From the wrapper (`Resource.name`); "" where only the resource itself knows. */
  readonly name: string;
  readonly version: string;
  readonly resource: EncodedResource;
  /** Names that it goes by besides (`Resource.aliases`). */
  readonly aliases?: readonly string[];
  /** What is wrong with the wrapper, if anything. */
  readonly problem?: string;
}

/** What a response's resources turned out to be; nothing is held yet. */
export interface Examined<K extends ResourceKind> {
  readonly upserts: Map<string, ResourceModels[K]>;
  /** Every good resource by name, changed or not. */
  readonly entries: Map<string, Entry>;
  /** Names of refused resources, where they could be read. */
  readonly refused: Set<string>;
  readonly problems: Problem[];
}

interface Entry {
  readonly version: string;
  readonly digest: string;
}

export class Inventory<K extends ResourceKind> {
  readonly kind: K;
  readonly #held = new Map<string, Entry>();
  readonly #nameByDigest = new Map<string, string>();

  constructor(kind: K) {
    this.kind = kind;
  }

  get size(): number {
    return this.#held.size;
  }

  names(): Iterable<string> {
    return this.#held.keys();
  }

  /** Names and versions held, for `initial_resource_versions`. */
  versions(): Record<string, string> {
    return Object.fromEntries([...this.#held].map(([name, entry]) => [name, entry.version]));
  }

  /** Decodes what is new among `items`; yields after each, so that the caller can give way to other work. */
  *examine(items: readonly Item[], decoder: ResourceDecoder): Generator<void, Examined<K>> {
    const result: Examined<K> = { upserts: new Map(), entries: new Map(), refused: new Set(), problems: [] };
    for (const item of items) {
      this.#examineOne(item, decoder, result);
      yield;
    }
    return result;
  }

  #examineOne(item: Item, decoder: ResourceDecoder, into: Examined<K>): void {
    if (item.problem !== undefined) {
      into.refused.add(item.name);
      into.problems.push(problem(this.kind, item.name, item.problem));
      return;
    }
    const digest = hash("sha256", item.resource.value, "base64url");
    const known = this.#nameByDigest.get(digest);
    if (known !== undefined) {
      this.#enter(known, { version: item.version, digest }, into);
      return;
    }
    const decoded = decoder.decode(this.kind, item.resource);
    if (!decoded.ok) {
      const name = decoded.name || item.name;
      into.refused.add(name);
      into.problems.push(...decoded.problems);
    } else if (item.name !== "" && decoded.name !== item.name) {
      into.refused.add(item.name);
      into.problems.push(problem(this.kind, item.name, `the resource inside is named ${JSON.stringify(decoded.name)}`));
    } else if (this.#enter(decoded.name, { version: item.version, digest }, into)) {
      into.upserts.set(decoded.name, decoded.value);
    }
  }

  #enter(name: string, entry: Entry, into: Examined<K>): boolean {
    if (into.entries.has(name)) {
      into.problems.push(problem(this.kind, name, "comes twice in one response"));
      return false;
    }
    into.entries.set(name, entry);
    return true;
  }

  /** Holds from now on what was found good. */
  hold(entries: ReadonlyMap<string, Entry>): void {
    for (const [name, entry] of entries) {
      this.drop(name);
      this.#held.set(name, entry);
      this.#nameByDigest.set(entry.digest, name);
    }
  }

  drop(name: string): boolean {
    const entry = this.#held.get(name);
    if (!entry) return false;
    this.#held.delete(name);
    this.#nameByDigest.delete(entry.digest);
    return true;
  }
}

function problem(kind: ResourceKind, name: string, message: string): Problem {
  return { resource: `${FACTS[kind].api} ${JSON.stringify(name)}`, message };
}
