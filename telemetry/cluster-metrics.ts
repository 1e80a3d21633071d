/** Upstream clusters in the metrics: the numbers that the data plane keeps under Envoy's names, read at scrape. */
import type { ClusterNumber, ClusterNumbers, ClusterSource, ClusterView } from "./cluster-view.ts";
import type { CounterCell, Family, MetricsRegistry } from "./metrics.ts";

type Series = readonly [value: number, ...labels: string[]];

interface Figure {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** Labels besides `cluster`. */
  readonly labels?: readonly string[];
  /** Clusters that were never called have only the figures that say what they are. */
  readonly always?: boolean;
  readonly read: (cluster: ClusterView) => readonly Series[];
}

/** The value of a breaker's state: it rises with the trouble. */
export const BREAKER_STATE = { closed: 0, half_open: 1, open: 2 } as const;

const STATES = ["healthy", "degraded", "unhealthy", "draining", "ejected"] as const;

const count =
  (name: ClusterNumber) =>
  (c: ClusterView): readonly Series[] => [[c.stats[name] ?? 0]];

/** Several of Envoy's counters as one metric, told apart by a label. */
const split =
  (names: Readonly<Record<string, ClusterNumber>>) =>
  (c: ClusterView): readonly Series[] =>
    Object.entries(names).map(([label, name]): Series => [c.stats[name] ?? 0, label]);

/** The thresholds of the default priority; a retry budget has no fixed maximum. */
const limitMaxima = (c: ClusterView): readonly Series[] => {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries, retryBudget } = c.limits.default.limits;
  const maxima: Series[] = [
    [maxConnections, "connections"],
    [maxPendingRequests, "pending"],
    [maxRequests, "requests"],
  ];
  return retryBudget === null ? [...maxima, [maxRetries, "retries"]] : maxima;
};

