/** PINGs that show whether a peer lives, on simulated time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import type { Http2Options } from "../../../model/http.ts";
import { Keepalive } from "./keepalive.ts";

function setup(options: Partial<NonNullable<Http2Options["keepalive"]>>, random = 0) {
  const clock = new SimulatedClock();
  const events = new EventClock(clock);
  const wheel = new TimerWheel(events);
  const seen = { pings: 0, timeouts: 0 };
  const keepalive = new Keepalive(
    { intervalMs: 0, timeoutMs: 200, intervalJitterPercent: 0, idleIntervalMs: 0, ...options },
    wheel,
    () => random,
    { ping: () => seen.pings++, onKeepaliveTimeout: () => seen.timeouts++ },
  );
  const pass = (ms: number): void => {
    clock.advance(ms);
    // As each event of a socket does.
    events.refresh();
  };
  return { pass, wheel, keepalive, seen };
}

test("a peer that answers is asked again after each interval", () => {
  const { pass, keepalive, seen, wheel } = setup({ intervalMs: 1000 });
  for (let i = 1; i <= 5; i++) {
    pass(1010);
    assert.equal(seen.pings, i);
    pass(100);
    keepalive.onActivity();
  }
  keepalive.stop();
  pass(10_000);
  assert.deepEqual([seen, wheel.size], [{ pings: 5, timeouts: 0 }, 0]);
});

test("a peer that does not answer in time is given up", () => {
  const { pass, seen } = setup({ intervalMs: 1000 });
  pass(1010);
  pass(170);
  assert.equal(seen.timeouts, 0);
  pass(30);
  assert.deepEqual(seen, { pings: 1, timeouts: 1 });
});

test("anything that comes is an answer", () => {
  const { pass, keepalive, seen } = setup({ intervalMs: 1000 });
  pass(1010);
  keepalive.onActivity();
  pass(900);
  assert.deepEqual(seen, { pings: 1, timeouts: 0 });
});

test("intervals are longer by a part of the jitter, so that connections do not ping together", () => {
  const { pass, seen } = setup({ intervalMs: 1000, intervalJitterPercent: 20 }, 0.5);
  pass(1080);
  assert.equal(seen.pings, 0);
  pass(40);
  assert.equal(seen.pings, 1);
});

test("a connection that was idle for long is tried with its next stream, and only then", () => {
  const { pass, keepalive, seen } = setup({ idleIntervalMs: 5000 });
  pass(4000);
  keepalive.onNewStream();
  assert.equal(seen.pings, 0);
  pass(2000);
  keepalive.onNewStream();
  keepalive.onNewStream();
  assert.equal(seen.pings, 1);
  keepalive.onActivity();
  pass(1000);
  keepalive.onNewStream();
  assert.deepEqual(seen, { pings: 1, timeouts: 0 });
});
