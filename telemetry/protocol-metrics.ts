/** What connections speak, HTTP/2 streams, and peers that misuse the protocol, in the metrics: read at scrape. */
import type { MetricsRegistry } from "./metrics.ts";
import type { Http2Numbers, ProtocolSource, ProtocolView } from "./protocol-view.ts";

type Series = readonly [value: number, ...labels: string[]];

/** Said of HTTP/2 connections and of multiplexed ones, once there has been one. */
interface Figure {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** Labels besides `side`, `name` and `protocol`. */
  readonly label?: string;
  readonly read: (numbers: Http2Numbers) => readonly Series[];
}

const FIGURES: readonly Figure[] = [
  {
    name: "outrigger_http2_streams_active",
    type: "gauge",
    help: "Open streams",
    read: (n) => [[n.streams_active]],
  },
  {
    name: "outrigger_http2_streams_opened_total",
    type: "counter",
    help: "Streams opened",
    read: (n) => [[n.streams_total]],
  },
  {
    name: "outrigger_http2_resets_total",
    type: "counter",
    help: "Streams ended by RST_STREAM, by who sent it",
    label: "by",
    read: (n) => [
      [n.rx_reset, "peer"],
      [n.tx_reset, "proxy"],
    ],
  },
  {
    name: "outrigger_http2_goaways_sent_total",
    type: "counter",
    help: "GOAWAY frames sent",
    read: (n) => [[n.goaway_sent]],
  },
  {
    name: "outrigger_http2_floods_total",
    type: "counter",
    help: "Connections ended with ENHANCE_YOUR_CALM, by what the peer had too much of",
    label: "flood",
    read: (n) => [
      [n.inbound_empty_frames_flood, "empty_frames"],
      [n.inbound_priority_frames_flood, "priority_frames"],
      [n.inbound_window_update_frames_flood, "window_update_frames"],
      [n.outbound_control_flood, "control_frames"],
      [n.outbound_flood, "unread_answers"],
      [n.premature_reset_flood, "premature_resets"],
    ],
  },
  {
    name: "outrigger_http2_errors_total",
    type: "counter",
    help: "Messages and connections that were refused or given up",
    label: "error",
    read: (n) => [
      [n.header_overflow, "header_overflow"],
      [n.rx_messaging_error, "messaging_error"],
      [n.keepalive_timeout, "keepalive_timeout"],
      [n.protocol_errors, "protocol_error"],
    ],
  },
];

/** Registers the figures of everything that `source` gives. */
export function registerProtocolMetrics(registry: MetricsRegistry, source: ProtocolSource): void {
  let views: readonly ProtocolView[] = [];
  registry.beforeCollect(() => {
    views = [...source()];
  });
  const labels = ["side", "name", "protocol"];
  const connections = (name: string, type: "counter" | "gauge", help: string, read: "total" | "active"): void => {
    registry.sampled({ name, type, help, labels }, (emit) => {
      for (const view of views) {
        for (const [protocol, numbers] of protocolsOf(view)) {
          const value = numbers[`connections_${read}`];
          if (numbers.connections_total > 0) emit(value, view.side, view.name, protocol);
        }
      }
    });
  };
  connections("outrigger_http_connections_active", "gauge", "Open connections, by what they speak", "active");
  connections("outrigger_http_connections_opened_total", "counter", "Connections, by what they speak", "total");
  for (const { name, type, help, label, read } of FIGURES) {
    registry.sampled({ name, type, help, labels: label === undefined ? labels : [...labels, label] }, (emit) => {
      for (const view of views) {
        for (const protocol of ["http2", "multiplexed"] as const) {
          const numbers = view[protocol];
          if (numbers.connections_total === 0) continue;
          for (const [value, ...rest] of read(numbers)) emit(value, view.side, view.name, protocol, ...rest);
        }
      }
    });
  }
}

type Connections = ProtocolView["http1"];

function protocolsOf(view: ProtocolView): readonly (readonly [protocol: string, numbers: Connections])[] {
  return [
    ["http1", view.http1],
    ["http2", view.http2],
    ["multiplexed", view.multiplexed],
  ];
}
