/** The five kinds of xDS resource and what is true of each: its type URL, its own service, and what absence means. */
import { type ResourceKind, type ResourceModels, TYPE_URLS } from "../xds/resources.ts";

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
    typeUrl: TYPE_URLS.cluster,
    api: "CDS",
    wildcard: true,
    service: {
      name: "envoy.service.cluster.v3.ClusterDiscoveryService",
      stateOfTheWorld: "StreamClusters",
      delta: "DeltaClusters",
    },
  },
  endpoint: {
    typeUrl: TYPE_URLS.endpoint,
    api: "EDS",
    wildcard: false,
    service: {
      name: "envoy.service.endpoint.v3.EndpointDiscoveryService",
      stateOfTheWorld: "StreamEndpoints",
      delta: "DeltaEndpoints",
    },
  },
  listener: {
    typeUrl: TYPE_URLS.listener,
    api: "LDS",
    wildcard: true,
    service: {
      name: "envoy.service.listener.v3.ListenerDiscoveryService",
      stateOfTheWorld: "StreamListeners",
      delta: "DeltaListeners",
    },
  },
  route: {
    typeUrl: TYPE_URLS.route,
    api: "RDS",
    wildcard: false,
    service: {
      name: "envoy.service.route.v3.RouteDiscoveryService",
      stateOfTheWorld: "StreamRoutes",
      delta: "DeltaRoutes",
    },
  },
  secret: {
    typeUrl: TYPE_URLS.secret,
    api: "SDS",
    wildcard: false,
    service: {
      name: "envoy.service.secret.v3.SecretDiscoveryService",
      stateOfTheWorld: "StreamSecrets",
      delta: "DeltaSecrets",
    },
  },
};

/** What a source says has changed of one kind; unchanged resources are not mentioned. */
export type ResourceUpdate = { readonly [K in ResourceKind]: UpdateOf<K> }[ResourceKind];

export interface UpdateOf<K extends ResourceKind> {
  readonly kind: K;
  /** `version_info`, or `system_version_info` of the delta variant. */
  readonly version: string;
  readonly upserts: ReadonlyMap<string, ResourceModels[K]>;
  /** Gone; for a kind that is fetched by name: the server says that there is no such resource. */
  readonly removed: readonly string[];
  /** Names under which these were asked for, if others than their own. */
  readonly aliases?: readonly string[];
}
