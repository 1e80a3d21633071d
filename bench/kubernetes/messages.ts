/** What the benchmark and its processes say to each other. Times are of the machine's monotonic clock, ms. */
import type { Size } from "./content.ts";

export type ToApiServer =
  | { readonly kind: "roots" }
  /** Changes how many pods of a service are ready. */
  | { readonly kind: "change"; readonly service: number; readonly ready: number };

export type FromApiServer =
  | { readonly kind: "listening"; readonly environment: Readonly<Record<string, string>> }
  /** null: the control plane has not published any yet. */
  | { readonly kind: "roots"; readonly roots: string | null }
  | { readonly kind: "changed"; readonly at: number };

export interface SidecarsStart {
  readonly size: Size;
  /** Sidecars `from` to before `to`. */
  readonly from: number;
  readonly to: number;
  readonly port: number;
  readonly roots: string;
}

export type ToSidecars =
  | { readonly kind: "start"; readonly start: SidecarsStart }
  /** From now on tells when each sidecar has heard of this cluster's endpoints. */
  | { readonly kind: "expect"; readonly cluster: string }
  | { readonly kind: "count" };

export type FromSidecars =
  | { readonly kind: "certified" }
  /** All that have to do with the cluster have heard: when each of them did. */
  | { readonly kind: "heard"; readonly cluster: string; readonly at: readonly number[] }
  | {
      readonly kind: "count";
      /** Sidecars that have all that they were told of. */
      readonly served: number;
      /** When the last response came. */
      readonly lastAt: number;
      readonly bytes: number;
      readonly resources: number;
      readonly errors: readonly string[];
    };

/** The same in all processes of a machine. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
