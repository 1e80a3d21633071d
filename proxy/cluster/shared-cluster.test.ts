/** One cluster as several threads of the process have it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../core/random.ts";
import { createSharedMemory, type SharedMemory, SharedState } from "../../core/shared-state.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { Cluster } from "../../model/cluster.ts";
import {
  cluster,
  DEFAULT_LIMITS,
  DEFAULT_OUTLIER_DETECTION,
  endpointSet,
  OWN_POLICY,
} from "../../test/support/clusters.ts";
import { type MockClock, mockClock } from "../../test/support/mock-clock.ts";
import { ClusterState } from "./cluster-state.ts";
import type { LbContext } from "./load-balancer/load-balancer.ts";

const FIRST: LbContext = { hash: null, hostSelectionRetries: 0, triedHosts: [], destination: null };
const limits = { default: { ...DEFAULT_LIMITS, maxRequests: 3, maxConnections: 1 }, high: DEFAULT_LIMITS };
const breaker = { errorPercent: 50, minimumCalls: 4, windowMs: 10_000, openForMs: 1000 };

function join(memory: SharedMemory, thread: number, clock: MockClock, fields: Partial<Cluster>) {
  const told: string[] = [];
  const state = new ClusterState(cluster({ limits, ...fields }), {
    clock,
    wheel: new TimerWheel(clock),
    random: seededRandom(thread),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    observer: { onClusterEvent: ({ kind }) => told.push(kind) },
    shared: new SharedState(memory, thread, 0),
    createPool: () => ({ drain() {}, close() {} }),
  });
  state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
  return { state, told };
}

function inUse(memory: SharedMemory): number[] {
  const state = new SharedState(memory, 0, 0);
  return (["counts", "breakers", "detectors", "hosts"] as const).map((name) => state.table(name).size);
}

test("limits are the process's, also as they are shown, and each priority's own", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 8);
  const [a, b] = [join(memory, 0, clock, {}), join(memory, 1, clock, {})];
  assert.equal(a.state.limits.tryAcquireRequest(), true);
  assert.equal(b.state.limits.tryAcquireRequest(), true);
  assert.equal(b.state.limits.tryAcquireRequest(), true);
  assert.equal(a.state.limits.tryAcquireRequest(), false);
  assert.equal(a.state.highLimits.tryAcquireRequest(), true);
  assert.equal(a.state.report().limits.default.remaining.requests, 0);
  assert.equal(a.state.stats.upstream_rq_pending_overflow, 1);
  assert.equal(b.state.stats.upstream_rq_pending_overflow, 0);
  assert.equal(a.state.limits.tryAcquireConnection(true), true);
  assert.equal(b.state.limits.tryAcquireConnection(false), false);
  assert.equal(b.state.limits.tryAcquireConnection(true), true, "an endpoint's first, as for one thread");
  b.state.limits.releaseRequest();
  assert.equal(a.state.limits.tryAcquireRequest(), true);
  a.state.close();
  b.state.close();
});

test("what a cluster that goes has under way counts until it ends; then nothing of it is left", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 8);
  const fields = { outlierDetection: DEFAULT_OUTLIER_DETECTION, outrigger: { ...OWN_POLICY, breaker } };
  const [a, b] = [join(memory, 0, clock, fields), join(memory, 1, clock, fields)];
  assert.deepEqual(inUse(memory), [1, 1, 1, 2]);
  a.state.limits.tryAcquireRequest();
  a.state.drain("removed");
  b.state.drain("removed");
  assert.deepEqual(inUse(memory), [1, 0, 0, 0]);
  const again = join(memory, 1, clock, fields);
  assert.equal(again.state.limits.requests, 1);
  a.state.limits.releaseRequest();
  assert.equal(again.state.limits.requests, 0);
  a.state.recordOutcome(false, 1);
  a.state.limits.releaseRequest();
  again.state.close();
  assert.deepEqual(inUse(memory), [0, 0, 0, 0]);
});

test("a breaker that one thread's failures open refuses in all; another policy begins anew in each that has it", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 8);
  const fields = { outrigger: { ...OWN_POLICY, breaker } };
  const [a, b] = [join(memory, 0, clock, fields), join(memory, 1, clock, fields)];
  for (let i = 0; i < 4; i++) a.state.recordOutcome(false, 1);
  assert.equal(b.state.breaker?.allow(), false);
  assert.deepEqual([a.told, b.told], [["breaker_opened"], []]);
  const changed = cluster({ limits, outrigger: { ...OWN_POLICY, breaker: { ...breaker, minimumCalls: 9 } } });
  a.state.updateConfig(changed);
  assert.equal(a.state.breaker?.allow(), true);
  assert.equal(b.state.breaker?.allow(), false, "it has the old policy still");
  b.state.updateConfig(changed);
  assert.equal(b.state.breaker?.allow(), true);
  assert.deepEqual(inUse(memory), [1, 1, 0, 0]);
  a.state.close();
  b.state.close();
});

test("an endpoint that one thread ejects gets nothing from another, which says why", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 8);
  const fields = { outlierDetection: { ...DEFAULT_OUTLIER_DETECTION, maxEjectionPercent: 50 } };
  const [a, b] = [join(memory, 0, clock, fields), join(memory, 1, clock, fields)];
  const picks = (): string[] => [...new Set(Array.from({ length: 8 }, () => b.state.choose(FIRST)?.name ?? ""))].sort();
  assert.deepEqual(picks(), ["10.0.0.1:80", "10.0.0.2:80"]);
  const [first] = a.state.endpoints;
  for (let i = 0; i < 5; i++) first?.recordResponse(500);
  assert.deepEqual(picks(), ["10.0.0.2:80"]);
  clock.tick(3000);
  assert.match(b.state.why(), /^10\.0\.0\.1:80 ejected 3 s ago: 5 consecutive 5xx; 1 of 2 in service$/);
  assert.equal(b.state.report().outlier?.ejections_active, 1);
  assert.equal(b.state.stats.membership_healthy, 1);
  a.state.updateEndpoints(endpointSet("10.0.0.2:80"));
  assert.deepEqual(picks(), ["10.0.0.2:80"], "it stays out while a thread knows of it");
  a.state.close();
  b.state.close();
  assert.deepEqual(inUse(memory), [0, 0, 0, 0]);
});

test("a thread that has no traffic shows what the others have ejected", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 8);
  const fields = { outlierDetection: { ...DEFAULT_OUTLIER_DETECTION, maxEjectionPercent: 50 } };
  const [a, b] = [join(memory, 0, clock, fields), join(memory, 1, clock, fields)];
  const [first] = a.state.endpoints;
  for (let i = 0; i < 5; i++) first?.recordResponse(500);
  assert.deepEqual(
    b.state.report().endpoints.map(({ health }) => health),
    ["ejected", "healthy"],
  );
  a.state.close();
  b.state.close();
});

test("without room a cluster works as if its thread were alone", () => {
  using clock = mockClock();
  const memory = createSharedMemory(1, 1);
  const fields = { outlierDetection: DEFAULT_OUTLIER_DETECTION, outrigger: { ...OWN_POLICY, breaker } };
  const only = join(memory, 0, clock, fields);
  const none = join(memory, 0, clock, { name: "carts", ...fields });
  for (let i = 0; i < 3; i++) assert.equal(none.state.limits.tryAcquireRequest(), true);
  assert.equal(none.state.limits.tryAcquireRequest(), false);
  for (let i = 0; i < 4; i++) none.state.recordOutcome(false, 1);
  assert.equal(none.state.breaker?.allow(), false);
  assert.equal(only.state.breaker?.allow(), true);
  const [first] = none.state.endpoints;
  for (let i = 0; i < 5; i++) first?.recordResponse(500);
  only.state.close();
  none.state.close();
  assert.deepEqual(inUse(memory), [0, 0, 0, 0]);
});
