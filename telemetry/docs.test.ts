/** The guides list what there is: every metric with its labels, every command of a format. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { registerCertificateMetrics } from "./certificate-metrics.ts";
import { ClusterEventMetrics, registerClusterMetrics } from "./cluster-metrics.ts";
import { ConnectionMetrics, TlsMetrics } from "./connection-metrics.ts";
import { CONNECTION_OPERATORS } from "./format/connection-operators.ts";
import { HEADER_OPERATORS } from "./format/header-operators.ts";
import { PROCESS_OPERATORS } from "./format/process-operators.ts";
import { STREAM_OPERATORS } from "./format/stream-operators.ts";
import { MetricsRegistry } from "./metrics.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { registerProtocolMetrics } from "./protocol-metrics.ts";
import { RequestMetrics } from "./request-metrics.ts";
import { TcpMetrics } from "./tcp-metrics.ts";
import { registerWorkerMetrics } from "./worker-metrics.ts";
import { XdsMetrics } from "./xds-metrics.ts";

/** Where a metric may be registered besides this folder. */
const ELSEWHERE = readFileSync("cli/telemetry.ts", "utf8");

test("docs/metrics.md lists every metric with its type, and nothing else", (t) => {
  const clock = new SimulatedClock();
  const registry = new MetricsRegistry(clock);
  new RequestMetrics(registry);
  new TcpMetrics(registry);
  new ConnectionMetrics(registry);
  new TlsMetrics(registry);
  new XdsMetrics(registry, clock);
  new ClusterEventMetrics(registry);
  registerClusterMetrics(registry, () => []);
  registerProtocolMetrics(registry, () => []);
  registerCertificateMetrics(registry, clock, () => []);
  registerWorkerMetrics(registry, () => []);
  const handle = registerProcessMetrics(registry, { clock, version: "", revision: () => "" });
  t.after(() => handle.stop());

  const text = readFileSync("docs/metrics.md", "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` *\| (counter|gauge|histogram) *\|/gm)];
  const documented = rows
    .filter(([, name]) => !ELSEWHERE.includes(`"${name}"`))
    .map(([, name, type]) => `${name} ${type}`)
    .sort();
  const registered = registry
    .collect()
    .map(({ name, type }) => `${name} ${type}`)
    .sort();
  assert.deepEqual(documented, registered);
});

test("docs/access-log.md lists every command", () => {
  const text = readFileSync("docs/access-log.md", "utf8");
  const spelled = new Set(text.match(/[A-Z0-9_]{4,}/g));
  const endings = [...text.matchAll(/`…(_[A-Z0-9_]+)`/g)].map((match) => match[1] ?? "");
  const names = Object.keys({
    ...HEADER_OPERATORS,
    ...STREAM_OPERATORS,
    ...CONNECTION_OPERATORS,
    ...PROCESS_OPERATORS,
  });
  const missing = names.filter((name) => {
    if (spelled.has(name) || /^REQ$/.test(name)) return false;
    // `…_SUBJECT` after `DOWNSTREAM_PEER_URI_SAN` stands for `DOWNSTREAM_PEER_SUBJECT`.
    return !endings.some((ending) => name.endsWith(ending) && text.includes(name.slice(0, -ending.length)));
  });
  assert.deepEqual(missing, []);
});
