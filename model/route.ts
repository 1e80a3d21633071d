/** Which requests go where: `envoy.config.route.v3`. Durations are milliseconds; `null` means "not set". */
import type { FilterOverride } from "./http.ts";
import type { Fraction, HeaderMatch, QueryMatch, RegexRewrite, StringMatch } from "./matcher.ts";

export interface RouteTable extends HeaderMutations {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  readonly mostSpecificHeaderMutationsWins: boolean;
  readonly ignorePortInHostMatching: boolean;
  /** Envoy's default: 4096. */
  readonly maxDirectResponseBodySizeBytes: number;
  /** Headers that only internal requests may carry; names are lower case. */
  readonly internalOnlyHeaders: readonly string[];
  readonly filterOverrides: Readonly<Record<string, FilterOverride>>;
  readonly requestMirrors: readonly RequestMirror[];
  /** Whether clusters that do not exist are an error; absent: only in a table inside its listener, as in Envoy. */
  readonly validateClusters?: boolean;
}

/** Added and removed in this order on the way through: remove, then add. Header names are lower case in `remove`. */
export interface HeaderMutations {
  readonly requestHeadersToAdd: readonly HeaderMutation[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderMutation[];
  readonly responseHeadersToRemove: readonly string[];
}

/** `core.v3.HeaderValueOption`. The value may hold command operators (`%DOWNSTREAM_REMOTE_ADDRESS%`). */
export interface HeaderMutation {
  readonly name: string;
  readonly value: string;
  readonly action: "append_if_exists_or_add" | "add_if_absent" | "overwrite_if_exists_or_add" | "overwrite_if_exists";
  readonly keepEmptyValue: boolean;
}

export interface VirtualHost extends HeaderMutations {
  readonly name: string;
  /** Exact, `*.suffix`, `prefix.*` or `*`; lower case. */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
  readonly requireTls: "none" | "external_only" | "all";
  readonly retryPolicy: RetryPolicy | null;
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly requestMirrors: readonly RequestMirror[];
  readonly filterOverrides: Readonly<Record<string, FilterOverride>>;
  /** As in its routes. Absent: the connection's limit. */
  readonly requestBufferLimitBytes?: number;
}

export interface Route extends HeaderMutations {
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteAction;
  readonly filterOverrides: Readonly<Record<string, FilterOverride>>;
  /** Per-route sampling, null: the connection manager's. */
  readonly tracing: {
    readonly clientSampling: Fraction | null;
    readonly randomSampling: Fraction | null;
    readonly overallSampling: Fraction | null;
  } | null;
  /** `decorator.operation`, "" for none. */
  readonly operation: string;
  /** Where the route comes from, for people (`file:line` of a manifest), from `metadata.filter_metadata["outrigger"]`. */
  readonly source: string;
  /** Bytes of a request's body that are kept for retries, below the connection's limit. Absent: the virtual host's. */
  readonly requestBufferLimitBytes?: number;
}

export interface RouteMatch {
  readonly path:
    | { readonly kind: "prefix"; readonly value: string }
    | { readonly kind: "exact"; readonly value: string }
    /** `/a` matches `/a` and `/a/b`, not `/ab`. */
    | { readonly kind: "path_separated_prefix"; readonly value: string }
    | { readonly kind: "regex"; readonly value: string };
  readonly caseSensitive: boolean;
  /** Share of the requests that match; null: all. */
  readonly fraction: Fraction | null;
  readonly headers: readonly HeaderMatch[];
  readonly queryParameters: readonly QueryMatch[];
  readonly grpcOnly: boolean;
  /** What must be true of the caller's certificate; absent: nothing. */
  readonly tls?: { readonly presented: boolean | null; readonly validated: boolean | null };
}

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction | { readonly kind: "non_forwarding" };

export interface DirectResponseAction {
  readonly kind: "direct_response";
  readonly status: number;
  readonly body: string;
}

export interface RedirectAction {
  readonly kind: "redirect";
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme:
    | { readonly kind: "keep" }
    | { readonly kind: "https" }
    | { readonly kind: "set"; readonly value: string };
  readonly host: string;
  readonly port: number;
  readonly path:
    | { readonly kind: "keep" }
    | { readonly kind: "set"; readonly value: string }
    | { readonly kind: "prefix"; readonly value: string }
    | { readonly kind: "regex"; readonly rewrite: RegexRewrite };
  readonly stripQuery: boolean;
}

export interface WeightedCluster extends HeaderMutations {
  readonly name: string;
  readonly weight: number;
  readonly filterOverrides: Readonly<Record<string, FilterOverride>>;
  readonly hostRewrite: string | null;
}

export interface ForwardAction {
  readonly kind: "forward";
  readonly cluster:
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "header"; readonly header: string }
    | { readonly kind: "weighted"; readonly clusters: readonly WeightedCluster[]; readonly headerName: string };
  readonly clusterNotFoundStatus: 404 | 503 | 500;
  readonly prefixRewrite: string | null;
  readonly regexRewrite: RegexRewrite | null;
  readonly hostRewrite:
    | { readonly kind: "keep" }
    | { readonly kind: "literal"; readonly value: string }
    | { readonly kind: "auto" }
    | { readonly kind: "header"; readonly header: string }
    | { readonly kind: "path_regex"; readonly rewrite: RegexRewrite };
  readonly appendXForwardedHost: boolean;
  /** For the whole answer, counted from the end of the request, ms; null: Envoy's 15 s; 0: none. */
  readonly timeoutMs: number | null;
  /** Idle limit of this route's streams, ms; null: the connection manager's; 0: none. */
  readonly idleTimeoutMs: number | null;
  /** null: not set. */
  readonly maxStreamDurationMs: number | null;
  /** `max_grpc_timeout` (deprecated), the cap on `grpc-timeout` as the route's timeout; null: not used. */
  readonly maxGrpcTimeoutMs: number | null;
  /** `grpc_timeout_offset` (deprecated): taken off what `grpc-timeout` says; absent: nothing. */
  readonly grpcTimeoutOffsetMs?: number;
  /**
   * `grpc-timeout` as the stream's duration: `max_stream_duration.grpc_timeout_header_max` (0: no cap) and
   * `grpc_timeout_header_offset`; absent: the header is not looked at.
   */
  readonly grpcStreamTimeout?: { readonly maxMs: number; readonly offsetMs: number };
  /** null: the virtual host's. */
  readonly retryPolicy: RetryPolicy | null;
  readonly requestMirrors: readonly RequestMirror[];
  readonly hashPolicies: readonly HashPolicy[];
  readonly priority: "default" | "high";
  readonly upgrades: readonly { readonly type: string; readonly enabled: boolean }[];
}

