import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Clock, SimulatedClock } from "../../../core/clock.ts";
import { seededRandom } from "../../../core/random.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import { DEFAULT_OUTLIER_DETECTION, endpoint } from "../../../test/support/clusters.ts";
import { mockClock } from "../../../test/support/mock-clock.ts";
import { EndpointState } from "../endpoint-state.ts";
import { OutlierDetector, type OwnOutlierPolicy } from "./detector.ts";

interface Setup {
  readonly config?: Partial<OutlierDetection>;
  readonly own?: OwnOutlierPolicy | null;
  readonly hosts?: number;
  readonly seed?: number;
}

function make(clock: Clock, { config = {}, own = null, hosts = 2, seed = 1 }: Setup) {
  const told: string[] = [];
  let changes = 0;
  const detector = new OutlierDetector({ ...DEFAULT_OUTLIER_DETECTION, maxEjectionPercent: 100, ...config }, own, {
    cluster: "orders",
    clock,
    random: seededRandom(seed),
    observer: { onClusterEvent: (event) => told.push(`${event.kind} ${event.endpoint} ${event.message}`) },
    onChange: () => changes++,
  });
  const states = Array.from({ length: hosts }, (_, i) => {
    const at = `10.0.0.${i + 1}:80`;
    return new EndpointState(at, endpoint(at), { region: "", zone: "", subZone: "" }, 0);
  });
  for (const state of states) detector.add(state);
  return { detector, states, told, changes: () => changes, first: states[0] as EndpointState };
}

function respond(state: EndpointState, ...statuses: number[]): void {
  for (const status of statuses) state.recordResponse(status);
}

const five = (status: number): number[] => Array<number>(5).fill(status);

