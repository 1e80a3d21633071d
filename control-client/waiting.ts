/** What an assembly still lacks, said for people, and the key under which a time limit can end the wait. */
import type { ConfigSource } from "../model/bootstrap.ts";
import type { ResourceKind } from "../xds/resources.ts";
import type { Reference } from "./references.ts";
import { FACTS, type NamedKind } from "./resources.ts";

export interface Waiting {
  /** Several things can wait for the same one: they share its key and its time limit. */
  readonly key: string;
  /** `cluster orders waits for endpoints (EDS orders)`. */
  readonly message: string;
  /** After this long the wait is given up, ms; null: never. */
  readonly limitMs: number | null;
}

/** `initial_fetch_timeout`. Envoy's default. */
export const DEFAULT_FETCH_TIMEOUT_MS = 15_000;

/** How long to wait for a source's first answer, ms; null: without end (Envoy's meaning of 0). */
export function fetchLimitMs(source: ConfigSource | null | undefined): number | null {
  const timeout = source?.initialFetchTimeoutMs ?? DEFAULT_FETCH_TIMEOUT_MS;
  return timeout === 0 ? null : timeout;
}

const NOUN: Record<NamedKind, string> = { endpoint: "endpoints", route: "routes", secret: "the secret" };

export function discoveryKey(kind: ResourceKind): string {
  return `all ${kind}`;
}

export function referenceKey(kind: NamedKind, name: string): string {
  return `${kind} ${name}`;
}

/** The kind and the name that a `referenceKey` was made of. */
export function splitKey(key: string): readonly [kind: string, name: string] {
  const space = key.indexOf(" ");
  return [key.slice(0, space), key.slice(space + 1)];
}

export function lingerKey(cluster: string): string {
  return `linger ${cluster}`;
}

export function blockKey(holder: string, cluster: string): string {
  return `block ${holder}: ${cluster}`;
}

/** True of what keeps nothing from serving. */
export function isHarmless(waiting: Waiting): boolean {
  return waiting.key.startsWith("linger ");
}

/** Waiting for the first response of a kind that is fetched as a whole. */
export function waitsForDiscovery(kind: "cluster" | "listener", source: ConfigSource): Waiting {
  const message = `no ${kind}s have come yet (${FACTS[kind].api})`;
  return { key: discoveryKey(kind), message, limitMs: fetchLimitMs(source) };
}

export function waitsForReference(holder: string, reference: Reference): Waiting {
  const { kind, name, source } = reference;
  const message = `${holder} waits for ${NOUN[kind]} (${FACTS[kind].api} ${name})`;
  return { key: referenceKey(kind, name), message, limitMs: fetchLimitMs(source) };
}

/** The table has come, but waits itself: how long is decided there. */
export function waitsForTable(holder: string, table: string): Waiting {
  return { key: `table ${table}`, message: `${holder} waits for route table ${table}`, limitMs: null };
}

export function waitsForCluster(holder: string, cluster: string, known: boolean, limitMs: number): Waiting {
  const message = `${holder} waits for cluster ${cluster}${known ? ", which is warming" : ", which is not known"}`;
  return { key: blockKey(holder, cluster), message, limitMs };
}

export function lingers(cluster: string, limitMs: number): Waiting {
  const message = `cluster ${cluster} was removed but stays until no route names it`;
  return { key: lingerKey(cluster), message, limitMs };
}
