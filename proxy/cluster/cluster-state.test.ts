import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Clock, SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { Cluster } from "../../model/cluster.ts";
import {
  cluster,
  DEFAULT_LIMITS,
  DEFAULT_OUTLIER_DETECTION,
  endpoint,
  endpointSet,
  OWN_POLICY,
} from "../../test/support/clusters.ts";
import { mockClock } from "../../test/support/mock-clock.ts";
import { type ClusterState, createClusterState } from "./cluster-state.ts";
import type { DnsResolver } from "./dns-resolver.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { ClusterEvent } from "./events.ts";
import type { LbContext } from "./load-balancer/load-balancer.ts";

interface TestPool {
  readonly of: string;
  drained: string;
  closed: boolean;
  drain(reason: string): void;
  close(): void;
}

const FIRST: LbContext = { hash: null, hostSelectionRetries: 0, triedHosts: [], destination: null };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function make(config: Cluster, clock: Clock = new SimulatedClock(), resolver?: DnsResolver) {
  const events: ClusterEvent[] = [];
  const pools: TestPool[] = [];
  let ready = 0;
  const state: ClusterState<TestPool> = createClusterState<TestPool>(config, {
    clock,
    wheel: new TimerWheel(clock),
    random: seededRandom(7),
    log: quiet,
    observer: { onClusterEvent: (event) => events.push(event) },
    createPool: (of) => {
      const pool: TestPool = {
        of: of.name,
        drained: "",
        closed: false,
        drain(reason) {
          pool.drained = reason;
        },
        close() {
          pool.closed = true;
        },
      };
      pools.push(pool);
      return pool;
    },
    ...(resolver === undefined ? {} : { resolver }),
    onReady: () => ready++,
  });
  return { state, events, pools, ready: () => ready };
}

function names(state: ClusterState<TestPool>, picks = 20): string[] {
  const found = new Set<string>();
  for (let i = 0; i < picks; i++) found.add(state.choose(FIRST)?.name ?? "none");
  return [...found].sort();
}

function byName(state: ClusterState<TestPool>, name: string): EndpointState<TestPool> {
  const found = [...state.endpoints].find((it) => it.name === name);
  assert.ok(found, name);
  return found;
}

describe("a retry", () => {
  const lbPolicy = { kind: "least_request", choiceCount: 2 } as const;
  const discovery = { kind: "static", endpoints: endpointSet("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80") } as const;

  test("under Outrigger's own policy goes to an endpoint that was not tried, however idle that one looks", () => {
    const { state } = make(cluster({ lbPolicy, discovery, outrigger: OWN_POLICY }));
    const [idle, busy, busier] = state.endpoints;
    assert.ok(idle && busy && busier);
    busy.activeRequests = 50;
    busier.activeRequests = 60;
    const choose = (...triedHosts: readonly object[]): string =>
      state.choose({ hash: null, hostSelectionRetries: 1, triedHosts, destination: null })?.name ?? "none";
    for (let i = 0; i < 50; i++) assert.notEqual(choose(idle), idle.name);
    for (let i = 0; i < 50; i++) assert.equal(choose(idle, busy), busier.name);
    assert.notEqual(choose(idle, busy, busier), "none");
  });

  test("under Envoy's takes what came after as many draws as are configured", () => {
    const { state } = make(cluster({ lbPolicy, discovery }));
    const [idle] = state.endpoints;
    assert.ok(idle);
    for (const endpoint of state.endpoints) endpoint.activeRequests = endpoint === idle ? 0 : 50;
    const context: LbContext = { hash: null, hostSelectionRetries: 1, triedHosts: [idle], destination: null };
    assert.ok(Array.from({ length: 100 }, () => state.choose(context)).includes(idle));
  });
});

