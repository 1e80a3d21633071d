import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { setLogLevel } from "../../core/log.ts";
import type { WorkerReport } from "./messages.ts";
import type { DataPlaneWorker, WorkerEvents } from "./worker.ts";
import { WorkerSlot } from "./worker-slot.ts";

setLogLevel("off");

/** What a slot sees of a worker, and the test's hand in it. */
class FakeWorker {
  readonly given: ReadonlyMap<string, number>;
  readonly events: WorkerEvents;
  leaves: ReadonlyMap<string, number> = new Map([["127.0.0.1:80", 40]]);
  report: WorkerReport | null = null;

  constructor(given: ReadonlyMap<string, number>, events: WorkerEvents) {
    this.given = given;
    this.events = events;
  }

  takeSockets(): ReadonlyMap<string, number> {
    return this.leaves;
  }

  async collect(): Promise<WorkerReport | null> {
    return this.report;
  }

  end(error: Error | null = new Error("broken")): void {
    this.events.onExit(error);
  }
}

let clock: SimulatedClock;
let started: FakeWorker[];
let closed: number[];
let ended: number;
let slot: WorkerSlot;

beforeEach(() => {
  clock = new SimulatedClock();
  started = [];
  closed = [];
  ended = 0;
  slot = new WorkerSlot({
    index: 3,
    clock,
    random: () => 0.5,
    start(given, events) {
      const worker = new FakeWorker(given, events);
      started.push(worker);
      return worker as unknown as DataPlaneWorker;
    },
    onReady: () => undefined,
    onAsk: () => undefined,
    onEnded: () => ended++,
    closeSocket: (fd) => closed.push(fd),
  });
});

const last = (): FakeWorker => started.at(-1) ?? assert.fail("nobody was started");

test("the next one begins at once, with the sockets of the one before", () => {
  clock.advance(120_000);
  last().end();
  assert.equal(started.length, 2);
  assert.deepEqual([...last().given], [["127.0.0.1:80", 40]]);
  assert.deepEqual([ended, closed], [1, []]);
  assert.equal(slot.view().restarts, 1);
});

test("workers that end again and again are begun ever later, and their sockets leave new connections to the others", () => {
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    const before = started.length;
    last().end();
    const since = clock.now();
    if (i === 0) assert.equal(started.length, before + 1, "the first time at once");
    else {
      assert.equal(slot.worker, null);
      assert.equal(closed.length, i);
      while (started.length === before) clock.advance(100);
      assert.equal(last().given.size, 0);
    }
    waits.push(clock.now() - since);
  }
  assert.deepEqual(waits, [0, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
});

test("one that has lived for a while makes up for those before it", () => {
  for (let i = 0; i < 3; i++) {
    last().end();
    clock.advance(30_000);
  }
  clock.advance(60_000);
  const before = started.length;
  last().end();
  assert.equal(started.length, before + 1);
});

test("nobody begins after the end of all", () => {
  slot.stopRestarting();
  last().end(null);
  clock.advance(100_000);
  assert.equal(started.length, 1);
  assert.equal(slot.worker, null);
  assert.deepEqual(closed, [40]);
});

test("what was counted stays, and a worker that does not answer is shown as it was", async () => {
  const counted: WorkerReport = {
    families: [],
    clusters: [],
    stats: [
      ["tcp.t.downstream_cx_total", 7],
      ["tcp.t.downstream_cx_active", 2],
    ],
    connections: new Map([
      ["a", 2],
      ["b", 3],
    ]),
    cpuSeconds: 1.5,
  };
  last().report = counted;
  await slot.refresh();
  assert.deepEqual(slot.view(), {
    worker: "3",
    up: true,
    restarts: 0,
    cpuSeconds: 1.5,
    connectionsActive: 5,
    connectionsAccepted: 0,
  });
  last().report = null;
  await slot.refresh();
  assert.equal(slot.view().up, false);
  assert.equal(slot.report, counted);
  last().end();
  assert.equal(slot.report, null);
  assert.deepEqual(slot.ended?.stats, [["tcp.t.downstream_cx_total", 7]]);
});
