/** What the injector asks of the Kubernetes API, apart from reviews that come to it: few calls, and what their failures mean. */

export interface ClusterCall {
  readonly method: "GET" | "POST" | "PATCH";
  /** With the query, if there is any. */
  readonly path: string;
  readonly body?: unknown;
  /** Default: `application/json`. */
  readonly contentType?: string;
}

/** Resolves with the answer's JSON; rejects with an Error whose `status` is HTTP's where there was an answer. */
export type CallCluster = (call: ClusterCall) => Promise<unknown>;

/** HTTP's status of a call that failed; 0: there was no answer. */
export function statusOf(error: unknown): number {
  const status = (error as { readonly status?: unknown } | null | undefined)?.status;
  return typeof status === "number" ? status : 0;
}

/**
 * Whether there is no such place any more: the namespace is gone, or on its way, in which nothing new may be made (403 with
 * the cause `NamespaceTerminating`, which only the message tells here).
 */
export function isPlaceGone(error: unknown): boolean {
  const status = statusOf(error);
  return status === 404 || (status === 403 && error instanceof Error && /being terminated/.test(error.message));
}