describe("endpoints", () => {
  test("EDS: none, and not ready, until a set comes; an empty one counts", () => {
    const { state, ready } = make(cluster());
    assert.equal(state.ready, false);
    assert.equal(state.choose(FIRST), null);
    assert.equal(state.why(), "no endpoints have been discovered yet");
    assert.equal(state.stats.upstream_cx_none_healthy, 1);
    state.updateEndpoints(endpointSet());
    assert.equal(state.ready, true);
    assert.equal(state.why(), "the cluster has no endpoints");
    state.updateEndpoints(endpointSet("10.0.0.1:80"));
    assert.deepEqual(names(state), ["10.0.0.1:80"]);
    assert.equal(ready(), 1);
  });

  test("static: ready at once", () => {
    const { state } = make(cluster({ discovery: { kind: "static", endpoints: endpointSet("10.0.0.1:80") } }));
    assert.equal(state.ready, true);
    assert.equal(state.stats.membership_healthy, 1);
  });

  test("an endpoint keeps its identity, pool and counts while it stays, and drains when it goes", () => {
    const { state, pools } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
    const stays = byName(state, "10.0.0.1:80");
    const goes = byName(state, "10.0.0.2:80");
    state.poolOf(stays);
    state.poolOf(goes);
    stays.rq_total = 7;
    state.updateEndpoints(endpointSet(endpoint("10.0.0.1:80", { weight: 5 }), "10.0.0.3:80"));
    assert.equal(byName(state, "10.0.0.1:80"), stays);
    assert.equal(stays.weight, 5);
    assert.equal(stays.rq_total, 7);
    assert.equal(state.poolOf(stays), pools[0]);
    assert.equal(pools.length, 2);
    assert.equal(pools[0]?.drained, "");
    assert.equal(pools[1]?.drained, "the endpoint was removed");
    assert.equal(goes.removed, true);
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.3:80"]);
    assert.equal(state.stats.membership_change, 2);
    assert.equal(state.stats.membership_total, 2);
  });

  test("other TLS settings of an endpoint mean a new pool", () => {
    const { state, pools } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80"));
    state.poolOf(byName(state, "10.0.0.1:80"));
    state.updateEndpoints(endpointSet(endpoint("10.0.0.1:80", { transportSocketMatch: { tlsMode: "istio" } })));
    assert.match(pools[0]?.drained ?? "", /TLS settings changed/);
    state.poolOf(byName(state, "10.0.0.1:80"));
    assert.equal(pools.length, 2);
  });

  test("health that discovery tells", () => {
    const { state } = make(cluster());
    state.updateEndpoints(
      endpointSet(
        "10.0.0.1:80",
        "10.0.0.2:80",
        endpoint("10.0.0.3:80", { health: "unhealthy" }),
        endpoint("10.0.0.4:80", { health: "draining" }),
      ),
    );
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert.equal(
      state.why(),
      "10.0.0.3:80 unhealthy according to endpoint discovery; 10.0.0.4:80 draining according to endpoint discovery; 2 of 4 in service",
    );
  });

  test("an address that comes twice counts once", () => {
    const { state } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80"));
    assert.equal(state.stats.membership_total, 2);
    const picks = Array.from({ length: 100 }, () => state.choose(FIRST)?.name);
    assert.equal(picks.filter((name) => name === "10.0.0.1:80").length, 50);
  });

  test("whatever sets come, states are those of the last set, one for each address, the same ones as before", () => {
    const sets = fc.array(fc.uniqueArray(fc.nat(6), { maxLength: 7 }), { maxLength: 12 });
    fc.assert(
      fc.property(sets, (updates) => {
        const { state } = make(cluster());
        let before = new Map<string, EndpointState<TestPool>>();
        for (const update of updates) {
          state.updateEndpoints(endpointSet(...update.map((n) => `10.0.0.${n}:80`)));
          const after = new Map([...state.endpoints].map((it) => [it.name, it]));
          assert.deepEqual([...after.keys()].sort(), update.map((n) => `10.0.0.${n}:80`).sort());
          for (const [name, it] of after) if (before.has(name)) assert.equal(it, before.get(name));
          for (const [name, it] of before) assert.equal(it.removed, !after.has(name));
          before = after;
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("DNS", () => {
  const dns = { refreshRateMs: 5000, respectTtl: false, lookupFamily: "v4_only" } as const;
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("STRICT_DNS: ready when resolved; a failure later keeps what was found", async () => {
    const clock = new SimulatedClock();
    let fail = false;
    const { state, ready } = make(
      cluster({ discovery: { kind: "strict_dns", endpoints: endpointSet("a.test:80"), dns } }),
      clock,
      async () => {
        if (fail) throw new Error("SERVFAIL");
        return ["10.0.0.1", "10.0.0.2"].map((address) => ({ address, ttlS: null }));
      },
    );
    assert.equal(state.ready, false);
    await settle();
    assert.equal(ready(), 1);
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.2:80"]);
    fail = true;
    clock.advance(6000);
    await settle();
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert.equal(state.stats.update_failure, 1);
    state.close();
    assert.equal(clock.pending, 0);
  });

  test("LOGICAL_DNS: one endpoint that lives on while its address changes", async () => {
    const clock = new SimulatedClock();
    let address = "10.0.0.1";
    const { state, pools } = make(
      cluster({ discovery: { kind: "logical_dns", endpoints: endpointSet("a.test:80"), dns } }),
      clock,
      async () => [{ address, ttlS: null }],
    );
    await settle();
    const only = byName(state, "10.0.0.1:80");
    state.poolOf(only);
    address = "10.0.0.2";
    clock.advance(6000);
    await settle();
    assert.equal(byName(state, "10.0.0.2:80"), only);
    assert.equal(pools[0]?.drained, "");
    state.close();
  });
});

describe("configuration updates", () => {
  test("what is sent again unchanged changes nothing, not even whose turn it is", () => {
    const { state } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
    const picks: (string | undefined)[] = [];
    for (let i = 0; i < 8; i++) {
      picks.push(state.choose(FIRST)?.name);
      state.updateConfig(cluster());
      state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
    }
    for (let i = 1; i < picks.length; i++) assert.notEqual(picks[i], picks[i - 1]);
    assert.equal(state.stats.update_success, 9);
  });

  test("another balancing policy takes effect", () => {
    const { state } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
    byName(state, "10.0.0.1:80").activeRequests = 50;
    state.updateConfig(cluster({ lbPolicy: { kind: "least_request", choiceCount: 9 } }));
    const picks = Array.from({ length: 50 }, () => state.choose(FIRST)?.name);
    assert.ok(picks.filter((name) => name === "10.0.0.1:80").length < 5);
  });

  test("limits change in place, counts stay", () => {
    const { state } = make(cluster());
    state.limits.tryAcquireRequest();
    const limits = { default: { ...DEFAULT_LIMITS, maxRequests: 1 }, high: DEFAULT_LIMITS };
    state.updateConfig(cluster({ limits }));
    assert.equal(state.limits.tryAcquireRequest(), false);
    assert.equal(state.limitsFor("high").tryAcquireRequest(), true);
  });

  test("endpoints of a static cluster change with its configuration", () => {
    const fixed = (at: string) => cluster({ discovery: { kind: "static", endpoints: endpointSet(at) } });
    const { state } = make(fixed("10.0.0.1:80"));
    state.updateConfig(fixed("10.0.0.2:80"));
    assert.deepEqual(names(state), ["10.0.0.2:80"]);
  });

  test("pools are replaced only when connections are to be made differently", () => {
    const { state, pools } = make(cluster());
    state.updateEndpoints(endpointSet("10.0.0.1:80"));
    state.poolOf(byName(state, "10.0.0.1:80"));
    state.updateConfig(cluster({ lbPolicy: { kind: "random" }, connectTimeoutMs: 1 }));
    assert.equal(pools[0]?.drained, "");
    state.updateConfig(cluster({ bindAddress: { kind: "tcp", host: "127.0.0.6", port: 0 } }));
    assert.match(pools[0]?.drained ?? "", /connection settings changed/);
    assert.equal(state.poolOf(byName(state, "10.0.0.1:80")), pools[1]);
  });

  test("an unchanged breaker keeps its state; another policy makes another breaker", () => {
    using clock = mockClock();
    const breaker = { errorPercent: 50, minimumCalls: 2, windowMs: 1000, openForMs: 500 };
    const { state } = make(cluster({ outrigger: { ...OWN_POLICY, breaker } }), clock);
    state.recordOutcome(false, 1);
    state.recordOutcome(false, 1);
    assert.equal(state.breaker?.state, "open");
    state.updateConfig(cluster({ outrigger: { ...OWN_POLICY, breaker: { ...breaker }, source: "elsewhere.yaml:3" } }));
    assert.equal(state.breaker?.state, "open");
    state.updateConfig(cluster({ outrigger: { ...OWN_POLICY, breaker: { ...breaker, minimumCalls: 3 } } }));
    assert.equal(state.breaker?.state, "closed");
    state.updateConfig(cluster());
    assert.equal(state.breaker, null);
    state.close();
  });

  test("a cluster that goes drains its pools and leaves no timer", () => {
    const clock = new SimulatedClock();
    const { state, pools } = make(cluster({ outlierDetection: DEFAULT_OUTLIER_DETECTION }), clock);
    state.updateEndpoints(endpointSet("10.0.0.1:80"));
    state.poolOf(byName(state, "10.0.0.1:80"));
    state.drain("the cluster was removed");
    assert.equal(pools[0]?.drained, "the cluster was removed");
    assert.equal(clock.pending, 0);
    state.close();
    assert.equal(pools[0]?.closed, true);
  });
});

describe("resilience", () => {
  const outlierDetection = {
    ...DEFAULT_OUTLIER_DETECTION,
    maxEjectionPercent: 50,
    baseEjectionTimeMs: 1000,
    intervalMs: 500,
  };

  function fail(it: EndpointState, times = 5): void {
    for (let i = 0; i < times; i++) it.recordResponse(500);
  }

  test("an ejected endpoint gets nothing, says why, and comes back", () => {
    const clock = new SimulatedClock();
    const { state, events } = make(cluster({ outlierDetection }), clock);
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"));
    fail(byName(state, "10.0.0.2:80"));
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.3:80"]);
    assert.equal(state.stats.membership_healthy, 2);
    clock.advance(400);
    assert.equal(state.why(), "10.0.0.2:80 ejected 400 ms ago: 5 consecutive 5xx; 2 of 3 in service");
    assert.match(state.report().endpoints[1]?.out ?? "", /5 consecutive 5xx/);
    clock.advance(600);
    assert.equal(names(state).length, 3);
    assert.deepEqual(
      events.map((event) => event.kind),
      ["ejected", "readmitted"],
    );
    state.close();
  });

  test("an ejection outlives an endpoint update", () => {
    const { state } = make(cluster({ outlierDetection }));
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80"));
    fail(byName(state, "10.0.0.2:80"));
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"));
    assert.deepEqual(names(state), ["10.0.0.1:80", "10.0.0.3:80"]);
    state.close();
  });

  test("under Outrigger's policy one first attempt probes an ejected endpoint; retries do not", () => {
    using clock = mockClock();
    const { state, events } = make(cluster({ outlierDetection, outrigger: OWN_POLICY }), clock);
    state.updateEndpoints(endpointSet("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"));
    const out = byName(state, "10.0.0.2:80");
    fail(out);
    clock.tick(1000);
    const retry: LbContext = { hash: null, hostSelectionRetries: 1, triedHosts: [], destination: null };
    for (let i = 0; i < 10; i++) assert.notEqual(state.choose(retry), out);
    const chosen = Array.from({ length: 10 }, () => state.choose(FIRST));
    assert.equal(chosen.filter((it) => it === out).length, 1);
    assert.equal(chosen[0], out);
    out.recordResponse(200);
    assert.equal(names(state).length, 3);
    assert.deepEqual(
      events.map((event) => event.kind),
      ["ejected", "probe", "readmitted"],
    );
    state.close();
  });

  test("the breaker tells with the arithmetic what it does", () => {
    using clock = mockClock();
    const breaker = { errorPercent: 50, minimumCalls: 20, windowMs: 10_000, openForMs: 5000 };
    const { state, events } = make(cluster({ outrigger: { ...OWN_POLICY, breaker } }), clock);
    for (let i = 0; i < 11; i++) state.recordOutcome(true, 1);
    for (let i = 0; i < 12; i++) state.recordOutcome(false, 1);
    assert.equal(state.breaker?.allow(), false);
    clock.tick(5000);
    assert.equal(state.breaker?.allow(), true);
    state.recordOutcome(false, 1);
    clock.tick(5000);
    assert.equal(state.breaker?.allow(), true);
    state.recordAbandoned();
    assert.equal(state.breaker?.allow(), true);
    state.recordOutcome(true, 1);
    assert.deepEqual(
      events.map((event) => event.message),
      [
        "opened for 5 s: 12 of 23 calls failed (52.2% > 50%) in 10 s",
        "half-open after 5 s: one call is let through",
        "opened again for 5 s: the call that was let through failed",
        "half-open after 5 s: one call is let through",
        "closed: the call that was let through succeeded",
      ],
    );
    assert.equal(state.report().breaker?.opened, 2);
    state.close();
  });

  test("a dry run counts what the breaker would refuse", () => {
    using clock = mockClock();
    const breaker = { errorPercent: 50, minimumCalls: 2, windowMs: 10_000, openForMs: 5000 };
    const { state, events } = make(cluster({ outrigger: { ...OWN_POLICY, breaker, mode: "dry_run" } }), clock);
    state.recordOutcome(false, 1);
    state.recordOutcome(false, 1);
    assert.equal(state.breaker?.allow(), true);
    assert.equal(state.stats.breaker_would_reject, 1);
    assert.match(events[0]?.message ?? "", /dry run/);
    state.close();
  });
});
