/**
 * What the two variants of the xDS protocol have in common, as a contract: pure state machines between bytes and
 * updates. They know neither streams nor time; a session drives them.
 */

import type { Problem } from "../../core/errors.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceUpdate } from "../resources.ts";
import type { Examined, Inventory, Item } from "./inventory.ts";

/** A response in the terms of either variant. */
export interface Incoming {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  readonly items: readonly Item[];
  /** `removed_resources`; always empty in State-of-the-World. */
  readonly removed: readonly string[];
  /** `control_plane.identifier`, "" if not given. */
  readonly server: string;
}

/** What became of a response. */
export interface Settled {
  /** The ACK or NACK. */
  readonly reply: Uint8Array;
  /**
   * What was taken: every good resource, also beside refused ones. (Envoy does the same, in both variants, unless the
   * protos' own constraints are violated: then it takes nothing of the response.)
   */
  readonly update: ResourceUpdate;
  /** Empty for an ACK. */
  readonly problems: readonly Problem[];
  /** Names of the resources that were refused. */
  readonly refused: readonly string[];
}

export interface Variant {
  /** True once any resource is held: a server that knows us may then have nothing to say. */
  readonly holdsAny: boolean;
  /** The requests that begin a stream: what is wanted, with the versions held. The first one carries the node. */
  open(): Uint8Array[];
  /** The stream is gone: nothing can be sent until `open`. */
  close(): void;
  /** Sets the names wanted of a kind (ignored for kinds fetched as a whole); the requests that say so on an open stream. */
  want(kind: ResourceKind, names: ReadonlySet<string>): Uint8Array[];
  /** Asks for names beside a kind that is fetched as a whole, and lets go of others. Delta only: else nothing is sent. */
  ask(kind: ResourceKind, names: readonly string[], dropped: readonly string[]): Uint8Array[];
  /** Reads a response. Throws on bytes that are not one. */
  parse(message: Uint8Array): Incoming;
  /** The resources held of a kind, or undefined if it is not subscribed to. */
  inventory<K extends ResourceKind>(kind: K): Inventory<K> | undefined;
  /** Takes what `inventory(kind).examine` found in a response. */
  settle<K extends ResourceKind>(kind: K, incoming: Incoming, examined: Examined<K>): Settled;
}
