import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../core/clock.ts";
import { Flag, formatFlags } from "../model/flags.ts";
import { MetricsRegistry } from "./metrics.ts";
import { RequestMetrics } from "./request-metrics.ts";
import { StreamInfo } from "./stream-info.ts";

function finished(responseCode: number, flags: number, durationMs: number): StreamInfo {
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "127.0.0.1",
    remotePort: 1,
    localAddress: "127.0.0.1",
    localPort: 2,
    tls: null,
    listener: "",
    filterChain: "",
  });
  info.startedAt = 1000;
  info.endedAt = 1000 + durationMs;
  info.responseCode = responseCode;
  info.flags = flags;
  return info;
}

test("a request is counted by edge, route, code and flags, with its duration and bytes", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const recorder = new RequestMetrics(registry).forRoute("shop/front", "shop/orders", "default", "outbound");
  const info = finished(503, Flag.UF | Flag.URX, 4);
  info.bytesReceived = 10;
  info.bytesSent = 90;
  recorder.record(info);
  recorder.record(info);
  const text = registry.text();
  const edge = 'direction="outbound",source="shop/front",destination="shop/orders",route="default"';
  assert.ok(text.includes(`outrigger_requests_total{${edge},code="503",flags="URX,UF"} 2\n`), text);
  assert.ok(text.includes(`outrigger_request_duration_seconds_bucket{le="0.005",${edge},code_class="5xx"} 2\n`), text);
  assert.ok(text.includes(`outrigger_request_duration_seconds_bucket{le="0.0025",${edge},code_class="5xx"} 0\n`), text);
  assert.ok(text.includes(`outrigger_request_bytes_total{${edge}} 20\n`), text);
  assert.ok(text.includes(`outrigger_response_bytes_total{${edge}} 180\n`), text);
});

test("every outcome has its own series, whatever came before it", () => {
  const outcome = fc.tuple(
    fc.constantFrom(0, 100, 200, 204, 404, 500, 503, 599, 999),
    fc.constantFrom(0, Flag.UF, Flag.UH, Flag.DC, Flag.DT, Flag.UF | Flag.URX),
  );
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 60 }), (outcomes) => {
      const registry = new MetricsRegistry(new SimulatedClock());
      const recorder = new RequestMetrics(registry).forRoute("s", "d", "r", "inbound");
      const expected = new Map<string, number>();
      for (const [code, flags] of outcomes) {
        recorder.record(finished(code, flags, 1));
        const key = `code="${code}",flags="${formatFlags(flags)}"`;
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
      const counted = new Map<string, number>();
      for (const match of registry.text().matchAll(/^outrigger_requests_total\{.*(code=.*)\} (\d+)$/gm)) {
        counted.set(match[1] ?? "", Number(match[2]));
      }
      assert.deepEqual(counted, expected);
    }),
  );
});
