import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import CircuitBreaker from "opossum";
import { createSharedMemory, SharedState } from "../../core/shared-state.ts";
import type { BreakerPolicy } from "../../model/cluster.ts";
import { type MockClock, mockClock } from "../../test/support/mock-clock.ts";
import type { CircuitState } from "./opossum-circuit.ts";
import { SharedBreaker } from "./shared-breaker.ts";
import { interleave } from "./testing/interleave.ts";

const POLICY: BreakerPolicy = { errorPercent: 50, minimumCalls: 5, windowMs: 1000, openForMs: 500 };

/** The breaker of one cluster as each of several threads has it. */
function make(clock: MockClock, threads: number, policy = POLICY, mode: "enforce" | "dry_run" = "enforce") {
  const memory = createSharedMemory(threads, 4);
  const changes: string[] = [];
  const stats = { breaker_would_reject: 0 };
  const states = Array.from({ length: threads }, (_, thread) => new SharedState(memory, thread, 0));
  const breakers = states.map((shared, thread) =>
    SharedBreaker.acquire("orders", policy, mode, { clock, shared, stats }, (state, totals, before) =>
      changes.push(`${thread}: ${before} → ${state} ${totals.failures}/${totals.calls}`),
    ),
  ) as [SharedBreaker, SharedBreaker, ...SharedBreaker[]];
  return { breakers, changes, states, stats };
}

function call(breaker: SharedBreaker, success: boolean): boolean {
  if (!breaker.allow()) return false;
  breaker.record(success, 3);
  return true;
}

test("opens in all threads at once, by what they have counted together, and is told once", () => {
  using clock = mockClock();
  const { breakers, changes } = make(clock, 2);
  const [a, b] = breakers;
  call(a, true);
  call(a, false);
  call(b, false);
  call(a, true);
  assert.equal(b.allow(), true);
  call(b, false);
  assert.deepEqual(changes, ["1: closed → open 3/5"]);
  assert.equal(a.state, "open");
  assert.equal(a.allow(), false);
  assert.equal(b.allow(), false);
  assert.deepEqual([a.rejected, b.rejected], [1, 1]);
  const { calls, failures, rejects, opened, meanMs } = a.stats();
  assert.deepEqual(
    { calls, failures, rejects, opened, meanMs },
    { calls: 7, failures: 3, rejects: 2, opened: 1, meanMs: 3 },
  );
  assert.deepEqual(a.stats(), b.stats());
  for (const breaker of breakers) breaker.close();
});

test("half-open, one call of the whole process is let through, and decides for all", () => {
  using clock = mockClock();
  const { breakers, changes } = make(clock, 3);
  const [a, b, c] = breakers as [SharedBreaker, SharedBreaker, SharedBreaker];
  for (let i = 0; i < 5; i++) call(a, false);
  clock.tick(499);
  assert.deepEqual([a.state, b.state, c.state], ["open", "open", "open"]);
  clock.tick(1);
  assert.deepEqual([a.state, b.state, c.state], ["half_open", "half_open", "half_open"]);
  assert.equal(b.allow(), true);
  assert.deepEqual([a.allow(), b.allow(), c.allow()], [false, false, false]);
  b.record(false, 1);
  assert.equal(a.state, "open");
  clock.tick(500);
  assert.equal(c.allow(), true);
  assert.equal(a.allow(), false);
  c.record(true, 1);
  assert.deepEqual([a.state, b.state, c.state], ["closed", "closed", "closed"]);
  assert.deepEqual(
    changes.map((change) => change.replace(/ \d.*/, "")),
    ["0: closed → open", "0: open → half_open", "1: half_open → open", "1: open → half_open", "2: half_open → closed"],
  );
  for (const breaker of breakers) breaker.close();
});

