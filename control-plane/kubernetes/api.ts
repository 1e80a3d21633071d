/** What is asked of a Kubernetes API server: few calls, so that faults can be played in tests. */

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A collection of objects: one kind in one version, of all namespaces. */
export interface Collection {
  /** `/apis/discovery.k8s.io/v1/endpointslices`; with a query, if only some are wanted (`?fieldSelector=…`). */
  readonly path: string;
  /** Only `metadata` is wanted: the server may leave out the rest. */
  readonly metadataOnly: boolean;
}

export interface ListQuery {
  /** Objects in one answer at most; 0: all. */
  readonly limit: number;
  /** Where the last page ended; "": from the beginning. */
  readonly continue: string;
}

export interface ListPage {
  readonly items: readonly JsonObject[];
  /** Of the whole list, the same on all of its pages. */
  readonly resourceVersion: string;
  /** "": it was the last page. */
  readonly continue: string;
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: JsonObject }
  /** Nothing of interest has changed up to this version. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

export interface WatchQuery {
  /** What comes after this version. */
  readonly resourceVersion: string;
  /** When the server ends the watch, s. */
  readonly timeoutSeconds: number;
}

export interface ApiCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query, if there is any. */
  readonly path: string;
  readonly body?: Json;
  /** Default: `application/json`. */
  readonly contentType?: string;
}

export interface KubernetesApi {
  /** One page of a list, read consistently. Rejects with an `ApiError`, or a network's error. */
  list(collection: Collection, query: ListQuery, signal: AbortSignal): Promise<ListPage>;
  /** Events until the server ends the watch. Throws an `ApiError`, also for what is no event; or a network's error. */
  watch(collection: Collection, query: WatchQuery, signal: AbortSignal): AsyncIterable<WatchEvent>;
  /** Any other call: the answer's JSON. Rejects as `list` does. */
  call(call: ApiCall, signal: AbortSignal): Promise<Json>;
  close(): void;
}

/** An answer that is not the one asked for (Kubernetes' `v1.Status`, where the server gave one). */
export class ApiError extends Error {
  /** HTTP's, or the one in the event; 0: the answer makes no sense. */
  readonly status: number;
  /** `Expired`, `NotFound`, …; "" where none was given. */
  readonly reason: string;
  /** How long the server wants to be left alone, ms. */
  readonly retryAfterMs: number;

  constructor(status: number, reason: string, message: string, retryAfterMs = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
