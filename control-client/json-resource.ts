/** Decodes a resource in protobuf's JSON form, as discovery files hold it. */
import type { DescMessage } from "@bufbuild/protobuf";
import { deepFreeze } from "../model/snapshot.ts";
import { clusterCodec } from "../xds/cluster.ts";
import { type Codec, labelOf } from "../xds/codec.ts";
import { endpointCodec } from "../xds/endpoint.ts";
import { messageFromJson } from "../xds/json.ts";
import { listenerCodec } from "../xds/listener.ts";
import { conclude, type Decoded, type DecodeOptions, Place } from "../xds/place.ts";
import { kindOf, type Resource, type ResourceKind } from "../xds/resources.ts";
import { routeCodec } from "../xds/route.ts";
import { secretCodec } from "../xds/secret.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Never throws. A `Resource` wrapper is looked into; `@type` must name the kind. */
export function decodeResourceJson(kind: ResourceKind, json: unknown, options: DecodeOptions): Decoded<Resource> {
  const root = Place.root(options);
  const resource = unwrap(json);
  const typeUrl = resource?.["@type"];
  if (!resource || typeof typeUrl !== "string" || kindOf(typeUrl) !== kind) {
    root.error(`expected an object whose "@type" is that of a ${kind}`);
    return { ok: false, problems: root.findings.problems, notes: [] };
  }
  switch (kind) {
    case "cluster":
      return decode(clusterCodec, resource, root, (value) => ({ kind, name: value.name, value }));
    case "endpoint":
      return decode(endpointCodec, resource, root, (value) => ({ kind, name: value.name, value }));
    case "listener":
      return decode(listenerCodec, resource, root, (value) => ({ kind, name: value.name, value }));
    case "route":
      return decode(routeCodec, resource, root, (value) => ({ kind, name: value.name, value }));
    case "secret":
      return decode(secretCodec, resource, root, (value) => ({ kind, name: value.name, value }));
  }
}

function decode<D extends DescMessage, T>(
  codec: Codec<D, T>,
  json: JsonObject,
  root: Place,
  wrap: (value: T) => Resource,
): Decoded<Resource> {
  const name = json["name"] ?? json["cluster_name"] ?? json["clusterName"];
  const message = messageFromJson(codec.schema, json, root.in(`${codec.label} ${JSON.stringify(name ?? "")}`));
  const value = codec.decode(message, root.in(labelOf(codec, message)));
  return conclude(root, wrap(deepFreeze(value)));
}

function unwrap(json: unknown): JsonObject | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const object = json as JsonObject;
  const isWrapper = String(object["@type"]).endsWith("/envoy.service.discovery.v3.Resource");
  return isWrapper ? unwrap(object["resource"]) : object;
}
