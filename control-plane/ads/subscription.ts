/** What one stream wants of one kind of resource, what it was sent, and what it is still owed. */

import { askedPlace } from "../../model/on-demand.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { EncodedResource } from "../resource.ts";

/** Told to the client: there is no such resource. */
export const ABSENT = "";

/** The resource itself, because there are many of these; `bytes` null: the client brought it from an earlier stream. */
export type Held = EncodedResource | { readonly version: string; readonly bytes: null };

/** The client was told that there is none. */
export const HELD_ABSENT: Held = { version: ABSENT, bytes: null };

/** A response that has not been answered yet. */
export interface Outstanding {
  readonly nonce: string;
  /** Monotonic ms. */
  readonly sentAt: number;
  readonly version: string;
  readonly names: readonly string[];
}

export interface Nack {
  readonly message: string;
  readonly version: string;
  /** Unix ms. */
  readonly at: number;
}

export class Subscription {
  readonly kind: ResourceKind;
  wildcard = false;
  /** Asked for by name. */
  readonly names = new Set<string>();
  readonly held = new Map<string, Held>();
  /** Names that may differ from what is held. */
  readonly dirty = new Set<string>();
  /** Whether the client has had any answer on this stream; the first one comes even if it is empty. */
  answered = false;
  /** Responses that have not been answered, oldest first: more than one only for a client that is slow to answer. */
  #unanswered: readonly Outstanding[] = [];
  /** Version of the last accepted response, "" for none. */
  acked = "";
  /** The last refusal, until a later response is accepted. */
  nack: Nack | null = null;

  /** Names in responses that were refused, until one with them is accepted. */
  readonly refused = new Set<string>();

  constructor(kind: ResourceKind) {
    this.kind = kind;
  }

  /** Responses that have not been answered. */
  get unanswered(): readonly Outstanding[] {
    return this.#unanswered;
  }

  /** The newest response that has not been answered. */
  get outstanding(): Outstanding | null {
    return this.#unanswered.at(-1) ?? null;
  }

  sent(response: Outstanding): void {
    this.answered = true;
    this.#unanswered = [...this.#unanswered, response];
  }

  /** The response that an answer is to, which settles the older ones too; null for one that is settled already. */
  settle(nonce: string): Outstanding | null {
    const index = this.#unanswered.findIndex((response) => response.nonce === nonce);
    const found = this.#unanswered[index];
    if (!found) return null;
    this.#unanswered = this.#unanswered.slice(index + 1);
    return found;
  }

  wants(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

  /** Marks names as owed, if they are wanted or held. */
  touch(names: Iterable<string>): boolean {
    let touched = false;
    for (const name of names) {
      if (!this.wants(name) && !this.held.has(name)) continue;
      this.dirty.add(name);
      touched = true;
    }
    return touched;
  }

  subscribe(name: string): void {
    this.names.add(name);
    this.dirty.add(name);
  }

  unsubscribe(name: string): void {
    this.names.delete(name);
    // A name that only stands for another is nobody's but the asker's.
    if (this.wildcard && askedPlace(name) === null) return;
    this.held.delete(name);
    this.dirty.delete(name);
  }
}
