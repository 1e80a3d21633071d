/** Several threads' detectors against one that hears of every call: whatever happens, they say and do the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createSharedMemory, SharedState } from "../../../core/shared-state.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import { DEFAULT_OUTLIER_DETECTION, endpoint } from "../../../test/support/clusters.ts";
import { type MockClock, mockClock } from "../../../test/support/mock-clock.ts";
import { EndpointState } from "../endpoint-state.ts";
import { OutlierDetector, type OwnOutlierPolicy } from "./detector.ts";

const THREADS = 3;
const HOSTS = 5;

interface Subject {
  readonly detector: OutlierDetector;
  readonly hosts: readonly EndpointState[];
}

function make(
  clock: MockClock,
  config: OutlierDetection,
  own: OwnOutlierPolicy | null,
  shared: SharedState | null,
  told: string[],
): Subject {
  const detector = new OutlierDetector(config, own, {
    cluster: "orders",
    clock,
    random: () => 0.5,
    shared,
    observer: { onClusterEvent: ({ kind, endpoint: at, message }) => told.push(`${kind} ${at} ${message}`) },
    onChange: () => undefined,
  });
  const hosts = Array.from({ length: HOSTS }, (_, i) => {
    const at = `10.0.0.${i + 1}:80`;
    return new EndpointState(at, endpoint(at), { region: "", zone: "", subZone: "" }, 0);
  });
  for (const host of hosts) detector.add(host);
  return { detector, hosts };
}

const policies = fc.record({
  consecutive5xx: fc.constantFrom(0, 2, 3),
  consecutiveGatewayFailure: fc.constantFrom(0, 2),
  enforcingConsecutiveGatewayFailure: fc.constantFrom(0, 100),
  maxEjectionPercent: fc.constantFrom(20, 50, 100),
  splitExternalLocalOriginErrors: fc.boolean(),
  consecutiveLocalOriginFailure: fc.constant(3),
  successRateRequestVolume: fc.constantFrom(3, 100),
  intervalMs: fc.constant(1000),
  baseEjectionTimeMs: fc.constantFrom(700, 1500),
  maxEjectionTimeMs: fc.constant(4000),
});

/** No two at the same moment: of endpoints that wait equally long for a probe either may have it. */
const steps = fc.array(
  fc.record({
    thread: fc.nat(THREADS - 1),
    host: fc.nat(HOSTS - 1),
    act: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(200, 500, 503) },
      { weight: 2, arbitrary: fc.constantFrom("connect_failed" as const, "timeout" as const, "connected" as const) },
      { weight: 2, arbitrary: fc.constantFrom("probe 200" as const, "probe 500" as const) },
    ),
    times: fc.constantFrom(1, 1, 2, 4),
    waitMs: fc.oneof({ weight: 5, arbitrary: fc.constant(10) }, fc.constantFrom(110, 510, 1010, 2030)),
  }),
  { maxLength: 50 },
);

for (const own of [null, { probeBeforeReadmission: true, dryRun: false }]) {
  test(`as one that hears of every call, ${own === null ? "by Envoy's rules" : "with probes"}`, () => {
    fc.assert(
      fc.property(policies, steps, (policy, script) => {
        using clock = mockClock();
        const config = { ...DEFAULT_OUTLIER_DETECTION, ...policy };
        const memory = createSharedMemory(THREADS, 4);
        const theirs: string[] = [];
        const ours: string[] = [];
        const oracle = make(clock, config, own, null, theirs);
        const threads = Array.from({ length: THREADS }, (_, thread) =>
          make(clock, config, own, new SharedState(memory, thread, 0), ours),
        );
        clock.tick(7);
        for (const { thread, host, act, times, waitMs } of script) {
          clock.tick(waitMs);
          const subject = threads[thread] as Subject;
          subject.detector.catchUp();
          for (let n = 0; n < times; n++) for (const each of [subject, oracle]) run(each, host, act);
          for (const each of threads) {
            each.detector.catchUp();
            assert.deepEqual(outOf(each), outOf(oracle));
            assert.equal(each.detector.stats.ejections_active, oracle.detector.stats.ejections_active);
            assert.equal(each.detector.hasProbes, oracle.detector.hasProbes);
          }
          assert.deepEqual(ours, theirs);
        }
        for (const { detector } of [oracle, ...threads]) detector.close();
        const left = new SharedState(memory, 0, 0);
        assert.deepEqual([left.table("detectors").size, left.table("hosts").size], [0, 0]);
      }),
      { numRuns: 300 },
    );
  });
}

function run({ detector, hosts }: Subject, host: number, act: number | string): void {
  const state = hosts[host] as EndpointState;
  if (typeof act === "number") state.recordResponse(act);
  else if (act === "connected") state.recordConnectSuccess(false);
  else if (act === "connect_failed" || act === "timeout") state.recordLocalOriginFailure(act);
  else if (detector.hasProbes) detector.takeProbe()?.recordResponse(Number(act.slice(-3)));
}

function outOf({ hosts }: Subject): boolean[] {
  return hosts.map(({ ejected }) => ejected);
}
