/**
 * Numbers of one upstream cluster under Envoy's own statistic names, as plain fields: the data plane increments them,
 * telemetry reads them when it is scraped. Names ending in `_active` and the `membership_*` ones are gauges.
 */
import { Http2Stats } from "../codec/http2/stats.ts";

export class ClusterStats {
  upstream_cx_total = 0;
  upstream_cx_active = 0;
  upstream_cx_http1_total = 0;
  upstream_cx_connect_fail = 0;
  upstream_cx_connect_timeout = 0;
  upstream_cx_overflow = 0;
  upstream_cx_idle_timeout = 0;
  upstream_cx_max_duration_reached = 0;
  upstream_cx_destroy = 0;
  upstream_cx_destroy_with_active_rq = 0;
  upstream_cx_rx_bytes_total = 0;
  upstream_cx_tx_bytes_total = 0;
  upstream_cx_none_healthy = 0;
  upstream_rq_total = 0;
  upstream_rq_active = 0;
  upstream_rq_completed = 0;
  upstream_rq_1xx = 0;
  upstream_rq_2xx = 0;
  upstream_rq_3xx = 0;
  upstream_rq_4xx = 0;
  upstream_rq_5xx = 0;
  upstream_rq_pending_total = 0;
  upstream_rq_pending_active = 0;
  upstream_rq_pending_overflow = 0;
  upstream_rq_pending_failure_eject = 0;
  upstream_rq_cancelled = 0;
  upstream_rq_timeout = 0;
  upstream_rq_per_try_timeout = 0;
  upstream_rq_rx_reset = 0;
  upstream_rq_tx_reset = 0;
  upstream_rq_retry = 0;
  upstream_rq_retry_success = 0;
  upstream_rq_retry_overflow = 0;
  upstream_rq_retry_limit_exceeded = 0;
  upstream_rq_retry_backoff_exponential = 0;
  upstream_rq_retry_backoff_ratelimited = 0;
  lb_healthy_panic = 0;
  membership_total = 0;
  membership_healthy = 0;
  membership_degraded = 0;
  membership_change = 0;
  update_attempt = 0;
  update_success = 0;
  update_failure = 0;
  /** Outrigger's own: calls that the cluster's breaker refused, and those that it would have refused in a dry run. */
  breaker_rejected = 0;
  breaker_would_reject = 0;
  /** Calls that a limit would have refused in a dry run. */
  limits_would_overflow = 0;

  readonly http2 = new Http2Stats();
  /** Of connections to other sidecars that carry HTTP/1 as streams. */
  readonly multiplexed = new Http2Stats();
  /** Of connections to other sidecars whose streams are opaque connections. */
  readonly opaque = new Http2Stats();

  /** Counts a finished response by status class. */
  countStatus(status: number): void {
    this.upstream_rq_completed++;
    if (status < 200) this.upstream_rq_1xx++;
    else if (status < 300) this.upstream_rq_2xx++;
    else if (status < 400) this.upstream_rq_3xx++;
    else if (status < 500) this.upstream_rq_4xx++;
    else this.upstream_rq_5xx++;
  }
}
