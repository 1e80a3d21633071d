/** All resource kinds by name and by type URL: how a discovery response becomes model values, and back. */

import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { ResourceSchema } from "../generated/envoy/service/discovery/v3/discovery_pb.js";
import type { Cluster } from "../model/cluster.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Secret } from "../model/secret.ts";
import { parseBinary } from "./any.ts";
import { clusterCodec } from "./cluster.ts";
import { decodeBytes } from "./codec.ts";
import { endpointCodec } from "./endpoint.ts";
import { listenerCodec } from "./listener.ts";
import { type Decoded, type DecodeOptions, Place } from "./place.ts";
import { typeNameOf } from "./registry.ts";
import { routeCodec } from "./route.ts";
import { secretCodec } from "./secret.ts";

/** The model of each kind. */
export interface ResourceModels {
  readonly listener: Listener;
  readonly route: RouteTable;
  readonly cluster: Cluster;
  readonly endpoint: EndpointSet;
  readonly secret: Secret;
}

export type ResourceKind = keyof ResourceModels;

/** A decoded resource; switch on `kind`. */
export type Resource = {
  readonly [K in ResourceKind]: { readonly kind: K; readonly name: string; readonly value: ResourceModels[K] };
}[ResourceKind];

/** Type URLs by kind, in the order in which a client applies them: make before break. */
export const TYPE_URLS = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
} as const satisfies Record<ResourceKind, string>;

const KINDS = new Map<string, ResourceKind>(
  (Object.keys(TYPE_URLS) as ResourceKind[]).map((kind) => [typeNameOf(TYPE_URLS[kind]), kind]),
);

/** The kind that a type URL names, or undefined if it is none of Outrigger's. */
export function kindOf(typeUrl: string): ResourceKind | undefined {
  return KINDS.get(typeNameOf(typeUrl));
}

/**
 * Decodes one resource of a discovery response, which may be wrapped in a `Resource`. `expected` is the response's
 * type URL. Never throws: bad bytes are a problem like any other.
 */
export function decodeResource(expected: string, any: Any, options: DecodeOptions): Decoded<Resource> {
  const inner = unwrap(any, options);
  if (!inner.ok) return inner;
  const { typeUrl, value } = inner.value;
  const kind = kindOf(typeUrl);
  if (kind === undefined || typeNameOf(typeUrl) !== typeNameOf(expected)) {
    const at = Place.root(options);
    at.error(`expected a resource of type ${typeNameOf(expected)}, got ${typeNameOf(typeUrl) || "none"}`);
    return { ok: false, problems: at.findings.problems, notes: [] };
  }
  return decodeKind(kind, value, options);
}

function decodeKind(kind: ResourceKind, bytes: Uint8Array, options: DecodeOptions): Decoded<Resource> {
  switch (kind) {
    case "listener":
      return named(decodeBytes(listenerCodec, bytes, options), (value) => ({ kind, name: value.name, value }));
    case "route":
      return named(decodeBytes(routeCodec, bytes, options), (value) => ({ kind, name: value.name, value }));
    case "cluster":
      return named(decodeBytes(clusterCodec, bytes, options), (value) => ({ kind, name: value.name, value }));
    case "endpoint":
      return named(decodeBytes(endpointCodec, bytes, options), (value) => ({ kind, name: value.name, value }));
    case "secret":
      return named(decodeBytes(secretCodec, bytes, options), (value) => ({ kind, name: value.name, value }));
  }
}

function named<T>(decoded: Decoded<T>, wrap: (value: T) => Resource): Decoded<Resource> {
  return decoded.ok ? { ...decoded, value: wrap(decoded.value) } : decoded;
}

function unwrap(any: Any, options: DecodeOptions): Decoded<Any> {
  if (typeNameOf(any.typeUrl) !== ResourceSchema.typeName) return { ok: true, value: any, notes: [] };
  const at = Place.root(options);
  const inner = parseBinary(ResourceSchema, any.value, at)?.resource;
  if (inner) return { ok: true, value: inner, notes: [] };
  if (at.findings.problems.length === 0) at.error("holds no resource");
  return { ok: false, problems: at.findings.problems, notes: [] };
}

/** The `Any` that a discovery response carries. */
export function encodeResource<K extends ResourceKind>(kind: K, value: ResourceModels[K]): Any;
export function encodeResource(kind: ResourceKind, value: ResourceModels[ResourceKind]): Any {
  return create(AnySchema, { typeUrl: TYPE_URLS[kind], value: encodeBytes({ kind, value } as Encodable) });
}

type Encodable = { [K in ResourceKind]: { readonly kind: K; readonly value: ResourceModels[K] } }[ResourceKind];

function encodeBytes({ kind, value }: Encodable): Uint8Array<ArrayBuffer> {
  switch (kind) {
    case "listener":
      return toBinary(listenerCodec.schema, listenerCodec.encode(value));
    case "route":
      return toBinary(routeCodec.schema, routeCodec.encode(value));
    case "cluster":
      return toBinary(clusterCodec.schema, clusterCodec.encode(value));
    case "endpoint":
      return toBinary(endpointCodec.schema, endpointCodec.encode(value));
    case "secret":
      return toBinary(secretCodec.schema, secretCodec.encode(value));
  }
}
