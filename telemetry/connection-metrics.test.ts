import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { ConnectionMetrics, TlsMetrics } from "./connection-metrics.ts";
import { MetricsRegistry } from "./metrics.ts";

test("a listener's connections are counted, and its series go with it", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const connections = new ConnectionMetrics(registry);
  const cells = connections.forListener("inbound");
  cells.opened.inc();
  cells.opened.inc();
  cells.active.inc(2);
  cells.active.dec();
  cells.closed.inc();
  cells.failed("tls");
  const text = registry.text();
  assert.match(text, /^outrigger_downstream_connections_active\{listener="inbound"\} 1$/m);
  assert.match(text, /^outrigger_downstream_connections_opened_total\{listener="inbound"\} 2$/m);
  assert.match(text, /^outrigger_downstream_connections_closed_total\{listener="inbound"\} 1$/m);
  assert.match(text, /^outrigger_downstream_connections_failed_total\{listener="inbound",reason="tls"\} 1$/m);
  connections.removeListener("inbound");
  assert.doesNotMatch(registry.text(), /connections_(active|opened_total|closed_total)\{/);
});

test("handshakes are counted by version and resumption, failures by cause", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const tls = new TlsMetrics(registry);
  tls.handshake("upstream", "orders", { version: "TLSv1.3", resumed: true });
  tls.handshake("upstream", "orders", { version: "TLSv1.3", resumed: false });
  tls.failure("downstream", "inbound", "no_certificate");
  const text = registry.text();
  const series = 'side="upstream",name="orders",version="TLSv1.3"';
  assert.ok(text.includes(`outrigger_tls_handshakes_total{${series},resumed="true"} 1\n`));
  assert.ok(text.includes(`outrigger_tls_handshakes_total{${series},resumed="false"} 1\n`));
  assert.match(text, /^outrigger_tls_handshake_failures_total\{side="downstream".*reason="no_certificate"\} 1$/m);
});
