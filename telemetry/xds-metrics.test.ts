import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { MetricsRegistry } from "./metrics.ts";
import { XdsMetrics } from "./xds-metrics.ts";

test("streams, updates, refusals and the version in force are told", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const xds = new XdsMetrics(registry, clock);
  xds.connected("cp:15010");
  xds.accepted("CDS", "1", 3);
  xds.accepted("CDS", "2", 0);
  xds.rejected("RDS");
  xds.bytes("received", 120);
  clock.advance(1500);
  const text = registry.text();
  for (const line of [
    'outrigger_xds_connected{server="cp:15010"} 1',
    'outrigger_xds_updates_total{type="CDS"} 2',
    'outrigger_xds_resources_changed_total{type="CDS"} 3',
    'outrigger_xds_rejected_total{type="RDS"} 1',
    'outrigger_xds_bytes_total{direction="received"} 120',
    'outrigger_xds_version_info{type="CDS",version="2"} 1',
    'outrigger_xds_update_age_seconds{type="CDS"} 1.5',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} is missing in\n${text}`);
  }
  assert.doesNotMatch(text, /version="1"/);
});

test("a lost stream shows as 0 and is counted", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const xds = new XdsMetrics(registry, clock);
  xds.disconnected("cp:15010");
  assert.match(registry.text(), /^outrigger_xds_connected\{server="cp:15010"\} 0$/m);
  xds.connected("cp:15010");
  assert.match(registry.text(), /^outrigger_xds_connected\{server="cp:15010"\} 1$/m);
  assert.match(registry.text(), /^outrigger_xds_disconnects_total\{server="cp:15010"\} 1$/m);
});
