/** ORIGINAL_DST clusters: endpoints come with the calls to them and go when nobody calls them any more. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { seededRandom } from "../../core/random.ts";
import { TimerWheel } from "../../core/timer-wheel.ts";
import { cluster, endpoint, endpointSet } from "../../test/support/clusters.ts";
import { ClusterState } from "./cluster-state.ts";
import { addressMeant } from "./destination.ts";
import type { Destination, LbContext } from "./load-balancer/load-balancer.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const CLEANUP_MS = 5000;

function to(destination: Destination | null): LbContext {
  return { hash: null, hostSelectionRetries: 0, triedHosts: [], destination };
}

function make(fields: Parameters<typeof cluster>[0]) {
  const clock = new SimulatedClock();
  const drained: string[] = [];
  const state = new ClusterState(cluster(fields), {
    clock,
    wheel: new TimerWheel(clock),
    random: seededRandom(1),
    log: quiet,
    observer: { onClusterEvent() {} },
    createPool: (of) => ({ drain: () => void drained.push(of.name), close() {} }),
  });
  const names = (): string[] => [...state.endpoints].map(({ name }) => name);
  return { clock, state, drained, names };
}

const originalDst = () =>
  make({
    lbPolicy: { kind: "cluster_provided" },
    discovery: { kind: "original_dst", cleanupIntervalMs: CLEANUP_MS },
  });

describe("an ORIGINAL_DST cluster", () => {
  test("is ready at once and sends each call where it was going, IPv4 and IPv6", () => {
    const { state } = originalDst();
    assert.equal(state.ready, true);
    const first = state.choose(to({ host: "192.0.2.7", port: 80 }));
    assert.equal(first?.name, "192.0.2.7:80");
    assert.equal(state.choose(to({ host: "192.0.2.7", port: 80 })), first);
    assert.equal(state.choose(to({ host: "192.0.2.7", port: 81 }))?.name, "192.0.2.7:81");
    assert.equal(state.choose(to({ host: "2001:db8::7", port: 80 }))?.name, "[2001:db8::7]:80");
    assert.equal(state.stats.membership_total, 3);
    assert.equal(state.stats.membership_healthy, 3);
  });

  test("has no host for a call that nobody intercepted", () => {
    const { state } = originalDst();
    assert.equal(state.choose(to(null)), null);
    assert.match(state.why(), /its connection was not intercepted/);
    assert.equal(state.stats.upstream_cx_none_healthy, 1);
  });

  test("forgets endpoints that are not used, and keeps those with connections or calls", () => {
    const { clock, state, drained, names } = originalDst();
    const [idle, connected, busy] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((host) =>
      state.choose(to({ host, port: 80 })),
    );
    assert.ok(idle && connected && busy);
    state.poolOf(idle);
    connected.activeConnections = 1;
    busy.activeRequests = 1;
    // They were used since the last time that somebody looked.
    clock.advance(CLEANUP_MS + 20);
    assert.equal(names().length, 3);
    clock.advance(CLEANUP_MS + 20);
    assert.deepEqual(names(), [connected.name, busy.name]);
    assert.deepEqual(drained, [idle.name]);
    assert.equal(idle.removed, true);
    assert.equal(state.stats.membership_total, 2);
    connected.activeConnections = 0;
    busy.activeRequests = 0;
    clock.advance(CLEANUP_MS + 20);
    assert.deepEqual(names(), []);
    // A new call makes a new one, and begins to look again.
    assert.notEqual(state.choose(to({ host: "192.0.2.1", port: 80 })), idle);
    clock.advance(2 * CLEANUP_MS + 40);
    assert.deepEqual(names(), []);
  });

  test("keeps callers apart whose address is kept, also after they were forgotten", () => {
    const { clock, state, names } = originalDst();
    const at = (source?: string) =>
      state.choose(to({ host: "10.0.0.1", port: 80, ...(source === undefined ? {} : { source }) }));
    const [one, another, none] = [at("10.9.9.1"), at("10.9.9.2"), at()];
    assert.deepEqual([one?.source, another?.source, none?.source], ["10.9.9.1", "10.9.9.2", ""]);
    assert.equal(at("10.9.9.1"), one);
    // One address, whoever calls it.
    assert.deepEqual(names(), ["10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80"]);
    clock.advance(2 * CLEANUP_MS + 40);
    assert.deepEqual(names(), []);
    assert.equal(at("10.9.9.1")?.source, "10.9.9.1");
  });

  test("gives its endpoints up when it becomes a cluster of another kind", () => {
    const { state, names } = originalDst();
    const before = state.choose(to({ host: "192.0.2.1", port: 80 }));
    state.updateConfig(cluster({ discovery: { kind: "static", endpoints: endpointSet(endpoint("192.0.2.9:80")) } }));
    assert.deepEqual(names(), ["192.0.2.9:80"]);
    assert.equal(before?.removed, true);
    assert.equal(state.choose(to(null))?.name, "192.0.2.9:80");
  });
});

test("a pinned call goes to the endpoint that it asked for, and nowhere else", () => {
  const { state } = make({
    discovery: {
      kind: "static",
      endpoints: endpointSet(endpoint("192.0.2.1:80"), endpoint("192.0.2.2:80")),
    },
  });
  for (let i = 0; i < 5; i++) assert.equal(state.choose(to({ host: "192.0.2.2", port: 80 }))?.name, "192.0.2.2:80");
  const gone = { host: "192.0.2.3", port: 80 };
  assert.equal(state.choose(to(gone)), null);
  assert.match(state.why(gone), /^192\.0\.2\.3:80, which was called by its own address, is no endpoint any more$/);
  assert.equal(state.stats.upstream_cx_none_healthy, 1);
});

describe("an endpoint with several addresses", () => {
  const two = (host: string, ...others: string[]) =>
    endpoint(`${host}:80`, {
      additionalAddresses: others.map((other) => ({ kind: "tcp" as const, host: other, port: 80 })),
    });
  const eds = (...endpoints: ReturnType<typeof endpoint>[]) => {
    const made = make({});
    made.state.updateEndpoints(endpointSet(...endpoints));
    return made;
  };
  const at = (host: string) => ({ host, port: 80 });

  test("is found by each of them, and told which of them is meant", () => {
    const { state } = eds(two("192.0.2.1", "2001:db8::1"), endpoint("192.0.2.2:80"));
    for (const host of ["192.0.2.1", "2001:db8::1"]) {
      const found = state.choose(to(at(host)));
      assert.equal(found?.name, "192.0.2.1:80");
      assert.deepEqual(addressMeant(found, to(at(host))), { kind: "tcp", host, port: 80 });
      assert.equal(addressMeant(found, to(null)), null);
    }
    const single = state.choose(to(at("192.0.2.2")));
    assert.ok(single);
    assert.equal(addressMeant(single, to(at("192.0.2.2"))), null);
    assert.equal(state.choose(to({ host: "2001:db8::1", port: 81 })), null);
    assert.equal(state.stats.membership_total, 2);
  });

  test("has an address of another's only where that is not the other's first", () => {
    const { state } = eds(two("192.0.2.1", "192.0.2.2", "2001:db8::9"), two("192.0.2.2", "2001:db8::9"));
    assert.equal(state.choose(to(at("192.0.2.2")))?.name, "192.0.2.2:80");
    assert.equal(state.choose(to(at("2001:db8::9")))?.name, "192.0.2.1:80");
  });

  test("that has others from now on keeps its counts and begins its connections anew", () => {
    const { state, drained } = eds(two("192.0.2.1", "2001:db8::1"));
    const before = state.choose(to(at("192.0.2.1")));
    assert.ok(before);
    state.poolOf(before);
    state.updateEndpoints(endpointSet({ ...two("192.0.2.1", "2001:db8::1"), weight: 2 }));
    assert.deepEqual(drained, []);
    state.updateEndpoints(endpointSet(two("192.0.2.1", "2001:db8::2")));
    assert.equal(state.choose(to(at("2001:db8::2"))), before);
    assert.equal(state.choose(to(at("2001:db8::1"))), null);
    assert.deepEqual(drained, ["192.0.2.1:80"]);
  });
});
