/** Opaque connections in the metrics: who holds them open to whom, what they carry, and how they end. */
import { formatConnectionFlags } from "../model/flags.ts";
import type { CounterCell, Family, GaugeCell, HistogramCell, MetricsRegistry } from "./metrics.ts";
import { DEFAULT_EXPIRY_MS } from "./metrics.ts";
import type { Direction } from "./request-metrics.ts";
import { TcpStats } from "./tcp-stats.ts";

const EDGE = ["direction", "source", "destination", "cluster"] as const;

/** Connections last from a millisecond to days, in seconds. */
const LIFETIME_BUCKETS: readonly number[] = [
  0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400,
];

interface Families {
  readonly opened: Family<CounterCell>;
  readonly active: Family<GaugeCell>;
  readonly closed: Family<CounterCell>;
  readonly received: Family<CounterCell>;
  readonly sent: Family<CounterCell>;
  readonly duration: Family<HistogramCell>;
  readonly http2: Family<CounterCell>;
}

export class TcpMetrics {
  readonly #families: Families;
  readonly #stats = new Map<string, WeakRef<TcpStats>>();

  constructor(registry: MetricsRegistry) {
    const expireAfterMs = DEFAULT_EXPIRY_MS;
    this.#families = {
      opened: registry.counter({
        name: "outrigger_tcp_connections_opened_total",
        help: "Opaque connections that callers have opened",
        labels: EDGE,
        expireAfterMs,
      }),
      active: registry.gauge({
        name: "outrigger_tcp_connections_active",
        help: "Opaque connections that are open",
        labels: EDGE,
        expireAfterMs,
      }),
      closed: registry.counter({
        name: "outrigger_tcp_connections_closed_total",
        help: "Opaque connections that ended, by Envoy response flags",
        labels: [...EDGE, "flags"],
        expireAfterMs,
      }),
      received: registry.counter({
        name: "outrigger_tcp_received_bytes_total",
        help: "Bytes received from callers on opaque connections",
        labels: EDGE,
        expireAfterMs,
      }),
      sent: registry.counter({
        name: "outrigger_tcp_sent_bytes_total",
        help: "Bytes sent to callers on opaque connections",
        labels: EDGE,
        expireAfterMs,
      }),
      duration: registry.histogram(
        {
          name: "outrigger_tcp_connection_duration_seconds",
          help: "How long opaque connections were open",
          labels: EDGE,
          expireAfterMs,
        },
        LIFETIME_BUCKETS,
      ),
      http2: registry.counter({
        name: "outrigger_tcp_http2_connections_total",
        help: "Opaque connections that turned out to carry HTTP/2: its calls are balanced by connection, not one by one",
        labels: EDGE,
        expireAfterMs,
      }),
    };
  }

  /** Numbers of the TCP proxies with that `stat_prefix`; they go with the last of them. */
  stats(statPrefix: string): TcpStats {
    let stats = this.#stats.get(statPrefix)?.deref();
    if (stats === undefined) {
      stats = new TcpStats();
      this.#stats.set(statPrefix, new WeakRef(stats));
    }
    return stats;
  }

  /** All numbers under Envoy's names: `tcp.PREFIX.downstream_cx_total` … */
  *allStats(): Generator<readonly [name: string, value: number]> {
    for (const [prefix, ref] of this.#stats) {
      const stats = ref.deref();
      if (stats === undefined) this.#stats.delete(prefix);
      else for (const [name, value] of Object.entries(stats)) yield [`tcp.${prefix}.${name}`, value];
    }
  }

  /** The recorder of one edge. Look-ups build strings: keep it where connections of that edge are made. */
  forEdge(direction: Direction, source: string, destination: string, cluster: string): TcpRecorder {
    return new TcpRecorder(this.#families, [direction, source, destination, cluster]);
  }
}

/** Counts the opaque connections of one edge. `received` and `sent` are added to as bytes pass. */
export class TcpRecorder {
  readonly received: CounterCell;
  readonly sent: CounterCell;
  readonly #families: Families;
  readonly #edge: readonly [direction: Direction, source: string, destination: string, cluster: string];
  readonly #opened: CounterCell;
  readonly #active: GaugeCell;
  readonly #duration: HistogramCell;
  readonly #closed = new Map<number, CounterCell>();

  constructor(
    families: Families,
    edge: readonly [direction: Direction, source: string, destination: string, cluster: string],
  ) {
    this.#families = families;
    this.#edge = edge;
    this.received = families.received.cell(...edge);
    this.sent = families.sent.cell(...edge);
    this.#opened = families.opened.cell(...edge);
    this.#active = families.active.cell(...edge);
    this.#duration = families.duration.cell(...edge);
  }

  opened(): void {
    this.#opened.value++;
    this.#active.value++;
  }

  /** `flags` are bits of model/flags.ts. */
  closed(flags: number, durationMs: number): void {
    this.#active.value--;
    this.#duration.observe(durationMs / 1000);
    let cell = this.#closed.get(flags);
    if (cell === undefined) {
      cell = this.#families.closed.cell(...this.#edge, formatConnectionFlags(flags));
      this.#closed.set(flags, cell);
    }
    cell.value++;
  }

  carriesHttp2(): void {
    this.#families.http2.cell(...this.#edge).inc();
  }
}
