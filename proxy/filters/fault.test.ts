/** The expectations are what Envoy 1.40 answered to the same faults and requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { createSharedMemory, SharedState } from "../../core/shared-state.ts";
import type { FaultPolicy } from "../../model/fault.ts";
import { Flag } from "../../model/flags.ts";
import { FakeContext, FakeCounters, type Reply } from "../../test/support/filters.ts";
import { type Fields, request, streamInfo } from "../../test/support/routes.ts";
import { type Count, LocalCount } from "../cluster/count.ts";
import { ActiveFaults } from "./active-faults.ts";
import { compileFault } from "./fault.ts";
import type { FilterStage } from "./filter.ts";

const ALL = { numerator: 100, denominator: 100 };
const HALF = { numerator: 50, denominator: 100 };
const NONE = { numerator: 0, denominator: 100 };
const DRAWS = 2 ** 48;

class Bench {
  readonly clock = new SimulatedClock();
  readonly counters = new FakeCounters();
  readonly active: Count;
  readonly stage: FilterStage | null;

  constructor(policy: Partial<FaultPolicy>, random: () => number = () => 0, active: Count = new LocalCount()) {
    this.active = active;
    const whole: FaultPolicy = {
      delay: null,
      abort: null,
      headers: [],
      upstreamCluster: "",
      maxActiveFaults: null,
      ...policy,
    };
    this.stage = compileFault(whole, {
      random,
      active: this.active,
      delaysInjected: this.counters.counter("fault", "delays"),
      abortsInjected: this.counters.counter("fault", "aborts"),
      overflow: this.counters.counter("fault", "overflow"),
    });
  }

  /** Sends a request; it went on if `resumed` is 1. */
  send(fields: Fields = [], cluster = "up"): FakeContext {
    const context = new FakeContext(request("/", fields), streamInfo(), this.clock);
    context.info.cluster = cluster;
    if (this.stage === null || this.stage.onRequest(context)) context.resumed++;
    return context;
  }
}

function reply(status: number, grpcStatus?: number): Reply {
  return { status, body: "fault filter abort", details: "fault_filter_abort", flags: Flag.FI, grpcStatus };
}

test("without faults there is nothing to run", () => {
  assert.equal(new Bench({}).stage, null);
});

test("an abort answers in the upstream's place", () => {
  const http = new Bench({ abort: { kind: "http", status: 418, fraction: ALL } });
  const context = http.send();
  assert.deepEqual(context.replies, [reply(418)]);
  assert.equal(context.resumed, 0);
  assert.deepEqual(http.counters.counts, { "fault.aborts": 1 });
  const grpc = new Bench({ abort: { kind: "grpc", status: 5, fraction: ALL } });
  assert.deepEqual(grpc.send().replies, [reply(200, 5)]);
});

test("a delay holds a request up, and it goes on", () => {
  const bench = new Bench({ delay: { kind: "fixed", ms: 200, fraction: ALL } });
  const context = bench.send();
  bench.clock.advance(199);
  assert.equal(context.resumed, 0);
  bench.clock.advance(1);
  assert.equal(context.resumed, 1);
  assert.equal(context.info.flags, Flag.DI);
  assert.deepEqual(context.replies, []);
  assert.deepEqual(bench.counters.counts, { "fault.delays": 1 });
});

test("the abort comes after the delay", () => {
  const bench = new Bench({
    delay: { kind: "fixed", ms: 200, fraction: ALL },
    abort: { kind: "http", status: 503, fraction: ALL },
  });
  const context = bench.send();
  assert.deepEqual(context.replies, []);
  bench.clock.advance(200);
  assert.deepEqual(context.replies, [reply(503)]);
  assert.equal(context.resumed, 0);
  assert.deepEqual(bench.counters.counts, { "fault.delays": 1, "fault.aborts": 1 });
});

test("a request that ends while it is delayed is not answered", () => {
  const bench = new Bench({
    delay: { kind: "fixed", ms: 200, fraction: ALL },
    abort: { kind: "http", status: 503, fraction: ALL },
  });
  const context = bench.send();
  context.end();
  bench.clock.advance(500);
  assert.deepEqual([context.replies.length, context.resumed, bench.active.value], [0, 0, 0]);
});

