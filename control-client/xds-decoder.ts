/** The decoder of real resources: `xds/` with the little that the transport needs around it. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { messageOf, type Problem } from "../core/errors.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Decoded, DecodeOptions } from "../xds/place.ts";
import { decodeResource, type Resource, type ResourceKind, type ResourceModels, TYPE_URLS } from "../xds/resources.ts";
import type { DecodedResource, EncodedResource, ResourceDecoder } from "./ads/decoder.ts";
import { decodeResourceJson } from "./json-resource.ts";
import { reuseResource } from "./reuse.ts";

export class XdsDecoder implements ResourceDecoder {
  readonly #options: DecodeOptions;
  readonly #onNotes: (notes: readonly Problem[]) => void;
  /** While set, what equals a resource of this snapshot becomes that very object. */
  known: Snapshot | null = null;

  /** `onNotes` hears of what was accepted and ignored. */
  constructor(options: DecodeOptions, onNotes: (notes: readonly Problem[]) => void) {
    this.#options = options;
    this.#onNotes = onNotes;
  }

  decode<K extends ResourceKind>(kind: K, resource: EncodedResource): DecodedResource<K> {
    const any = { $typeName: "google.protobuf.Any", ...resource } as const;
    const decoded = guarded(() => decodeResource(TYPE_URLS[kind], any, this.#options));
    return this.#conclude(kind, decoded, () => nameIn(resource.value));
  }

  decodeJson<K extends ResourceKind>(kind: K, json: unknown): DecodedResource<K> {
    const decoded = guarded(() => decodeResourceJson(kind, json, this.#options));
    return this.#conclude(kind, decoded, () => nameInJson(json));
  }

  #conclude<K extends ResourceKind>(kind: K, decoded: Decoded<Resource>, nameOf: () => string): DecodedResource<K> {
    if (decoded.notes.length > 0) this.#onNotes(decoded.notes);
    if (!decoded.ok) return { ok: false, name: nameOf(), problems: decoded.problems };
    const { name, value } = decoded.value;
    return { ok: true, name, value: reuseResource(this.known, kind, name, value as ResourceModels[K]) };
  }
}

/** Decoders never throw; but should one have a fault, a control plane must not be able to end the process with it. */
function guarded(decode: () => Decoded<Resource>): Decoded<Resource> {
  try {
    return decode();
  } catch (error) {
    return { ok: false, problems: [{ message: `cannot be decoded: ${messageOf(error)}` }], notes: [] };
  }
}

function nameInJson(json: unknown): string {
  const { name, cluster_name, clusterName } = (json ?? {}) as Readonly<Record<string, unknown>>;
  return [name, cluster_name, clusterName].find((value) => typeof value === "string") ?? "";
}

/** The name is the first field of all five kinds; "" if the bytes do not say. */
function nameIn(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1 && type === WireType.LengthDelimited) return reader.string();
      reader.skip(type, field);
    }
  } catch {
    // The decoder has reported already that these bytes are no message.
  }
  return "";
}