describe("Envoy's rules", () => {
  test("consecutive 5xx eject, a success in between does not", () => {
    const clock = new SimulatedClock();
    const { first, told, changes, detector } = make(clock, {});
    respond(first, 500, 500, 500, 500, 200, 500, 500, 500, 500);
    assert.equal(first.ejected, false);
    respond(first, 500);
    assert.equal(first.ejected, true);
    assert.equal(first.healthy, false);
    assert.deepEqual(told, ["ejected 10.0.0.1:80 ejected for 30 s (1.): 5 consecutive 5xx"]);
    assert.equal(changes(), 1);
    assert.equal(detector.stats.ejections_active, 1);
    assert.equal(detector.stats.ejections_enforced_consecutive_5xx, 1);
    clock.advance(4000);
    assert.equal(detector.describe(first), "ejected 4 s ago: 5 consecutive 5xx");
    detector.close();
  });

  test("gateway failures are counted apart and by default only detected", () => {
    const { first, detector } = make(new SimulatedClock(), { config: { consecutive5xx: 0 } });
    respond(first, ...five(503));
    assert.equal(detector.stats.ejections_detected_consecutive_gateway_failure, 1);
    assert.equal(first.ejected, false);
    const enforced = make(new SimulatedClock(), {
      config: { consecutive5xx: 0, enforcingConsecutiveGatewayFailure: 100 },
    });
    respond(enforced.first, 502, 503, 500, 504, 502, 503, 504);
    assert.equal(enforced.first.ejected, false, "500 is no gateway failure");
    respond(enforced.first, 502);
    assert.equal(enforced.first.ejected, true);
  });

  test("not split, local failures count as 5xx; connecting changes nothing", () => {
    const { first } = make(new SimulatedClock(), {});
    first.recordLocalOriginFailure("connect_failed");
    first.recordLocalOriginFailure("timeout");
    first.recordConnectSuccess(false);
    first.recordLocalOriginFailure("reset");
    respond(first, 500, 500);
    assert.equal(first.ejected, true);
    const tcp = make(new SimulatedClock(), {});
    for (let i = 0; i < 4; i++) tcp.first.recordLocalOriginFailure("connect_failed");
    tcp.first.recordConnectSuccess(true);
    tcp.first.recordLocalOriginFailure("connect_failed");
    assert.equal(tcp.first.ejected, false);
  });

  test("not split, local failures count as gateway failures too: 503, or 504", () => {
    for (const kind of ["connect_failed", "timeout", "reset"] as const) {
      const { first, detector } = make(new SimulatedClock(), { config: { consecutive5xx: 0 } });
      for (let i = 0; i < 5; i++) first.recordLocalOriginFailure(kind);
      assert.equal(detector.stats.ejections_detected_consecutive_gateway_failure, 1, kind);
    }
  });

  test("split, the success rate of connecting is judged by itself", () => {
    const clock = new SimulatedClock();
    const { states, detector } = make(clock, {
      hosts: 5,
      config: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 0 },
    });
    states.forEach((state, i) => {
      for (let n = 0; n < 100; n++) {
        if (i === 3 && n % 2 === 0) state.recordLocalOriginFailure("connect_failed");
        else state.recordConnectSuccess(false);
      }
    });
    clock.advance(10_000);
    assert.deepEqual(
      states.map((state) => state.ejected),
      [false, false, false, true, false],
    );
    assert.equal(detector.stats.ejections_enforced_local_origin_success_rate, 1);
  });

  test("back in service, runs begin anew", () => {
    const clock = new SimulatedClock();
    const { first } = make(clock, {
      config: { consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 },
    });
    respond(first, 500, 503, 503, 503);
    assert.equal(first.ejected, true);
    clock.advance(30_000);
    assert.equal(first.ejected, false);
    respond(first, 500);
    assert.equal(first.ejected, false, "the fifth 5xx, but the first since");
  });

  test("split, local failures count apart, and connecting ends their run", () => {
    const { first, detector } = make(new SimulatedClock(), { config: { splitExternalLocalOriginErrors: true } });
    for (let i = 0; i < 4; i++) first.recordLocalOriginFailure("connect_failed");
    first.recordConnectSuccess(false);
    for (let i = 0; i < 4; i++) first.recordLocalOriginFailure("reset");
    respond(first, 500, 500, 500, 500);
    assert.equal(first.ejected, false);
    first.recordLocalOriginFailure("timeout");
    assert.equal(first.ejected, true);
    assert.equal(detector.stats.ejections_enforced_consecutive_local_origin_failure, 1);
  });

  test("an ejection ends at the first interval after its time, which grows with each and shrinks with good conduct", () => {
    const clock = new SimulatedClock();
    const { first, told } = make(clock, { config: { baseEjectionTimeMs: 25_000, maxEjectionTimeMs: 60_000 } });
    respond(first, ...five(500));
    clock.advance(29_999);
    assert.equal(first.ejected, true);
    clock.advance(1);
    assert.equal(first.ejected, false, "25 s are over at the interval of 30 s");
    assert.match(told.at(-1) ?? "", /^readmitted 10.0.0.1:80 readmitted after 30 s: its 25 s are over$/);
    respond(first, ...five(500));
    clock.advance(49_999);
    assert.equal(first.ejected, true, "50 s the second time");
    clock.advance(1);
    assert.equal(first.ejected, false);
    respond(first, ...five(500));
    assert.match(told.at(-1) ?? "", /ejected for 60 s \(3\.\)/, "never longer than the maximum");
    clock.advance(60_000);
    assert.equal(first.ejected, false);
    clock.advance(30_000);
    respond(first, ...five(500));
    assert.match(told.at(-1) ?? "", /ejected for 25 s \(4\.\)/, "three good intervals");
  });

  test("jitter lengthens an ejection by at most its maximum", () => {
    const clock = new SimulatedClock();
    const { first } = make(clock, {
      config: { baseEjectionTimeMs: 10_000, maxEjectionTimeJitterMs: 9_000, intervalMs: 100 },
    });
    respond(first, ...five(500));
    clock.advance(10_000);
    assert.equal(first.ejected, true);
    clock.advance(9_100);
    assert.equal(first.ejected, false);
  });

  test("max_ejection_percent holds, also for the first unless always_eject_one_host", () => {
    const { states, detector, told } = make(new SimulatedClock(), { hosts: 4, config: { maxEjectionPercent: 50 } });
    for (const state of states) respond(state, ...five(500));
    assert.deepEqual(
      states.map((state) => state.ejected),
      [true, true, false, false],
    );
    assert.equal(detector.stats.ejections_overflow, 2);
    assert.match(told.at(-1) ?? "", /not ejected, 3 of 4 endpoints \(75%\) would be over 50%: 5 consecutive 5xx/);
    const few = make(new SimulatedClock(), { config: { maxEjectionPercent: 10 } });
    respond(few.first, ...five(500));
    assert.equal(few.first.ejected, false, "as Envoy 1.40 does with two endpoints and the default of 10%");
    const one = make(new SimulatedClock(), { config: { maxEjectionPercent: 10, alwaysEjectOneHost: true } });
    for (const state of one.states) respond(state, ...five(500));
    assert.deepEqual(
      one.states.map((state) => state.ejected),
      [true, false],
    );
  });

  test("enforcing percentages are drawn", () => {
    let enforced = 0;
    for (let seed = 0; seed < 400; seed++) {
      const { first } = make(new SimulatedClock(), { seed, config: { enforcingConsecutive5xx: 25 } });
      respond(first, ...five(500));
      if (first.ejected) enforced++;
    }
    assert.ok(enforced > 60 && enforced < 140, `${enforced} of 400`);
  });

  test("success rate: who is below mean − factor × deviation at the end of an interval", () => {
    const clock = new SimulatedClock();
    const { states, told } = make(clock, { hosts: 5, config: { consecutive5xx: 0 } });
    states.forEach((state, i) => {
      for (let n = 0; n < 100; n++) respond(state, i === 2 && n % 2 === 0 ? 500 : 200);
    });
    clock.advance(10_000);
    assert.deepEqual(
      states.map((state) => state.ejected),
      [false, false, true, false, false],
    );
    // Envoy's own example: 50, 100, 100, 100, 100 gives 52.
    assert.match(told[0] ?? "", /50 of 100 calls succeeded \(50% < 52% = mean 90% − 1.9 × standard deviation 20% of 5/);
  });

  test("success rate needs enough endpoints with enough requests", () => {
    const clock = new SimulatedClock();
    const { states } = make(clock, { hosts: 5, config: { consecutive5xx: 0 } });
    states.forEach((state, i) => {
      for (let n = 0; n < (i === 0 ? 99 : 100); n++) respond(state, i === 2 && n % 2 === 0 ? 500 : 200);
    });
    clock.advance(10_000);
    assert.equal(
      states.some((state) => state.ejected),
      false,
    );
  });

  test("failure percentage: at least the threshold, where enforced", () => {
    const run = (enforcingFailurePercentage: number): boolean => {
      const clock = new SimulatedClock();
      const { states } = make(clock, {
        hosts: 5,
        config: { consecutive5xx: 0, enforcingSuccessRate: 0, enforcingFailurePercentage },
      });
      for (const state of states) for (let n = 0; n < 60; n++) respond(state, n < 51 ? 500 : 200);
      clock.advance(10_000);
      return states.every((state) => state.ejected);
    };
    assert.equal(run(100), true, "51 of 60 is 85%");
    assert.equal(run(0), false);
  });

  test("a removed endpoint is forgotten and no longer counts as ejected", () => {
    const { first, detector, states } = make(new SimulatedClock(), { config: { maxEjectionPercent: 50 } });
    respond(first, ...five(500));
    detector.remove(first);
    assert.equal(first.ejected, false);
    assert.equal(detector.stats.ejections_active, 0);
    respond(states[1] as EndpointState, ...five(500));
    assert.equal(states[1]?.ejected, false, "one of one would be 100%");
  });

  test("closed, it has no timer", () => {
    const clock = new SimulatedClock();
    const { detector } = make(clock, {});
    assert.equal(clock.pending, 1);
    detector.close();
    assert.equal(clock.pending, 0);
  });
});

