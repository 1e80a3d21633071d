/** The five kinds of xDS resource and what is true of each: its type URL, its own service, and what absence means. */
import type { Cluster } from "../model/cluster.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Secret } from "../model/secret.ts";

/** The model type of each kind. */
export interface ResourceOf {
  cluster: Cluster;
  endpoint: EndpointSet;
  listener: Listener;
  route: RouteTable;
  secret: Secret;
}

export type ResourceKind = keyof ResourceOf;

/** Kinds that are fetched by name because something refers to them. */
export type NamedKind = "endpoint" | "route" | "secret";

export interface KindFacts {
  readonly typeUrl: string;
  /** Envoy's abbreviation, for people. */
  readonly api: "CDS" | "EDS" | "LDS" | "RDS" | "SDS";
  /** Subscribed as a whole; a State-of-the-World response then lists everything, so absence is removal. */
  readonly wildcard: boolean;
  /** gRPC service for a source that is not aggregated, with its State-of-the-World and Delta methods. */
  readonly service: { readonly name: string; readonly stateOfTheWorld: string; readonly delta: string };
}

/** In the order in which a stream asks for them: what others refer to comes first (xDS's make-before-break order). */
export const KINDS: readonly ResourceKind[] = ["cluster", "endpoint", "listener", "route", "secret"];

export const FACTS: Readonly<Record<ResourceKind, KindFacts>> = {
  cluster: {
    typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    api: "CDS",
    wildcard: true,
    service: {
      name: "envoy.service.cluster.v3.ClusterDiscoveryService",
      stateOfTheWorld: "StreamClusters",
      delta: "DeltaClusters",
    },
  },
  endpoint: {
    typeUrl: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    api: "EDS",
    wildcard: false,
    service: {
      name: "envoy.service.endpoint.v3.EndpointDiscoveryService",
      stateOfTheWorld: "StreamEndpoints",
      delta: "DeltaEndpoints",
    },
  },
  listener: {
    typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
    api: "LDS",
    wildcard: true,
    service: {
      name: "envoy.service.listener.v3.ListenerDiscoveryService",
      stateOfTheWorld: "StreamListeners",
      delta: "DeltaListeners",
    },
  },
  route: {
    typeUrl: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    api: "RDS",
    wildcard: false,
    service: {
      name: "envoy.service.route.v3.RouteDiscoveryService",
      stateOfTheWorld: "StreamRoutes",
      delta: "DeltaRoutes",
    },
  },
  secret: {
    typeUrl: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    api: "SDS",
    wildcard: false,
    service: {
      name: "envoy.service.secret.v3.SecretDiscoveryService",
      stateOfTheWorld: "StreamSecrets",
      delta: "DeltaSecrets",
    },
  },
};

const BY_TYPE_URL: ReadonlyMap<string, ResourceKind> = new Map(KINDS.map((kind) => [FACTS[kind].typeUrl, kind]));

/** The kind of a type URL, or undefined for a type that nobody here subscribes to. */
export function kindOf(typeUrl: string): ResourceKind | undefined {
  return BY_TYPE_URL.get(typeUrl);
}

/** What a source says has changed of one kind; unchanged resources are not mentioned. */
export type ResourceUpdate = { readonly [K in ResourceKind]: UpdateOf<K> }[ResourceKind];

export interface UpdateOf<K extends ResourceKind> {
  readonly kind: K;
  /** `version_info`, or `system_version_info` of the delta variant. */
  readonly version: string;
  readonly upserts: ReadonlyMap<string, ResourceOf[K]>;
  /** Gone; for a kind that is fetched by name: the server says that there is no such resource. */
  readonly removed: readonly string[];
}
