/** How resources on the wire become models: the seam between the transport here and the messages in `xds/`. */

import type { Problem } from "../../core/errors.ts";
import type { ResourceKind, ResourceModels } from "../../xds/resources.ts";

/** A `google.protobuf.Any`. */
export interface EncodedResource {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export type DecodedResource<K extends ResourceKind> =
  | { readonly ok: true; readonly name: string; readonly value: ResourceModels[K] }
  /** `name` is "" where not even that could be read. */
  | { readonly ok: false; readonly name: string; readonly problems: readonly Problem[] };

export interface ResourceDecoder {
  /** Never throws: whatever is wrong with the bytes is among the problems. Values come frozen. */
  decode<K extends ResourceKind>(kind: K, resource: EncodedResource): DecodedResource<K>;
  /** The same for the JSON form, as files hold it. */
  decodeJson<K extends ResourceKind>(kind: K, json: unknown): DecodedResource<K>;
}
