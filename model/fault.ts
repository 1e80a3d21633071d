/** Faults injected on purpose: `envoy.extensions.filters.http.fault.v3.HTTPFault`. */
import type { Fraction, HeaderMatch } from "./matcher.ts";

export interface FaultPolicy {
  readonly delay:
    | { readonly kind: "fixed"; readonly ms: number; readonly fraction: Fraction }
    | { readonly kind: "header"; readonly fraction: Fraction }
    | null;
  readonly abort:
    | { readonly kind: "http"; readonly status: number; readonly fraction: Fraction }
    | { readonly kind: "grpc"; readonly status: number; readonly fraction: Fraction }
    | { readonly kind: "header"; readonly fraction: Fraction }
    | null;
  /** Only requests that match all; empty: all requests. */
  readonly headers: readonly HeaderMatch[];
  /** Only requests to this cluster; "": any. */
  readonly upstreamCluster: string;
  /** null: no limit. */
  readonly maxActiveFaults: number | null;
}
