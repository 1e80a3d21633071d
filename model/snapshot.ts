/**
 * One frozen picture of the whole configuration: what the data plane reads, once per request. Plain data only (no
 * functions, no class instances), so that it reaches a worker by structured clone. A resource that did not change keeps
 * its object identity from one snapshot to the next, so that `proxy/apply` compares with `===`.
 */
import type { Cluster } from "./cluster.ts";
import type { EndpointSet } from "./endpoint.ts";
import type { Listener } from "./listener.ts";
import type { RouteTable } from "./route.ts";
import type { Secret } from "./secret.ts";

export interface Snapshot {
  /** Identifies the configuration as a whole: the control plane's version, or a hash of a static file. */
  readonly revision: string;
  /** By listener name. */
  readonly listeners: ReadonlyMap<string, Listener>;
  /** Route configurations fetched by name (RDS); inline ones live in their listener. */
  readonly routes: ReadonlyMap<string, RouteTable>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** Endpoints by EDS service name (`Cluster.edsServiceName`, else the cluster's name). Static ones live in their cluster. */
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
  /** TLS material by SDS name. Workload certificates of Outrigger's own CA do not travel here: they are a `certs` watch. */
  readonly secrets: ReadonlyMap<string, Secret>;
}

export const EMPTY_SNAPSHOT: Snapshot = Object.freeze({
  revision: "",
  listeners: new Map(),
  routes: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  secrets: new Map(),
});

/** Freezes a plain value and all that it holds; returns it. Maps keep working: their type forbids writing. */
export function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== "object" || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  if (value instanceof Map) for (const item of value.values()) deepFreeze(item);
  else for (const item of Object.values(value)) deepFreeze(item);
  return value;
}
