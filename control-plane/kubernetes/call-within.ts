/** One call to an API server that is given up after a while, whatever the server and the client make of it. */
import type { Clock } from "../../core/clock.ts";
import type { ApiCall, Json, KubernetesApi } from "./api.ts";

export interface CallLimits {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

/** Rejects as `call` does, or when the time is up, or with the signal's reason. */
export async function callWithin(
  call: KubernetesApi["call"],
  request: ApiCall,
  { clock, limitMs, signal }: CallLimits,
): Promise<Json> {
  signal.throwIfAborted();
  const abort = new AbortController();
  const givenUp = new Promise<never>((_, reject) => {
    abort.signal.addEventListener("abort", () => reject(abort.signal.reason));
  });
  const late = new Error(`the API server did not answer within ${limitMs} ms`);
  const timer = clock.after(limitMs, () => abort.abort(late));
  const stop = (): void => abort.abort(signal.reason);
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([call(request, abort.signal), givenUp]);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", stop);
  }
}
