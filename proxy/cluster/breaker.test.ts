import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import CircuitBreaker from "opossum";
import { TimerWheel } from "../../core/timer-wheel.ts";
import type { BreakerPolicy } from "../../model/cluster.ts";
import { type MockClock, mockClock } from "../../test/support/mock-clock.ts";
import { type Breaker, LocalBreaker } from "./breaker.ts";
import type { CircuitState } from "./opossum-circuit.ts";

const POLICY: BreakerPolicy = { errorPercent: 50, minimumCalls: 5, windowMs: 1000, openForMs: 500 };

function make(clock: MockClock, policy = POLICY, mode: "enforce" | "dry_run" = "enforce") {
  const changes: string[] = [];
  const stats = { breaker_would_reject: 0 };
  const breaker = new LocalBreaker(policy, mode, { clock, wheel: new TimerWheel(clock), stats }, (state, totals) => {
    changes.push(`${state} ${totals.failures}/${totals.calls}`);
  });
  return { breaker, changes, stats };
}

function call(breaker: Breaker, success: boolean): boolean {
  if (!breaker.allow()) return false;
  breaker.record(success, 3);
  return true;
}

test("opens when more than errorPercent of at least minimumCalls failed, and says with which counts", () => {
  using clock = mockClock();
  const { breaker, changes } = make(clock);
  for (const success of [true, false, false, true]) call(breaker, success);
  assert.equal(breaker.state, "closed", "below minimumCalls");
  call(breaker, false);
  assert.equal(breaker.state, "open");
  assert.deepEqual(changes, ["open 3/5"]);
  assert.equal(breaker.allow(), false);
  assert.equal(breaker.rejected, 1);
  breaker.close();
});

test("exactly errorPercent does not open it", () => {
  using clock = mockClock();
  const { breaker } = make(clock);
  for (let i = 0; i < 20; i++) call(breaker, i % 2 === 0);
  assert.equal(breaker.state, "closed");
  assert.equal(breaker.stats().errorPercent, 50);
  breaker.close();
});

test("half-open lets one probe through; its success closes, its failure opens again", () => {
  using clock = mockClock();
  const { breaker, changes } = make(clock);
  for (let i = 0; i < 5; i++) call(breaker, false);
  clock.tick(499);
  assert.equal(breaker.state, "open");
  clock.tick(1);
  assert.equal(breaker.state, "half_open");
  assert.equal(breaker.allow(), true);
  assert.equal(breaker.allow(), false, "one probe at a time");
  breaker.record(false, 1);
  assert.equal(breaker.state, "open");
  clock.tick(500);
  assert.equal(breaker.allow(), true);
  breaker.record(true, 1);
  assert.equal(breaker.state, "closed");
  assert.deepEqual(
    changes.map((c) => c.split(" ")[0]),
    ["open", "half_open", "open", "half_open", "closed"],
  );
  breaker.close();
});

test("a probe whose caller went away, or that never ends, gives up its place", () => {
  using clock = mockClock();
  const { breaker } = make(clock);
  for (let i = 0; i < 5; i++) call(breaker, false);
  clock.tick(500);
  assert.equal(breaker.allow(), true);
  breaker.abandon();
  assert.equal(breaker.allow(), true, "abandoned");
  clock.tick(499);
  assert.equal(breaker.allow(), false);
  clock.tick(1);
  assert.equal(breaker.allow(), true, "lost");
  breaker.close();
});

test("a dry run counts what it would refuse, and refuses nothing", () => {
  using clock = mockClock();
  const { breaker, stats } = make(clock, POLICY, "dry_run");
  for (let i = 0; i < 8; i++) assert.equal(call(breaker, false), true);
  assert.equal(breaker.state, "open");
  assert.equal(breaker.rejected, 0);
  assert.equal(stats.breaker_would_reject, 3);
  breaker.close();
});

test("old calls leave the window, and an idle breaker has no timer", () => {
  using clock = mockClock();
  const wheel = new TimerWheel(clock);
  const breaker = new LocalBreaker(POLICY, "enforce", { clock, wheel, stats: { breaker_would_reject: 0 } }, () => {});
  for (let i = 0; i < 4; i++) breaker.record(false, 1);
  assert.equal(wheel.size, 1);
  clock.tick(1200);
  assert.equal(breaker.stats().calls, 0);
  assert.equal(wheel.size, 0);
  breaker.record(false, 1);
  assert.equal(breaker.state, "closed");
  breaker.close();
});

/** Steps of 50 ms from an offset of 25 ms: never within the tolerance after a bucket (100 ms) turns. */
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }).map((n) => n * 50) },
      { weight: 1, arbitrary: fc.integer({ min: 5, max: 60 }).map((n) => n * 50) },
    ),
    success: fc.boolean(),
  }),
  { maxLength: 60 },
);

test("makes the same transitions as plain opossum given each call", async () => {
  const policies = fc.record({
    errorPercent: fc.constantFrom(1, 20, 50, 75, 99),
    minimumCalls: fc.integer({ min: 0, max: 12 }),
    windowMs: fc.constant(1000),
    openForMs: fc.constantFrom(210, 500, 1600),
  });
  await fc.assert(
    fc.asyncProperty(policies, steps, async (policy, script) => {
      using clock = mockClock();
      const ours: CircuitState[] = [];
      const wheel = new TimerWheel(clock);
      const breaker = new LocalBreaker(
        policy,
        "enforce",
        { clock, wheel, stats: { breaker_would_reject: 0 } },
        (state) => ours.push(state),
      );
      const theirs: CircuitState[] = [];
      const oracle = new CircuitBreaker(
        (ok: boolean) => (ok ? Promise.resolve(true) : Promise.reject(new Error("failed"))),
        {
          timeout: false,
          errorThresholdPercentage: policy.errorPercent,
          volumeThreshold: policy.minimumCalls,
          rollingCountTimeout: policy.windowMs,
          rollingCountBuckets: 10,
          resetTimeout: policy.openForMs,
          rollingPercentilesEnabled: false,
        },
      );
      oracle.on("open", () => theirs.push("open"));
      oracle.on("halfOpen", () => theirs.push("half_open"));
      oracle.on("close", () => theirs.push("closed"));
      clock.tick(25);
      for (const step of script) {
        if (step.waitMs > 0) clock.tick(step.waitMs);
        assert.deepEqual(ours, theirs, "after waiting");
        const ran = call(breaker, step.success);
        const refused = await oracle.fire(step.success).then(
          () => false,
          (error: { code?: string }) => error.code === "EOPENBREAKER",
        );
        assert.equal(ran, !refused);
        assert.deepEqual(ours, theirs, "after a call");
        const { failures, calls, rejects } = breaker.stats();
        assert.deepEqual(
          { failures, calls, rejects },
          { failures: oracle.stats.failures, calls: oracle.stats.fires, rejects: oracle.stats.rejects },
        );
      }
      oracle.shutdown();
      breaker.close();
    }),
    { numRuns: 300 },
  );
});
