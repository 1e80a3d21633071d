import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { CertificateAuthority } from "../certs/ca.ts";
import { foundAuthority } from "../certs/founding.ts";
import { SimulatedClock } from "../core/clock.ts";
import { encodeResource } from "../xds/resources.ts";
import { ResourceCache } from "./cache.ts";
import { clusterMetrics, statusWrites } from "./in-cluster/metrics.ts";
import { injectorMetrics } from "./injector/metrics.ts";
import { Mesh } from "./mesh/mesh.ts";
import { ControlPlaneMetrics } from "./metrics.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { Registry } from "./registry/registry.ts";
import { SILENT } from "./testing/silent.ts";

function fixture() {
  const clock = new SimulatedClock();
  const registry = new Registry({ clock, log: SILENT, file: null });
  const cache = new ResourceCache(encodeResource, new Mesh("mesh.test").state);
  const kinds = [
    { kind: "Pod", phase: "watching", objects: 1, lists: 1, heardAt: clock.wallTime(), error: "" },
  ] as const;
  const metrics = new ControlPlaneMetrics({
    manifests: () => undefined,
    registry: () => registry,
    cache: () => cache,
    kinds: () => kinds,
    clock,
  });
  const content = foundAuthority("mesh.test", clock.wallTime(), { rootLifetimeMs: 3_600_000 });
  const ca = new CertificateAuthority({ content, trustDomain: "mesh.test", clock });
  metrics.watchCa(ca);
  clusterMetrics(metrics.registry, { version: "1", revision: "r", isLeader: () => true, secretInForce: () => false });
  statusWrites(metrics.registry);
  injectorMetrics(metrics.registry);
  registerProcessMetrics(metrics.registry, clock);
  return { clock, ca, registry: metrics.registry };
}

test("docs/control-plane-metrics.md lists every metric with its type and labels, and nothing else", async () => {
  const page = readFileSync(path.join(import.meta.dirname, "../docs/control-plane-metrics.md"), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` *\| (\w+) *\|/gm)].map(([, name, type]) => `${name} ${type}`);
  const registered = (await fixture().registry.getMetricsAsJSON()).map(({ name, type }) => `${name} ${type}`);
  assert.deepEqual(rows.sort(), registered.sort());
});

test("what signs counts down, and the process is under everybody's names", async () => {
  const { clock, ca, registry } = fixture();
  clock.advance(600_000);
  ca.addRoot();
  const text = await registry.metrics();
  assert.match(text, /^outrigger_control_plane_ca_expiry_seconds 3000$/m);
  assert.match(text, /^outrigger_control_plane_ca_roots 2$/m);
  assert.match(text, /^outrigger_control_plane_leader 1$/m);
  assert.match(text, /^outrigger_control_plane_ca_secret_in_force 0$/m);
  assert.match(text, /^outrigger_control_plane_source_silence_seconds\{kind="Pod"\} 600$/m);
  const [, rss = ""] = /^process_resident_memory_bytes (\d+)$/m.exec(text) ?? [];
  assert.ok(Number(rss) > 10e6, rss);
  assert.match(text, /^process_cpu_seconds_total [\d.]+$/m);
});