test("where the thread in which it opened has ended, another finds that the time is over", () => {
  using clock = mockClock();
  const { breakers, states, changes } = make(clock, 2);
  const [a, b] = breakers;
  for (let i = 0; i < 5; i++) call(a, false);
  a.close();
  states[1]?.releaseThread(0);
  clock.tick(500);
  assert.equal(call(b, true), true);
  assert.equal(b.state, "closed");
  assert.deepEqual(
    changes.map((change) => change.replace(/ \d.*/, "")),
    ["0: closed → open", "1: open → half_open", "1: half_open → closed"],
  );
  b.close();
  assert.equal(states[0]?.table("breakers").size, 0);
});

test("a probe's place is free when its caller goes, when its thread dies, and when it never ends", () => {
  using clock = mockClock();
  const { breakers, states } = make(clock, 2);
  const [a, b] = breakers;
  for (let i = 0; i < 5; i++) call(a, false);
  clock.tick(500);
  assert.equal(a.allow(), true);
  b.abandon();
  assert.equal(b.allow(), false, "it is another thread's");
  a.abandon();
  assert.equal(b.allow(), true, "abandoned");
  states[0]?.releaseThread(1);
  assert.equal(a.allow(), true, "its thread died");
  clock.tick(499);
  assert.equal(a.allow(), false);
  clock.tick(1);
  assert.equal(a.allow(), true, "lost");
  for (const breaker of breakers) breaker.close();
});

test("a thread whose time is behind, because it is still at an earlier event, sees what others say meanwhile", () => {
  using clock = mockClock();
  const memory = createSharedMemory(2, 4);
  const late = { ...clock, now: () => clock.now() - 7 };
  const deps = { clock: late, shared: new SharedState(memory, 1, 0), stats: { breaker_would_reject: 0 } };
  const behind = SharedBreaker.acquire("orders", POLICY, "enforce", deps, () => {}) as SharedBreaker;
  const ahead = SharedBreaker.acquire(
    "orders",
    POLICY,
    "enforce",
    { ...deps, clock, shared: new SharedState(memory, 0, 0) },
    () => {},
  ) as SharedBreaker;
  for (let i = 0; i < 4; i++) call(ahead, false);
  call(behind, false);
  assert.deepEqual(ahead.stats().calls, 5, "counted, though the first bucket had not begun then");
  assert.equal(behind.state, "open", "not half-open for having been open for less than no time");
  assert.equal(behind.allow(), false);
  clock.tick(500);
  assert.equal(ahead.allow(), true);
  assert.equal(behind.allow(), false, "the probe's place is taken");
  for (const breaker of [behind, ahead]) breaker.close();
});

test("a dry run counts what it would refuse in every thread, and refuses nothing", () => {
  using clock = mockClock();
  const { breakers, stats } = make(clock, 2, POLICY, "dry_run");
  for (let i = 0; i < 8; i++) assert.equal(call(breakers[(i % 2) as 0 | 1], false), true);
  assert.equal(breakers[0].state, "open");
  assert.equal(stats.breaker_would_reject, 3);
  for (const breaker of breakers) breaker.close();
});

test("another policy is another breaker, and who is closed disturbs nobody", () => {
  using clock = mockClock();
  const { breakers, states } = make(clock, 2);
  const [a, b] = breakers;
  const deps = { clock, shared: states[0] as SharedState, stats: { breaker_would_reject: 0 } };
  const other = SharedBreaker.acquire("orders", { ...POLICY, minimumCalls: 6 }, "enforce", deps, () => {});
  for (let i = 0; i < 5; i++) call(a, false);
  assert.equal(other?.state, "closed");
  a.close();
  a.record(true, 1);
  assert.equal(a.allow(), true);
  assert.equal(b.stats().calls, 5);
  other?.close();
  b.close();
});

/** Steps of 50 ms from an offset of 25 ms: never as a bucket (100 ms) turns. */
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }).map((n) => n * 50) },
      { weight: 1, arbitrary: fc.integer({ min: 5, max: 60 }).map((n) => n * 50) },
    ),
    thread: fc.nat(2),
    success: fc.boolean(),
  }),
  { maxLength: 60 },
);

