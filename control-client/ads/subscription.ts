/** One kind of resource on a stream: what is wanted, what is held, and where the exchange of nonces stands. */

import type { ResourceKind, ResourceModels } from "../../xds/resources.ts";
import { FACTS, type UpdateOf } from "../resources.ts";
import { type Examined, Inventory } from "./inventory.ts";

export class Subscription<K extends ResourceKind> {
  readonly kind: K;
  readonly inventory: Inventory<K>;
  /** Always empty for kinds that are fetched as a whole. */
  names: ReadonlySet<string> = new Set();
  /** Names that are asked for beside the whole; see `ResourceSource.ask`. */
  readonly besides = new Set<string>();
  /** Of the last response on this stream; "" before the first. */
  nonce = "";
  /** Of the last response that was taken, on whatever stream. */
  version = "";
  /** Whether a request for this kind went out on this stream. */
  asked = false;

  constructor(kind: K) {
    this.kind = kind;
    this.inventory = new Inventory(kind);
  }

  get wildcard(): boolean {
    return FACTS[this.kind].wildcard;
  }

  /** Nothing to ask for: a kind that is fetched by name, with no name. */
  get idle(): boolean {
    return !this.wildcard && this.names.size === 0;
  }

  beginStream(): void {
    this.nonce = "";
    this.asked = false;
  }

  /** Replaces the names and forgets what is held under others. */
  rename(names: ReadonlySet<string>): { readonly added: string[]; readonly dropped: string[] } {
    const added = [...names].filter((name) => !this.names.has(name));
    const dropped = [...this.names].filter((name) => !names.has(name));
    for (const name of dropped) this.inventory.drop(name);
    this.names = names;
    return { added, dropped };
  }

  /**
   * Holds what is good and wanted, lets go of `removed`, and says what has changed thereby. The version in force stays
   * what it was when part of the response was refused.
   */
  take(version: string, examined: Examined<K>, removed: readonly string[]): UpdateOf<K> {
    if (examined.problems.length === 0) this.version = version;
    const wanted = (name: string): boolean => this.wildcard || this.names.has(name);
    const upserts = new Map<string, ResourceModels[K]>();
    for (const [name, value] of examined.upserts) if (wanted(name)) upserts.set(name, value);
    this.inventory.hold(new Map([...examined.entries].filter(([name]) => wanted(name))));
    for (const name of removed) this.inventory.drop(name);
    return { kind: this.kind, version: this.version, upserts, removed };
  }
}

/** The subscriptions of a stream, made when first wanted. */
export class Subscriptions {
  readonly #byKind = new Map<ResourceKind, unknown>();

  get<K extends ResourceKind>(kind: K): Subscription<K> | undefined {
    return this.#byKind.get(kind) as Subscription<K> | undefined;
  }

  ensure<K extends ResourceKind>(kind: K): Subscription<K> {
    const known = this.get(kind) ?? new Subscription(kind);
    this.#byKind.set(kind, known);
    return known;
  }

  *[Symbol.iterator](): Generator<Subscription<ResourceKind>> {
    for (const kind of Object.keys(FACTS) as ResourceKind[]) {
      const subscription = this.get(kind);
      if (subscription) yield subscription;
    }
  }
}
