/**
 * Responses as bytes. A resource that goes to one sidecar goes to many: its part of a response is encoded once, and a
 * response is these parts one after the other, since the fields of a message may come in any order and more than once.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { type ResourceKind, TYPE_URLS } from "../../xds/resources.ts";
import type { EncodedResource } from "../resource.ts";
import type { Response } from "./variant.ts";

type EncodePart = (resource: EncodedResource, typeUrl: string) => Uint8Array;

/** `DiscoveryResponse`. */
export function sotwResponse(kind: ResourceKind, response: Response, nonce: string): Buffer {
  const typeUrl = TYPE_URLS[kind];
  const rest = create(DiscoveryResponseSchema, { versionInfo: response.version, typeUrl, nonce });
  return joined(response, typeUrl, sotwPart, toBinary(DiscoveryResponseSchema, rest));
}

/** `DeltaDiscoveryResponse`. */
export function deltaResponse(kind: ResourceKind, response: Response, nonce: string): Buffer {
  const typeUrl = TYPE_URLS[kind];
  const rest = delta({ systemVersionInfo: response.version, typeUrl, nonce, removedResources: [...response.removed] });
  return joined(response, typeUrl, deltaPart, rest);
}

/** Fewer are as soon joined as compared. */
const MANY = 32;

/** What was last joined of each type, and of which resources: sidecars that are told the same often ask one after the other. */
const last = new Map<
  string,
  { readonly of: readonly EncodedResource[]; readonly part: EncodePart; readonly body: Buffer }
>();

function joined({ resources }: Response, typeUrl: string, part: EncodePart, rest: Uint8Array): Buffer {
  if (resources.length < MANY) return Buffer.concat([...resources.map((one) => part(one, typeUrl)), rest]);
  const known = last.get(typeUrl);
  if (known?.part === part && sameList(known.of, resources)) return Buffer.concat([known.body, rest]);
  const body = Buffer.concat(resources.map((one) => part(one, typeUrl)));
  last.set(typeUrl, { of: resources, part, body });
  return Buffer.concat([body, rest]);
}

function sameList(a: readonly EncodedResource[], b: readonly EncodedResource[]): boolean {
  return a.length === b.length && a.every((resource, index) => resource === b[index]);
}

const sotwPart = remembered(({ bytes }, typeUrl) =>
  toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { resources: [{ typeUrl, value: bytes }] })),
);

const deltaPart = remembered(({ name, version, bytes, aliases = [] }, typeUrl) =>
  delta({ resources: [{ name, version, aliases: [...aliases], resource: { typeUrl, value: bytes } }] }),
);

function delta(fields: MessageInitShape<typeof DeltaDiscoveryResponseSchema>): Uint8Array {
  return toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, fields));
}

/** A resource is of one type, and is never changed. */
function remembered(encode: EncodePart): EncodePart {
  const parts = new WeakMap<EncodedResource, Uint8Array>();
  return (resource, typeUrl) => {
    let part = parts.get(resource);
    if (part === undefined) parts.set(resource, (part = encode(resource, typeUrl)));
    return part;
  };
}
