import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Clock, SimulatedClock } from "../../../core/clock.ts";
import { seededRandom } from "../../../core/random.ts";
import { createSharedMemory, SharedState } from "../../../core/shared-state.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import { DEFAULT_OUTLIER_DETECTION, endpoint } from "../../../test/support/clusters.ts";
import { mockClock } from "../../../test/support/mock-clock.ts";
import { EndpointState } from "../endpoint-state.ts";
import { interleave } from "../testing/interleave.ts";
import { OutlierDetector, type OwnOutlierPolicy } from "./detector.ts";

interface Setup {
  readonly config?: Partial<OutlierDetection>;
  readonly own?: OwnOutlierPolicy | null;
  readonly hosts?: number;
  readonly threads?: number;
}

/** One thread's detector and its endpoints: the first is a pair because most tests need no more. */
interface Thread {
  readonly detector: OutlierDetector;
  readonly states: [EndpointState, EndpointState, ...EndpointState[]];
  readonly changes: () => number;
}

function start(clock: Clock, { config = {}, own = null, hosts = 2, threads = 2 }: Setup) {
  const memory = createSharedMemory(threads, 8);
  const told: string[] = [];
  const join = (thread: number): Thread => {
    let changes = 0;
    const detector = new OutlierDetector({ ...DEFAULT_OUTLIER_DETECTION, maxEjectionPercent: 100, ...config }, own, {
      cluster: "orders",
      clock,
      random: seededRandom(thread + 1),
      observer: { onClusterEvent: (event) => told.push(`${thread} ${event.kind} ${event.endpoint} ${event.message}`) },
      shared: new SharedState(memory, thread, 0),
      onChange: () => changes++,
    });
    const states = Array.from({ length: hosts }, (_, i) => {
      const at = `10.0.0.${i + 1}:80`;
      return new EndpointState(at, endpoint(at), { region: "", zone: "", subZone: "" }, 0);
    }) as Thread["states"];
    for (const state of states) detector.add(state);
    return { detector, states, changes: () => changes };
  };
  return { memory, told, join, kinds: () => told.map((line) => line.split(" ").slice(0, 2).join(" ")) };
}

function respond(state: EndpointState, ...statuses: number[]): void {
  for (const status of statuses) state.recordResponse(status);
}

const fail = (state: EndpointState, times: number): void => respond(state, ...Array<number>(times).fill(500));

describe("outlier detection of several threads", () => {
  test("a run of failures is one of all threads; who is ejected by one is out in all, told once", () => {
    const clock = new SimulatedClock();
    const { join, told } = start(clock, {});
    const [a, b] = [join(0), join(1)];
    fail(a.states[0], 2);
    fail(b.states[0], 2);
    respond(a.states[0], 200);
    fail(b.states[0], 2);
    fail(a.states[0], 2);
    b.detector.catchUp();
    assert.deepEqual([a.states[0].ejected, b.states[0].ejected], [false, false]);
    fail(b.states[0], 1);
    assert.equal(b.states[0].healthy, false);
    assert.equal(a.changes(), 0);
    a.detector.catchUp();
    assert.deepEqual([a.states[0].healthy, a.states[1].healthy], [false, true]);
    assert.equal(a.changes(), 1, "its balancer is built anew");
    a.detector.catchUp();
    assert.equal(a.changes(), 1);
    assert.deepEqual(told, ["1 ejected 10.0.0.1:80 ejected for 30 s (1.): 5 consecutive 5xx"]);
    clock.advance(4000);
    for (const { detector, states } of [a, b]) {
      assert.equal(detector.stats.ejections_active, 1);
      assert.equal(detector.describe(states[0]), "ejected 4 s ago: 5 consecutive 5xx");
      detector.close();
    }
  });

  test("it comes back by time once, though the thread that ejected it has ended, and sooner ejected stays out longer", () => {
    const clock = new SimulatedClock();
    const { join, kinds, told, memory } = start(clock, {});
    const [a, b] = [join(0), join(1)];
    fail(a.states[0], 5);
    a.detector.close();
    new SharedState(memory, 1, 0).releaseThread(0);
    clock.advance(29_990);
    assert.equal(b.states[0].ejected, true);
    clock.advance(10);
    assert.equal(b.states[0].ejected, false);
    assert.deepEqual(kinds(), ["0 ejected", "1 readmitted"]);
    fail(b.states[0], 5);
    assert.match(told.at(-1) ?? "", /ejected for 60 s \(2\.\)/);
    b.detector.close();
    assert.equal(new SharedState(memory, 0, 0).table("hosts").size, 0);
  });

  test("the largest share of ejected endpoints is that of the process", () => {
    const { join } = start(new SimulatedClock(), { hosts: 4, config: { maxEjectionPercent: 50 } });
    const [a, b] = [join(0), join(1)];
    fail(a.states[0], 5);
    fail(b.states[1], 5);
    fail(a.states[2] as EndpointState, 5);
    fail(b.states[3] as EndpointState, 5);
    for (const { detector, states } of [a, b]) {
      detector.catchUp();
      assert.deepEqual(
        states.map(({ ejected }) => ejected),
        [true, true, false, false],
      );
      detector.close();
    }
    assert.equal(a.detector.stats.ejections_overflow + b.detector.stats.ejections_overflow, 2);
  });

  test("wherever another thread comes in between, no more than that share is ejected, and the last in service stays", () => {
    const step = fc.record({ thread: fc.nat(2), host: fc.nat(3) });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.array(fc.option(step), { maxLength: 400 }),
        (script, between) => {
          const own = { probeBeforeReadmission: false, dryRun: false };
          const config = { maxEjectionPercent: 75, consecutive5xx: 1 };
          const { join, kinds } = start(new SimulatedClock(), { hosts: 4, threads: 3, config, own });
          const threads = [join(0), join(1), join(2)];
          const busy = new Set<number>();
          const run = ({ thread, host }: { thread: number; host: number }): void => {
            if (busy.has(thread)) return;
            busy.add(thread);
            respond(threads[thread]?.states[host] as EndpointState, 500);
            busy.delete(thread);
          };
          let at = 0;
          const stop = interleave(() => {
            const next = between[at++];
            if (next) run(next);
          });
          for (const each of script) run(each);
          stop();
          const out = threads.map(({ detector, states }) => {
            detector.catchUp();
            assert.equal(detector.stats.ejections_active, states.filter(({ ejected }) => ejected).length);
            return states.map(({ ejected }) => ejected);
          });
          const ejected = out[0]?.filter(Boolean).length ?? 0;
          assert.deepEqual(out[1], out[0]);
          assert.deepEqual(out[2], out[0]);
          assert.ok(ejected <= 3);
          assert.equal(kinds().filter((kind) => kind.endsWith(" ejected")).length, ejected, "each told once");
          for (const { detector } of threads) detector.close();
        },
      ),
      { numRuns: 300 },
    );
  });

  test("rates are judged once per interval, by what all threads have counted", () => {
    const clock = new SimulatedClock();
    const { join, kinds } = start(clock, { hosts: 5, config: { consecutive5xx: 0 } });
    const [a, b] = [join(0), join(1)];
    // Neither has counted the hundred that are needed.
    for (const { states } of [a, b]) {
      states.forEach((state, i) => {
        for (let n = 0; n < 50; n++) respond(state, i === 2 && n % 2 === 0 ? 500 : 200);
      });
    }
    clock.advance(10_000);
    b.detector.catchUp();
    a.detector.catchUp();
    assert.deepEqual(
      b.states.map(({ ejected }) => ejected),
      [false, false, true, false, false],
    );
    assert.equal(kinds().length, 1);
    const texts = [a, b].map(({ detector, states }) => detector.describe(states[2] as EndpointState));
    assert.ok(texts.some((text) => /50 of 100 calls succeeded/.test(text)));
    assert.ok(texts.some((text) => /succeeded less often than the other endpoints/.test(text)));
    clock.advance(10_000);
    assert.equal(kinds().length, 1, "a new interval begins with nothing");
    for (const { detector } of [a, b]) detector.close();
  });

  test("a thread that comes later finds who is ejected, and another policy is judged apart", () => {
    const clock = new SimulatedClock();
    const { join } = start(clock, {});
    const a = join(0);
    fail(a.states[0], 5);
    const b = join(1);
    assert.equal(b.states[0].ejected, true);
    a.detector.close();
    assert.equal(b.states[0].ejected, true);
    b.detector.close();
    assert.equal(clock.pending, 0);
  });
});