const FIGURES: readonly Figure[] = [
  {
    name: "outrigger_upstream_endpoints",
    type: "gauge",
    help: "Endpoints by state",
    labels: ["state"],
    always: true,
    read: (c) => STATES.map((state): Series => [c.endpoints.filter((e) => e.health === state).length, state]),
  },
  {
    name: "outrigger_upstream_breaker_state",
    type: "gauge",
    help: "State of the circuit breaker: 0 closed, 1 half open, 2 open",
    always: true,
    read: (c) => (c.breaker === null ? [] : [[BREAKER_STATE[c.breaker.state]]]),
  },
  {
    name: "outrigger_upstream_breaker_rejected_total",
    type: "counter",
    help: "Calls that the circuit breaker refused",
    read: count("breaker_rejected"),
  },
  {
    name: "outrigger_upstream_requests_active",
    type: "gauge",
    help: "Requests under way",
    read: count("upstream_rq_active"),
  },
  {
    name: "outrigger_upstream_requests_pending",
    type: "gauge",
    help: "Requests that wait for a connection",
    read: count("upstream_rq_pending_active"),
  },
  {
    name: "outrigger_upstream_attempts_total",
    type: "counter",
    help: "Requests sent upstream, retries included",
    read: count("upstream_rq_total"),
  },
  {
    name: "outrigger_upstream_connections_active",
    type: "gauge",
    help: "Open connections",
    read: count("upstream_cx_active"),
  },
  {
    name: "outrigger_upstream_connections_opened_total",
    type: "counter",
    help: "Connections begun",
    read: count("upstream_cx_total"),
  },
  {
    name: "outrigger_upstream_connections_closed_total",
    type: "counter",
    help: "Connections that ended",
    read: count("upstream_cx_destroy"),
  },
  {
    name: "outrigger_upstream_connections_failed_total",
    type: "counter",
    help: "Connections that could not be opened",
    labels: ["reason"],
    read: split({ refused: "upstream_cx_connect_fail", timeout: "upstream_cx_connect_timeout" }),
  },
  {
    name: "outrigger_upstream_timeouts_total",
    type: "counter",
    help: "Calls cut by a timeout",
    labels: ["timeout"],
    read: split({ request: "upstream_rq_timeout", per_try: "upstream_rq_per_try_timeout" }),
  },
  {
    name: "outrigger_upstream_resets_total",
    type: "counter",
    help: "Requests reset, by who reset them",
    labels: ["by"],
    read: split({ upstream: "upstream_rq_rx_reset", proxy: "upstream_rq_tx_reset" }),
  },
  {
    name: "outrigger_upstream_retries_total",
    type: "counter",
    help: "Retries made",
    read: count("upstream_rq_retry"),
  },
  {
    name: "outrigger_upstream_retries_succeeded_total",
    type: "counter",
    help: "Retries that gave an answer worth passing on",
    read: count("upstream_rq_retry_success"),
  },
  {
    name: "outrigger_upstream_retries_refused_total",
    type: "counter",
    help: "Retries not made: the budget was used up, or the attempts were",
    labels: ["reason"],
    read: split({ budget: "upstream_rq_retry_overflow", attempts: "upstream_rq_retry_limit_exceeded" }),
  },
  {
    name: "outrigger_upstream_limit_remaining",
    type: "gauge",
    help: "How much is left of each limit",
    labels: ["limit"],
    read: (c) => Object.entries(c.limits.default.remaining).map(([limit, left]): Series => [left, limit]),
  },
  {
    name: "outrigger_upstream_limit_max",
    type: "gauge",
    help: "The limits in force, counted once per process",
    labels: ["limit"],
    read: limitMaxima,
  },
  {
    name: "outrigger_upstream_limit_overflows_total",
    type: "counter",
    help: "What a limit refused; pending stands for requests as well",
    labels: ["limit"],
    read: split({ connections: "upstream_cx_overflow", pending: "upstream_rq_pending_overflow" }),
  },
  {
    name: "outrigger_upstream_panics_total",
    type: "counter",
    help: "Choices among all endpoints because too few were healthy",
    read: count("lb_healthy_panic"),
  },
  {
    name: "outrigger_upstream_no_endpoint_total",
    type: "counter",
    help: "Calls for which no endpoint was in service",
    read: count("upstream_cx_none_healthy"),
  },
  {
    name: "outrigger_upstream_bytes_total",
    type: "counter",
    help: "Bytes on upstream connections",
    labels: ["direction"],
    read: split({ received: "upstream_cx_rx_bytes_total", sent: "upstream_cx_tx_bytes_total" }),
  },
  {
    name: "outrigger_dry_run_refusals_total",
    type: "counter",
    help: "What policies in dry run would have refused",
    labels: ["policy"],
    read: split({ breaker: "breaker_would_reject", limits: "limits_would_overflow" }),
  },
];

const wasUsed = (stats: ClusterNumbers): boolean =>
  (stats.upstream_rq_total ?? 0) + (stats.upstream_cx_total ?? 0) + (stats.upstream_cx_none_healthy ?? 0) > 0;

/** Registers the figures of all clusters that `clusters` gives. */
export function registerClusterMetrics(registry: MetricsRegistry, clusters: ClusterSource): void {
  let views: readonly ClusterView[] = [];
  registry.beforeCollect(() => {
    views = [...clusters()];
  });
  for (const figure of FIGURES) {
    const { name, type, help } = figure;
    registry.sampled({ name, type, help, labels: ["cluster", ...(figure.labels ?? [])] }, (emit) => {
      for (const view of views) {
        if (!figure.always && !wasUsed(view.stats)) continue;
        for (const [value, ...labels] of figure.read(view)) emit(value, view.name, ...labels);
      }
    });
  }
}

/** Counts what happens to endpoints and breakers; the data plane's `ClusterObserver` may pass its events on. */
export class ClusterEventMetrics {
  readonly #events: Family<CounterCell>;

  constructor(registry: MetricsRegistry) {
    this.#events = registry.counter({
      name: "outrigger_upstream_events_total",
      help: "Ejections, readmissions, probes and changes of the circuit breaker",
      labels: ["cluster", "event"],
    });
  }

  onClusterEvent(event: { readonly kind: string; readonly cluster: string }): void {
    this.#events.cell(event.cluster, event.kind).inc();
  }
}