test("makes the same transitions as one plain opossum that is given the calls of all threads", async () => {
  const policies = fc.record({
    errorPercent: fc.constantFrom(1, 20, 50, 75, 99),
    minimumCalls: fc.integer({ min: 0, max: 12 }),
    windowMs: fc.constant(1000),
    openForMs: fc.constantFrom(210, 500, 1600),
  });
  await fc.assert(
    fc.asyncProperty(policies, steps, async (policy, script) => {
      using clock = mockClock();
      const { breakers, changes } = make(clock, 3, policy);
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
      const ours = (): string[] => changes.map((change) => change.split(" ")[3] ?? "");
      clock.tick(25);
      for (const { waitMs, thread, success } of script) {
        if (waitMs > 0) clock.tick(waitMs);
        const breaker = breakers[thread] as SharedBreaker;
        assert.equal(breaker.state, oracle.closed ? "closed" : oracle.halfOpen ? "half_open" : "open");
        assert.deepEqual(ours(), theirs, "after waiting");
        const ran = call(breaker, success);
        const refused = await oracle.fire(success).then(
          () => false,
          (error: { code?: string }) => error.code === "EOPENBREAKER",
        );
        assert.equal(ran, !refused);
        assert.deepEqual(ours(), theirs, "after a call");
        for (const each of breakers) {
          const { failures, calls, rejects, state } = each.stats();
          assert.deepEqual(
            { failures, calls, rejects, state },
            {
              failures: oracle.stats.failures,
              calls: oracle.stats.fires,
              rejects: oracle.stats.rejects,
              state: breaker.state,
            },
          );
        }
      }
      oracle.shutdown();
      for (const breaker of breakers) breaker.close();
    }),
    { numRuns: 200 },
  );
});

test("wherever another thread comes in between, there is at most one probe, and each change is told once", () => {
  const step = fc.record({ thread: fc.nat(2), act: fc.constantFrom("call", "success", "failure", "failure") });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(step, fc.constantFrom(0, 0, 100, 500)), { maxLength: 40 }),
      fc.array(fc.option(step), { maxLength: 300 }),
      (script, between) => {
        using clock = mockClock();
        const { breakers, changes } = make(clock, 3, { ...POLICY, minimumCalls: 2 });
        const busy = new Set<number>();
        /** By thread: whether it holds the half-open breaker's probe. */
        const probing = new Map<number, number>();
        const run = ({ thread, act }: { thread: number; act: string }): void => {
          if (busy.has(thread)) return;
          busy.add(thread);
          const breaker = breakers[thread] as SharedBreaker;
          if (act === "call") {
            const before = changes.length;
            const wasHalfOpen = breaker.state === "half_open";
            // A probe counts only for the half-open period in which it was let through.
            if (breaker.allow() && wasHalfOpen && changes.length === before) {
              for (const [other, period] of probing) assert.ok(period !== before, `threads ${other} and ${thread}`);
              probing.set(thread, before);
            }
          } else {
            probing.delete(thread);
            breaker.record(act === "success", 1);
          }
          busy.delete(thread);
        };
        let at = 0;
        const stop = interleave(() => {
          const next = between[at++];
          if (next) run(next);
        });
        try {
          for (const [each, waitMs] of script) {
            // Less than what makes a probe count as lost.
            clock.tick(probing.size > 0 ? 0 : waitMs);
            run(each);
          }
        } finally {
          stop();
        }
        // Who comes in between may tell sooner, but what is told is each change once: a way from "closed" to what it is.
        const told = changes.map((change) => change.split(" "));
        const net = new Map<string, number>([["closed", 1]]);
        for (const [, from = "", , to = ""] of told) {
          net.set(from, (net.get(from) ?? 0) - 1);
          net.set(to, (net.get(to) ?? 0) + 1);
        }
        const last = [...net].filter(([, times]) => times !== 0);
        assert.deepEqual(last, [[breakers[0].state, 1]], changes.join("\n"));
        assert.equal(told.filter(([, , , to]) => to === "open").length, breakers[1].stats().opened);
        for (const breaker of breakers) breaker.close();
      },
    ),
    { numRuns: 500 },
  );
});