test("requests can ask for their status", () => {
  const bench = new Bench({ abort: { kind: "header", fraction: ALL } });
  const asked = (name: string, value: string): readonly Reply[] => bench.send([[name, value]]).replies;
  for (const [value, status] of [
    ["503", 503],
    ["200", 200],
    ["599", 599],
  ] as const) {
    assert.deepEqual(asked("x-envoy-fault-abort-request", value), [reply(status)]);
  }
  for (const value of ["199", "600", "abc", "5", "0", "", "-503"]) {
    assert.deepEqual(asked("x-envoy-fault-abort-request", value), [], value);
  }
  for (const value of ["0", "5", "99"]) {
    assert.deepEqual(asked("x-envoy-fault-abort-grpc-request", value), [reply(200, Number(value))]);
  }
  assert.deepEqual(asked("x-envoy-fault-abort-grpc-request", "x"), []);
  const both: Fields = [
    ["x-envoy-fault-abort-grpc-request", "3"],
    ["x-envoy-fault-abort-request", "501"],
  ];
  assert.deepEqual(bench.send(both).replies, [reply(501)]);
  assert.equal(bench.send().resumed, 1);
});

test("requests can ask for their delay", () => {
  const bench = new Bench({ delay: { kind: "header", fraction: ALL } });
  const context = bench.send([["x-envoy-fault-delay-request", "150"]]);
  bench.clock.advance(149);
  assert.equal(context.resumed, 0);
  bench.clock.advance(1);
  assert.equal(context.resumed, 1);
  for (const value of ["0", "-1", "abc", "150.5", "1e2", "99999999999999999999"]) {
    assert.equal(bench.send([["x-envoy-fault-delay-request", value]]).resumed, 1, value);
  }
});

test("requests can ask for a smaller share, not for a larger one", () => {
  for (const [percentage, drawn, aborted] of [
    ["0", 0, false],
    ["20", 19, true],
    ["20", 20, false],
    ["100", 49, true],
    ["100", 50, false],
    ["x", 49, true],
  ] as const) {
    const bench = new Bench({ abort: { kind: "header", fraction: HALF } }, () => drawn / DRAWS);
    const context = bench.send([
      ["x-envoy-fault-abort-request", "501"],
      ["x-envoy-fault-abort-request-percentage", percentage],
    ]);
    assert.equal(context.replies.length === 1, aborted, `${percentage} ${drawn}`);
  }
});

test("shares of the requests are exact", () => {
  let value = 0;
  const bench = new Bench(
    { abort: { kind: "http", status: 500, fraction: { numerator: 37, denominator: 100 } } },
    () => value++ / DRAWS,
  );
  let aborted = 0;
  for (let i = 0; i < 1000; i++) aborted += bench.send().replies.length;
  assert.equal(aborted, 370);
  assert.equal(new Bench({ abort: { kind: "http", status: 500, fraction: NONE } }).send().resumed, 1);
});

test("only requests that match are meant", () => {
  const abort = { kind: "http", status: 500, fraction: ALL } as const;
  const byHeader = new Bench({
    abort,
    headers: [
      {
        name: "x-f",
        match: { kind: "string", match: { kind: "exact", value: "1", ignoreCase: false } },
        invert: false,
        treatMissingAsEmpty: false,
      },
    ],
  });
  assert.equal(byHeader.send().resumed, 1);
  assert.equal(byHeader.send([["X-F", "1"]]).replies.length, 1);
  const byCluster = new Bench({ abort, upstreamCluster: "up" });
  assert.equal(byCluster.send([], "other").resumed, 1);
  assert.equal(byCluster.send([], "up").replies.length, 1);
});

test("no more faults are active than may be; the rest is counted", () => {
  const bench = new Bench({
    delay: { kind: "fixed", ms: 300, fraction: ALL },
    abort: { kind: "http", status: 503, fraction: ALL },
    maxActiveFaults: 1,
  });
  const first = bench.send();
  const second = bench.send();
  assert.equal(second.resumed, 1);
  assert.deepEqual(bench.counters.counts, { "fault.delays": 1, "fault.overflow": 2 });
  bench.clock.advance(300);
  assert.deepEqual(first.replies, [reply(503)]);
  assert.equal(bench.active.value, 0);
  bench.send();
  assert.equal(bench.active.value, 1);
});

test("several threads count their faults together, by the manager's stat_prefix", () => {
  const memory = createSharedMemory(2, 4);
  const all = [0, 1].map((thread) => new ActiveFaults("in", new SharedState(memory, thread)));
  const delay = { kind: "fixed", ms: 300, fraction: ALL } as const;
  const abort = { kind: "http", status: 503, fraction: ALL } as const;
  const [one, other] = all.map(({ count }) => new Bench({ delay, abort, maxActiveFaults: 1 }, () => 0, count));
  const stranger = new ActiveFaults("out", new SharedState(memory, 0));
  one?.send();
  assert.equal(other?.send().resumed, 1, "the other thread has the one that may be");
  assert.equal(stranger.count.value, 0);
  one?.clock.advance(300);
  assert.equal(other?.send().resumed, 0);
  other?.clock.advance(300);
  for (const faults of [...all, stranger]) faults.close();
  assert.equal(new SharedState(memory, 0).table("counts").size, 0);
});