export type HashPolicy = { readonly terminal: boolean } & (
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "cookie"; readonly name: string; readonly ttlMs: number | null; readonly path: string }
  | { readonly kind: "source_ip" }
  | { readonly kind: "query"; readonly name: string }
);

export interface RequestMirror {
  readonly cluster: string;
  readonly fraction: Fraction | null;
  /** `trace_sampled`; null: as Envoy's default (true). */
  readonly traceSampled: boolean | null;
  readonly disableShadowHostSuffix: boolean;
}

/** Envoy's condition names (`x-envoy-retry-on`, `x-envoy-retry-grpc-on`), and Outrigger's own `reset-before-request`. */
export type RetryCondition =
  | "5xx"
  | "gateway-error"
  | "reset"
  | "reset-before-request"
  | "connect-failure"
  | "envoy-ratelimited"
  | "retriable-4xx"
  | "refused-stream"
  | "retriable-status-codes"
  | "retriable-headers"
  | "http3-post-connect-failure"
  | "cancelled"
  | "deadline-exceeded"
  | "internal"
  | "resource-exhausted"
  | "unavailable";

export interface RetryPolicy {
  readonly on: readonly RetryCondition[];
  /** Retries beyond the first attempt. Envoy's default: 1. */
  readonly numRetries: number;
  /** ms; 0: the route's timeout only. */
  readonly perTryTimeoutMs: number;
  /** ms; 0: none. */
  readonly perTryIdleTimeoutMs: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderMatch[];
  /** Only requests that match one of these are retried; empty: all. */
  readonly retriableRequestHeaders: readonly HeaderMatch[];
  /** Envoy's default: base 25 ms, max 10 × base. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /** `retry_host_predicate` previous_hosts. */
  readonly avoidPreviousHosts: boolean;
  /** How often a host is chosen again when a predicate refuses it. Envoy's default: 1. */
  readonly hostSelectionMaxAttempts: number;
  /** `rate_limited_retry_back_off`; null: not used. */
  readonly rateLimitedBackoff: {
    readonly headers: readonly { readonly name: string; readonly format: "seconds" | "unix_timestamp" }[];
    readonly maxMs: number;
  } | null;
}

export type { StringMatch };
