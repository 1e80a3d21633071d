/** What a proxy process is started with: the part of `envoy.config.bootstrap.v3.Bootstrap` that Outrigger understands. */
import type { Address } from "./address.ts";
import type { TracingProvider } from "./http.ts";
import type { Snapshot } from "./snapshot.ts";

export interface NodeIdentity {
  readonly id: string;
  readonly cluster: string;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** Free-form; what a control plane learns about the workload. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export interface Bootstrap {
  readonly node: NodeIdentity;
  /** null: no admin interface. */
  readonly admin: { readonly address: Address } | null;
  /** `static_resources`, as a snapshot: served from the start, kept under whatever arrives dynamically. */
  readonly static: Snapshot;
  /** null: nothing is dynamic. */
  readonly dynamic: DynamicResources | null;
  readonly tracing: TracingProvider | null;
}

export interface DynamicResources {
  /** The ADS stream; its clusters are among the static ones. */
  readonly ads: GrpcConfigSource | null;
  readonly listeners: ConfigSource | null;
  readonly clusters: ConfigSource | null;
}

export interface GrpcConfigSource {
  readonly variant: "state_of_the_world" | "delta";
  /** Static clusters to connect to, in order of preference. */
  readonly clusters: readonly string[];
  readonly initialMetadata: readonly { readonly key: string; readonly value: string }[];
}

export type ConfigSource =
  | { readonly kind: "ads"; readonly initialFetchTimeoutMs: number }
  | { readonly kind: "grpc"; readonly source: GrpcConfigSource; readonly initialFetchTimeoutMs: number }
  /** A file holding a DiscoveryResponse, watched for moves. */
  | { readonly kind: "file"; readonly path: string; readonly initialFetchTimeoutMs: number };
