import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatedClock } from "../core/clock.ts";
import { registerCertificateMetrics } from "./certificate-metrics.ts";
import { MetricsRegistry } from "./metrics.ts";
import { registerProcessMetrics } from "./process-metrics.ts";

function value(text: string, series: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  assert.ok(line, `${series} is missing in\n${text}`);
  return Number(line.slice(series.length + 1));
}

test("the process tells its age, memory, CPU and the revision in force", (t) => {
  const clock = new SimulatedClock(1_700_000_000_000);
  const registry = new MetricsRegistry(clock);
  let revision = "";
  const handle = registerProcessMetrics(registry, { clock, version: "1.2.3", revision: () => revision });
  t.after(() => handle.stop());
  clock.advance(2500);
  revision = "r7";
  const text = registry.text();
  assert.equal(value(text, "outrigger_uptime_seconds"), 2.5);
  assert.equal(value(text, "process_start_time_seconds"), 1_700_000_000);
  assert.equal(value(text, `outrigger_build_info{version="1.2.3",node="${process.version}",revision="r7"}`), 1);
  assert.ok(value(text, "process_resident_memory_bytes") > 10e6);
  assert.ok(value(text, "process_cpu_seconds_total") > 0);
});

test("a stall of the event loop shows at the next scrape and in that one alone", async (t) => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const handle = registerProcessMetrics(registry, { clock, version: "1", revision: () => "" });
  t.after(() => handle.stop());
  const peak = (): number => value(registry.text(), 'outrigger_event_loop_lag_seconds{thread="main",quantile="1"}');
  await delay(60);
  const until = performance.now() + 120;
  while (performance.now() < until);
  await delay(60);
  assert.ok(peak() >= 0.09);
  assert.equal(peak(), 0);
});

test("certificates tell the seconds that are left, the first to expire of each name", () => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  const now = clock.wallTime();
  const common = { role: "own", subjectAltNames: [], subject: "", serial: "1", notBefore: now } as const;
  registerCertificateMetrics(registry, clock, () => [
    { ...common, name: "default", notAfter: now + 90_000 },
    { ...common, name: "ROOTCA", role: "root", notAfter: now + 500_000 },
    { ...common, name: "ROOTCA", role: "root", notAfter: now + 400_000 },
  ]);
  assert.equal(value(registry.text(), 'outrigger_certificate_expiry_seconds{name="default",role="own"}'), 90);
  clock.advance(91_000);
  const text = registry.text();
  assert.equal(value(text, 'outrigger_certificate_expiry_seconds{name="default",role="own"}'), -1);
  assert.equal(value(text, 'outrigger_certificate_expiry_seconds{name="ROOTCA",role="root"}'), 309);
});
