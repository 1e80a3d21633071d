import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { MetricsRegistry } from "./metrics.ts";
import { registerProtocolMetrics } from "./protocol-metrics.ts";
import { downstreamView, HTTP2_NUMBERS, type Http2Numbers, type ProtocolView, upstreamView } from "./protocol-view.ts";

function numbers(some: Partial<Http2Numbers> = {}): Http2Numbers {
  const zeros = Object.fromEntries(HTTP2_NUMBERS.map((name) => [name, 0])) as Record<
    (typeof HTTP2_NUMBERS)[number],
    number
  >;
  return {
    ...zeros,
    premature_reset_flood: 0,
    protocol_errors: 0,
    streams_total: 0,
    connections_total: 0,
    connections_active: 0,
    ...some,
  };
}

function expose(...views: ProtocolView[]): string[] {
  const registry = new MetricsRegistry(new SimulatedClock());
  registerProtocolMetrics(registry, () => views);
  return [...registry.pieces()]
    .join("")
    .split("\n")
    .filter((line) => line.startsWith("outrigger_http"));
}

test("nothing is said of what was never spoken", () => {
  const unused = upstreamView("orders", {
    upstream_cx_active: 0,
    upstream_cx_http1_total: 0,
    http2: numbers(),
    multiplexed: numbers(),
  });
  assert.deepEqual(expose(unused), []);
});

test("a cluster's connections are told apart by what they speak", () => {
  const view = upstreamView("orders", {
    upstream_cx_active: 7,
    upstream_cx_http1_total: 9,
    http2: numbers({ connections_active: 2, connections_total: 3 }),
    multiplexed: numbers({ connections_active: 1, connections_total: 1 }),
  });
  const lines = expose(view).filter((line) => line.startsWith("outrigger_http_"));
  assert.deepEqual(lines, [
    'outrigger_http_connections_active{side="upstream",name="orders",protocol="http1"} 4',
    'outrigger_http_connections_active{side="upstream",name="orders",protocol="http2"} 2',
    'outrigger_http_connections_active{side="upstream",name="orders",protocol="multiplexed"} 1',
    'outrigger_http_connections_opened_total{side="upstream",name="orders",protocol="http1"} 9',
    'outrigger_http_connections_opened_total{side="upstream",name="orders",protocol="http2"} 3',
    'outrigger_http_connections_opened_total{side="upstream",name="orders",protocol="multiplexed"} 1',
  ]);
});

test("every number of a connection manager's HTTP/2 has its own series", () => {
  const http2 = numbers({
    connections_total: 1,
    rx_messaging_error: 1,
    header_overflow: 2,
    keepalive_timeout: 3,
    protocol_errors: 9,
  });
  const floods = {
    inbound_empty_frames_flood: 11,
    inbound_priority_frames_flood: 12,
    inbound_window_update_frames_flood: 13,
    outbound_control_flood: 14,
    outbound_flood: 15,
    premature_reset_flood: 16,
  };
  const others = { rx_reset: 4, tx_reset: 5, goaway_sent: 6, streams_active: 7, streams_total: 8 };
  const view = downstreamView("inbound", {
    downstream_cx_http1_total: 0,
    downstream_cx_http1_active: 0,
    downstream_rq_http1_total: 0,
    http1_protocol_errors: 0,
    http2: { ...http2, ...floods, ...others },
    multiplexed: numbers(),
  });
  const labels = '{side="downstream",name="inbound",protocol="http2"';
  const read = expose(view)
    .filter((line) => line.startsWith("outrigger_http2_"))
    .map((line) =>
      line
        .replace("outrigger_http2_", "")
        .replace(labels, "")
        .replace(/^(\w+),/, "$1 ")
        .replace("}", ""),
    );
  assert.deepEqual(read, [
    "streams_active 7",
    "streams_opened_total 8",
    'resets_total by="peer" 4',
    'resets_total by="proxy" 5',
    "goaways_sent_total 6",
    'floods_total flood="empty_frames" 11',
    'floods_total flood="priority_frames" 12',
    'floods_total flood="window_update_frames" 13',
    'floods_total flood="control_frames" 14',
    'floods_total flood="unread_answers" 15',
    'floods_total flood="premature_resets" 16',
    'errors_total error="header_overflow" 2',
    'errors_total error="messaging_error" 1',
    'errors_total error="keepalive_timeout" 3',
    'errors_total error="protocol_error" 9',
  ]);
});
