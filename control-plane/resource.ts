/** A resource on its way to sidecars: encoded once, versioned by content. */
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";

/** Kinds in the order of status reports. */
export const RESOURCE_KINDS: readonly ResourceKind[] = ["secret", "cluster", "endpoint", "listener", "route"];

/** The bytes of a model value's Envoy message (`encodeResource` of `xds/resources.ts`). */
export type EncodeResource = <K extends ResourceKind>(
  kind: K,
  value: ResourceModels[K],
) => { readonly value: Uint8Array };

/** One resource as it is sent; equal content has an equal version, also after a restart. */
export interface EncodedResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  /** Names by which it was asked for, if others than its own. */
  readonly aliases?: readonly string[];
}