describe("Outrigger's own policy", () => {
  const OWN: OwnOutlierPolicy = { probeBeforeReadmission: true, dryRun: false };
  const config = { baseEjectionTimeMs: 1000, maxEjectionTimeMs: 10_000, intervalMs: 100 };

  test("an endpoint comes back through a probe that succeeds, not by time", () => {
    using clock = mockClock();
    const { detector, first, told } = make(clock, { own: OWN, config });
    respond(first, ...five(500));
    assert.equal(detector.takeProbe(), null);
    clock.tick(1000);
    assert.equal(first.ejected, true);
    assert.match(detector.describe(first), /waits for a probe/);
    assert.equal(detector.hasProbes, true);
    assert.equal(detector.takeProbe(), first);
    assert.equal(detector.takeProbe(), null, "one at a time");
    respond(first, 200);
    assert.equal(first.ejected, false);
    assert.equal(detector.hasProbes, false);
    assert.deepEqual(
      told.map((line) => line.split(" ")[0]),
      ["ejected", "probe", "readmitted"],
    );
    assert.equal(detector.stats.probes, 1);
    assert.equal(detector.stats.readmissions, 1);
    detector.close();
  });

  test("a probe that fails ejects again, for longer", () => {
    using clock = mockClock();
    const { detector, first, told } = make(clock, { own: OWN, config });
    respond(first, ...five(500));
    clock.tick(1000);
    detector.takeProbe();
    first.recordLocalOriginFailure("connect_failed");
    assert.equal(first.ejected, true);
    assert.match(told.at(-1) ?? "", /stays ejected for 2 s: the probe failed after 5 consecutive 5xx/);
    clock.tick(1999);
    assert.equal(detector.takeProbe(), null);
    clock.tick(1);
    assert.equal(detector.takeProbe(), first);
    assert.equal(detector.stats.ejections_active, 1);
    detector.close();
  });

  test("a probe whose caller went away, or that hangs, is followed by another", () => {
    using clock = mockClock();
    const { detector, first } = make(clock, { own: OWN, config });
    respond(first, ...five(500));
    clock.tick(1000);
    assert.equal(detector.takeProbe(), first);
    first.recordAbandoned();
    assert.equal(detector.takeProbe(), first);
    clock.tick(1000);
    assert.equal(detector.takeProbe(), first);
    detector.close();
  });

  test("late answers from before do not readmit it", () => {
    using clock = mockClock();
    const { first, detector } = make(clock, { own: OWN, config });
    respond(first, ...five(500));
    respond(first, 200, 200);
    assert.equal(first.ejected, true);
    detector.close();
  });

  test("the last endpoint in service is never ejected", () => {
    using clock = mockClock();
    const { states, told, detector } = make(clock, { own: OWN, config });
    for (const state of states) respond(state, ...five(500));
    assert.deepEqual(
      states.map((state) => state.ejected),
      [true, false],
    );
    assert.match(told.at(-1) ?? "", /not ejected, no other endpoint is in service: 5 consecutive 5xx/);
    detector.close();
  });

  test("a dry run tells and counts, and ejects nothing", () => {
    using clock = mockClock();
    const { first, told, detector } = make(clock, { own: { ...OWN, dryRun: true }, config });
    respond(first, ...five(500));
    assert.equal(first.ejected, false);
    assert.equal(detector.stats.ejections_detected_consecutive_5xx, 1);
    assert.equal(detector.stats.ejections_enforced_total, 0);
    assert.match(told[0] ?? "", /^ejection_not_enforced .*dry run/);
    detector.close();
  });
});

test("whatever the responses, ejections stay within the percentage and the gauge is right", () => {
  const step = fc.record({
    host: fc.nat(9),
    status: fc.constantFrom(200, 500, 500, 503),
    times: fc.integer({ min: 1, max: 8 }),
    waitMs: fc.constantFrom(0, 0, 0, 10_000, 35_000),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 0, max: 100 }),
      (steps, hosts, maxEjectionPercent) => {
        const clock = new SimulatedClock();
        const { states, detector } = make(clock, { hosts, config: { maxEjectionPercent } });
        for (const { host, status, times, waitMs } of steps) {
          respond(states[host % hosts] as EndpointState, ...Array<number>(times).fill(status));
          clock.advance(waitMs);
          const ejected = states.filter((state) => state.ejected).length;
          assert.ok((100 * ejected) / hosts <= maxEjectionPercent);
          assert.equal(detector.stats.ejections_active, ejected);
        }
        detector.close();
      },
    ),
    { numRuns: 200 },
  );
});
