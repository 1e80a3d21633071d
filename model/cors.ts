/** Which pages of other origins may call: `envoy.extensions.filters.http.cors.v3.CorsPolicy`. */
import type { Fraction, StringMatch } from "./matcher.ts";

/** What is empty or null comes from the next less specific level of configuration. */
export interface CorsPolicy {
  /** One must match the request's `origin`. */
  readonly allowOrigins: readonly StringMatch[];
  /** Of preflights, as the header is written; `*` stands for what was asked for. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  /** Seconds, as the header is written. */
  readonly maxAge: string;
  readonly allowCredentials: boolean | null;
  readonly allowPrivateNetworkAccess: boolean | null;
  /** Whether the upstream answers preflights of origins that are not allowed. Envoy's default: true. */
  readonly forwardNotMatchingPreflights: boolean | null;
  /** Share of the requests that the filter looks at; null: all. */
  readonly enabled: Fraction | null;
}
