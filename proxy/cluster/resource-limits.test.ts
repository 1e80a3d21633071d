import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CircuitBreakerLimits } from "../../model/cluster.ts";
import { DEFAULT_LIMITS } from "../../test/support/clusters.ts";
import { ClusterStats } from "./cluster-stats.ts";
import { ResourceLimits } from "./resource-limits.ts";

function make(fields: Partial<CircuitBreakerLimits>, dryRun = false) {
  const stats = new ClusterStats();
  return { stats, limits: new ResourceLimits({ ...DEFAULT_LIMITS, ...fields }, stats, dryRun) };
}

test("grants up to the limit, counts what it refuses, and grants again after a release", () => {
  const { limits, stats } = make({ maxRequests: 2, maxPendingRequests: 1 });
  assert.equal(limits.tryAcquireRequest(), true);
  assert.equal(limits.tryAcquireRequest(), true);
  assert.equal(limits.tryAcquireRequest(), false);
  assert.equal(limits.tryAcquirePending(), true);
  assert.equal(limits.tryAcquirePending(), false);
  assert.equal(stats.upstream_rq_pending_overflow, 2);
  assert.deepEqual(limits.remaining(), { connections: 1024, pending: 0, requests: 0, retries: 3 });
  limits.releaseRequest();
  assert.equal(limits.tryAcquireRequest(), true);
});

test("a limit of 0 refuses everything", () => {
  const { limits } = make({ maxRequests: 0, maxPendingRequests: 0, maxRetries: 0 });
  assert.equal(limits.tryAcquireRequest(), false);
  assert.equal(limits.tryAcquirePending(), false);
  assert.equal(limits.tryAcquireRetry(), false);
});

test("an endpoint without a connection gets its first one over the limit, and the overflow is counted", () => {
  const { limits, stats } = make({ maxConnections: 1 });
  assert.equal(limits.tryAcquireConnection(false), true);
  assert.equal(limits.tryAcquireConnection(false), false);
  assert.equal(limits.tryAcquireConnection(true), true);
  assert.equal(stats.upstream_cx_overflow, 2);
  assert.equal(limits.connections, 2);
});

test("a retry budget is a share of what is active and pending, with a floor", () => {
  const { limits, stats } = make({ retryBudget: { percent: 20, minRetryConcurrency: 3 } });
  assert.equal(limits.maxRetries, 3);
  for (let i = 0; i < 19; i++) limits.tryAcquireRequest();
  limits.tryAcquirePending();
  assert.equal(limits.maxRetries, 4, "20% of 20");
  for (let i = 0; i < 4; i++) assert.equal(limits.tryAcquireRetry(), true);
  assert.equal(limits.tryAcquireRetry(), false);
  assert.equal(stats.upstream_rq_retry_overflow, 1);
});

test("a dry run grants and counts, up to Envoy's default", () => {
  const { limits, stats } = make({ maxRequests: 1, maxRetries: 0, maxConnections: 0 }, true);
  for (let i = 0; i < 1024; i++) assert.equal(limits.tryAcquireRequest(), true);
  assert.equal(stats.limits_would_overflow, 1023);
  assert.equal(limits.tryAcquireRequest(), false);
  assert.equal(limits.tryAcquireConnection(false), true);
  assert.equal(stats.upstream_cx_overflow, 0);
});

test("lowering a limit takes nothing away from what is under way", () => {
  const { limits } = make({ maxRequests: 3 });
  for (let i = 0; i < 3; i++) limits.tryAcquireRequest();
  limits.update({ ...DEFAULT_LIMITS, maxRequests: 1 }, false);
  assert.equal(limits.requests, 3);
  assert.equal(limits.remaining().requests, 0);
  limits.releaseRequest();
  limits.releaseRequest();
  assert.equal(limits.tryAcquireRequest(), false);
  limits.releaseRequest();
  assert.equal(limits.tryAcquireRequest(), true);
});

test("counts never fall below zero or rise above their limits, whatever is acquired and released", () => {
  const step = fc.constantFrom(
    "tryAcquirePending",
    "tryAcquireRequest",
    "tryAcquireRetry",
    "releaseConnection",
    "releasePending",
    "releaseRequest",
    "releaseRetry",
    "connect",
  );
  const max = fc.integer({ min: 0, max: 4 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), max, max, max, max, (steps, a, b, c, d) => {
      const { limits } = make({ maxConnections: a, maxPendingRequests: b, maxRequests: c, maxRetries: d });
      for (const name of steps) {
        if (name === "connect") limits.tryAcquireConnection(false);
        else limits[name]();
        assert.ok(limits.connections >= 0 && limits.connections <= a);
        assert.ok(limits.pending >= 0 && limits.pending <= b);
        assert.ok(limits.requests >= 0 && limits.requests <= c);
        assert.ok(limits.retries >= 0 && limits.retries <= d);
      }
    }),
  );
});
