/** Downstream connections and TLS handshakes in the metrics. */
import type { CounterCell, Family, GaugeCell, MetricsRegistry } from "./metrics.ts";
import { DEFAULT_EXPIRY_MS } from "./metrics.ts";
import type { ConnectionTls } from "./stream-info.ts";

/** What a listener writes to: looked up when it is made. */
export interface ListenerCells {
  readonly active: GaugeCell;
  readonly opened: CounterCell;
  readonly closed: CounterCell;
  /** A connection was turned away or broke before a request: `no_filter_chain`, `tls`, `rbac`, `limit`, `timeout` … */
  failed(reason: string): void;
  /** The protocol of a connection was found, where nothing declared it. */
  detected(outcome: string): void;
}

export class ConnectionMetrics {
  readonly #active: Family<GaugeCell>;
  readonly #opened: Family<CounterCell>;
  readonly #closed: Family<CounterCell>;
  readonly #failed: Family<CounterCell>;
  readonly #detected: Family<CounterCell>;

  constructor(registry: MetricsRegistry) {
    const labels = ["listener"];
    this.#active = registry.gauge({
      name: "outrigger_downstream_connections_active",
      help: "Open connections",
      labels,
    });
    this.#opened = registry.counter({
      name: "outrigger_downstream_connections_opened_total",
      help: "Connections accepted",
      labels,
    });
    this.#closed = registry.counter({
      name: "outrigger_downstream_connections_closed_total",
      help: "Connections that ended",
      labels,
    });
    this.#failed = registry.counter({
      name: "outrigger_downstream_connections_failed_total",
      help: "Connections that were turned away or broke before a request",
      labels: [...labels, "reason"],
    });
    this.#detected = registry.counter({
      name: "outrigger_detection_total",
      help: "Connections whose protocol was found by looking, by what it was or who spoke first",
      labels: [...labels, "outcome"],
      expireAfterMs: DEFAULT_EXPIRY_MS,
    });
  }

  forListener(listener: string): ListenerCells {
    return {
      active: this.#active.cell(listener),
      opened: this.#opened.cell(listener),
      closed: this.#closed.cell(listener),
      failed: (reason) => this.#failed.cell(listener, reason).inc(),
      detected: (outcome) => this.#detected.cell(listener, outcome).inc(),
    };
  }

  /** Drops the series of a listener that is gone. */
  removeListener(listener: string): void {
    for (const family of [this.#active, this.#opened, this.#closed]) family.remove(listener);
  }
}

/** Which of the two connections of a request. */
export type TlsSide = "downstream" | "upstream";

export class TlsMetrics {
  readonly #handshakes: Family<CounterCell>;
  readonly #failures: Family<CounterCell>;

  constructor(registry: MetricsRegistry) {
    this.#handshakes = registry.counter({
      name: "outrigger_tls_handshakes_total",
      help: "Completed TLS handshakes; `name` is the listener or the cluster",
      labels: ["side", "name", "version", "resumed"],
      expireAfterMs: DEFAULT_EXPIRY_MS,
    });
    this.#failures = registry.counter({
      name: "outrigger_tls_handshake_failures_total",
      help: "Failed TLS handshakes, by cause",
      labels: ["side", "name", "reason"],
      expireAfterMs: DEFAULT_EXPIRY_MS,
    });
  }

  handshake(side: TlsSide, name: string, tls: Pick<ConnectionTls, "version" | "resumed">): void {
    this.#handshakes.cell(side, name, tls.version, String(tls.resumed)).inc();
  }

  failure(side: TlsSide, name: string, reason: string): void {
    this.#failures.cell(side, name, reason).inc();
  }
}
