/**
 * An upstream cluster as metrics and admin pages see it: read from the data plane whenever someone asks, so that
 * nothing is copied while nobody does.
 */

import type { Http2Numbers } from "./protocol-view.ts";

/** Those of Envoy's cluster statistics that the metrics are made of, with Outrigger's few own; all others may be there as well. */
export type ClusterNumber =
  | "upstream_cx_total"
  | "upstream_cx_active"
  | "upstream_cx_destroy"
  | "upstream_cx_connect_fail"
  | "upstream_cx_connect_timeout"
  | "upstream_cx_overflow"
  | "upstream_cx_none_healthy"
  | "upstream_cx_rx_bytes_total"
  | "upstream_cx_tx_bytes_total"
  | "upstream_rq_total"
  | "upstream_rq_active"
  | "upstream_rq_pending_active"
  | "upstream_rq_pending_overflow"
  | "upstream_rq_timeout"
  | "upstream_rq_per_try_timeout"
  | "upstream_rq_rx_reset"
  | "upstream_rq_tx_reset"
  | "upstream_rq_retry"
  | "upstream_rq_retry_success"
  | "upstream_rq_retry_overflow"
  | "upstream_rq_retry_limit_exceeded"
  | "lb_healthy_panic"
  | "breaker_rejected"
  | "breaker_would_reject"
  | "limits_would_overflow";

export type ClusterNumbers = { readonly [name in ClusterNumber]?: number };

/** Envoy's host statistics, in the order in which `/clusters` prints them. */
export const ENDPOINT_NUMBERS = [
  "cx_active",
  "cx_connect_fail",
  "cx_total",
  "rq_active",
  "rq_error",
  "rq_success",
  "rq_timeout",
  "rq_total",
] as const;

export type EndpointNumbers = { readonly [name in (typeof ENDPOINT_NUMBERS)[number]]: number };

export interface EndpointView extends EndpointNumbers {
  /** `10.0.0.3:80` */
  readonly address: string;
  readonly hostname: string;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly priority: number;
  readonly weight: number;
  /** `healthy`, `degraded`, `unhealthy`, `draining` or `ejected`. */
  readonly health: string;
  /** Why it gets no requests, as a sentence with the numbers; "" while it is in service. */
  readonly out: string;
}

/** Thresholds of one priority, and what is left of them. */
export interface LimitsView {
  readonly limits: {
    readonly maxConnections: number;
    readonly maxPendingRequests: number;
    readonly maxRequests: number;
    readonly maxRetries: number;
    /** Takes the place of `maxRetries`. */
    readonly retryBudget: object | null;
  };
  readonly remaining: {
    readonly connections: number;
    readonly pending: number;
    readonly requests: number;
    readonly retries: number;
  };
}

export interface ClusterView {
  readonly name: string;
  /** False while its first endpoints are not known. */
  readonly ready: boolean;
  readonly stats: ClusterNumbers & {
    readonly http2?: Http2Numbers;
    readonly multiplexed?: Http2Numbers;
    readonly opaque?: Http2Numbers;
  };
  readonly limits: { readonly default: LimitsView; readonly high: LimitsView };
  /** null: the cluster has no breaker. */
  readonly breaker: { readonly state: "closed" | "half_open" | "open" } | null;
  readonly endpoints: readonly EndpointView[];
}

/** Gives the clusters in force. */
export type ClusterSource = () => Iterable<ClusterView>;
