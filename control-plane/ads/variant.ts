/** What differs between State-of-the-World and Delta: how a response is made of what a subscription is owed. */
import type { EncodedResource } from "../resource.ts";
import type { Subscription } from "./subscription.ts";

/** Which half of a change: new things are made before old ones are broken. */
export type Half = "additions" | "removals" | "both";

export interface Response {
  readonly resources: readonly EncodedResource[];
  /** Delta only. */
  readonly removed: readonly string[];
  readonly version: string;
}

export interface ResourceView {
  readonly revision: number;
  lookup(subscription: Subscription, name: string): EncodedResource | undefined;
  names(subscription: Subscription): readonly string[];
}

export interface Variant {
  readonly name: "sotw" | "delta";
  /**
   * What to send of a subscription now, or null for nothing. Updates `held` and `dirty` as if it had been sent: what
   * the client refuses is not sent again until it changes.
   */
  respond(subscription: Subscription, half: Half, view: ResourceView): Response | null;
}