describe("readmission through a probe", () => {
  const own: OwnOutlierPolicy = { probeBeforeReadmission: true, dryRun: false };
  const config = { baseEjectionTimeMs: 1000, maxEjectionTimeMs: 10_000, intervalMs: 100 };

  test("one request of the process is the probe, and what comes of it counts for all", () => {
    using clock = mockClock();
    const { join, kinds } = start(clock, { own, config });
    const [a, b] = [join(0), join(1)];
    fail(a.states[0], 5);
    clock.tick(999);
    b.detector.catchUp();
    assert.equal(b.detector.hasProbes, false);
    clock.tick(1);
    b.detector.catchUp();
    assert.deepEqual([a.detector.hasProbes, b.detector.hasProbes], [true, true]);
    assert.match(b.detector.describe(b.states[0]), /waits for a probe: 5 consecutive 5xx/);
    assert.equal(b.detector.takeProbe(), b.states[0]);
    assert.equal(a.detector.takeProbe(), null);
    assert.equal(b.detector.takeProbe(), null);
    fail(b.states[0], 1);
    a.detector.catchUp();
    assert.deepEqual([a.detector.hasProbes, a.states[0].ejected], [false, true]);
    clock.tick(2000);
    a.detector.catchUp();
    assert.equal(a.detector.takeProbe(), a.states[0]);
    respond(a.states[0], 200);
    b.detector.catchUp();
    assert.deepEqual([b.detector.hasProbes, b.states[0].ejected], [false, false]);
    assert.deepEqual(kinds(), ["0 ejected", "1 probe", "1 ejected", "0 probe", "0 readmitted"]);
    for (const { detector } of [a, b]) detector.close();
  });

  test("is due though the thread that ejected has ended, and a dead thread's probe is followed by another", () => {
    using clock = mockClock();
    const { join, memory } = start(clock, { own, config, threads: 3 });
    const [a, b, c] = [join(0), join(1), join(2)];
    const watcher = new SharedState(memory, 1, 0);
    fail(a.states[0], 5);
    a.detector.close();
    watcher.releaseThread(0);
    clock.tick(1200);
    c.detector.catchUp();
    assert.equal(c.detector.takeProbe(), c.states[0]);
    b.detector.catchUp();
    assert.equal(b.detector.takeProbe(), null);
    watcher.releaseThread(2);
    assert.equal(b.detector.takeProbe(), b.states[0]);
    respond(b.states[0], 200);
    assert.equal(b.states[0].ejected, false);
    b.detector.close();
    c.detector.close();
  });
});
