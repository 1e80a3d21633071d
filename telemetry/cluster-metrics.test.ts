import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { ClusterEventMetrics, registerClusterMetrics } from "./cluster-metrics.ts";
import type { ClusterNumbers, ClusterView, EndpointView, LimitsView } from "./cluster-view.ts";
import { MetricsRegistry } from "./metrics.ts";

const ENDPOINT: EndpointView = {
  address: "10.0.0.1:80",
  hostname: "",
  region: "",
  zone: "",
  subZone: "",
  priority: 0,
  weight: 1,
  health: "healthy",
  out: "",
  cx_active: 0,
  cx_connect_fail: 0,
  cx_total: 0,
  rq_active: 0,
  rq_error: 0,
  rq_success: 0,
  rq_timeout: 0,
  rq_total: 0,
};

const LIMITS: LimitsView = {
  limits: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 512, maxRetries: 3, retryBudget: null },
  remaining: { connections: 1021, pending: 1024, requests: 510, retries: 3 },
};

function cluster(name: string, stats: ClusterNumbers, more: Partial<ClusterView> = {}): ClusterView {
  return {
    name,
    ready: true,
    stats,
    limits: { default: LIMITS, high: LIMITS },
    breaker: null,
    endpoints: [],
    ...more,
  };
}

test("a cluster's numbers appear under their own names, split by reason", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const orders = cluster(
    "orders",
    {
      upstream_rq_total: 10,
      upstream_rq_retry: 2,
      upstream_rq_retry_overflow: 1,
      upstream_cx_connect_fail: 4,
      upstream_cx_connect_timeout: 5,
    },
    {
      breaker: { state: "half_open" },
      endpoints: [
        ENDPOINT,
        { ...ENDPOINT, health: "ejected" },
        { ...ENDPOINT, health: "ejected" },
        { ...ENDPOINT, health: "draining" },
      ],
    },
  );
  registerClusterMetrics(registry, () => [orders]);
  const text = registry.text();
  for (const line of [
    'outrigger_upstream_endpoints{cluster="orders",state="healthy"} 1',
    'outrigger_upstream_endpoints{cluster="orders",state="ejected"} 2',
    'outrigger_upstream_endpoints{cluster="orders",state="draining"} 1',
    'outrigger_upstream_breaker_state{cluster="orders"} 1',
    'outrigger_upstream_attempts_total{cluster="orders"} 10',
    'outrigger_upstream_retries_total{cluster="orders"} 2',
    'outrigger_upstream_retries_refused_total{cluster="orders",reason="budget"} 1',
    'outrigger_upstream_connections_failed_total{cluster="orders",reason="refused"} 4',
    'outrigger_upstream_connections_failed_total{cluster="orders",reason="timeout"} 5',
    'outrigger_upstream_limit_remaining{cluster="orders",limit="connections"} 1021',
    'outrigger_upstream_limit_max{cluster="orders",limit="requests"} 512',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} is missing in\n${text}`);
  }
});

test("a cluster that was never called shows its endpoints and breaker only", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  registerClusterMetrics(registry, () => [cluster("idle", { upstream_rq_total: 0 }, { breaker: { state: "closed" } })]);
  const names = new Set([...registry.text().matchAll(/^(\w+)\{/gm)].map((match) => match[1]));
  assert.deepEqual([...names], ["outrigger_upstream_endpoints", "outrigger_upstream_breaker_state"]);
});

test("a retry budget has no fixed maximum", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const budget = { ...LIMITS, limits: { ...LIMITS.limits, retryBudget: { percent: 20 } } };
  registerClusterMetrics(registry, () => [
    cluster("a", { upstream_rq_total: 1 }, { limits: { default: budget, high: LIMITS } }),
    cluster("b", { upstream_rq_total: 1 }),
  ]);
  const text = registry.text();
  assert.doesNotMatch(text, /limit_max\{cluster="a",limit="retries"\}/);
  assert.match(text, /limit_max\{cluster="b",limit="retries"\} 3/);
});

test("clusters are asked for anew at each scrape", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  let clusters = [cluster("a", { upstream_rq_total: 1 })];
  registerClusterMetrics(registry, () => clusters);
  assert.match(registry.text(), /cluster="a"/);
  clusters = [cluster("b", { upstream_rq_total: 1 })];
  const text = registry.text();
  assert.match(text, /cluster="b"/);
  assert.doesNotMatch(text, /cluster="a"/);
});

test("events are counted by cluster and kind", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const events = new ClusterEventMetrics(registry);
  for (const kind of ["ejected", "ejected", "breaker_opened"]) events.onClusterEvent({ kind, cluster: "orders" });
  const text = registry.text();
  assert.match(text, /^outrigger_upstream_events_total\{cluster="orders",event="ejected"\} 2$/m);
  assert.match(text, /^outrigger_upstream_events_total\{cluster="orders",event="breaker_opened"\} 1$/m);
});
