/** What travels to sidecars: kinds of resources, their type URLs, and a resource ready to be sent. */
import type { Cluster } from "../model/cluster.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Secret } from "../model/secret.ts";

export interface ResourceModels {
  readonly cluster: Cluster;
  readonly endpoints: EndpointSet;
  readonly listener: Listener;
  readonly route: RouteTable;
  readonly secret: Secret;
}

export type ResourceKind = keyof ResourceModels;

export const RESOURCE_KINDS: readonly ResourceKind[] = ["secret", "cluster", "endpoints", "listener", "route"];

const API = "type.googleapis.com/envoy";

export const TYPE_URLS: { readonly [K in ResourceKind]: string } = {
  cluster: `${API}.config.cluster.v3.Cluster`,
  endpoints: `${API}.config.endpoint.v3.ClusterLoadAssignment`,
  listener: `${API}.config.listener.v3.Listener`,
  route: `${API}.config.route.v3.RouteConfiguration`,
  secret: `${API}.extensions.transport_sockets.tls.v3.Secret`,
};

const KIND_OF = new Map(RESOURCE_KINDS.map((kind) => [TYPE_URLS[kind], kind]));

/** undefined: a type that this control plane does not serve. */
export function kindOfTypeUrl(typeUrl: string): ResourceKind | undefined {
  return KIND_OF.get(typeUrl);
}

/** The bytes of a model value's Envoy message. */
export type EncodeResource = <K extends ResourceKind>(kind: K, value: ResourceModels[K]) => Uint8Array;

/** One resource as it is sent; equal content has an equal version, also after a restart. */
export interface EncodedResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}
