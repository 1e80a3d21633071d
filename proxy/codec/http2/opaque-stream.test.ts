/** Opaque connections as streams: how they begin and end, and what a peer may do to those who carry them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import {
  data,
  Flag,
  frame,
  goaway,
  PREFACE,
  ping,
  rstStream,
  settings,
  Type,
  windowUpdate,
} from "../../../test/support/http2-frames.ts";
import { OpaqueClientConnection, type OpaqueClientOwner } from "./opaque-client.ts";
import { OpaqueServerConnection, type OpaqueServerOwner } from "./opaque-server.ts";
import type { OpaqueOpening, OpaqueStream } from "./opaque-stream.ts";
import { Http2Stats } from "./stats.ts";
import { wirePair } from "./testing/wire.ts";

/** One side's view of a stream. */
class End {
  readonly stream: OpaqueStream;
  text = "";
  ended = false;
  closed = 0;

  constructor(stream: OpaqueStream, reads = true) {
    this.stream = stream;
    stream.watch(() => this.closed++);
    if (reads) this.read();
  }

  read(): void {
    this.stream.read(
      (bytes) => {
        this.text += bytes.toString("latin1");
      },
      () => {
        this.ended = true;
      },
    );
  }

  write(text: string): void {
    this.stream.write(Buffer.from(text, "latin1"), () => undefined);
  }
}

class Caller implements OpaqueOpening {
  end: End | null = null;
  readonly refused: { readonly again: boolean; readonly detail: string }[] = [];

  onOpen(stream: OpaqueStream): void {
    this.end = new End(stream);
  }

  onRefused(again: boolean, detail: string): void {
    this.refused.push({ again, detail });
  }
}

class Wire implements OpaqueServerOwner, OpaqueClientOwner {
  takesStreams = true;
  reads = true;
  readonly served: End[] = [];
  readonly clock = new SimulatedClock();
  readonly wheel: TimerWheel;
  readonly client: OpaqueClientConnection;
  readonly server: OpaqueServerConnection;
  readonly clientStats = new Http2Stats();
  readonly serverStats = new Http2Stats();
  readonly sockets = wirePair();
  draining = 0;
  closed = 0;

  constructor() {
    const clock = new EventClock(this.clock);
    this.wheel = new TimerWheel(clock);
    const time = { clock, wheel: this.wheel, random: () => 0 };
    const [near, far] = this.sockets;
    this.server = new OpaqueServerConnection(far.socket, this, this.serverStats, time);
    this.client = new OpaqueClientConnection(near.socket, this, this.clientStats, time);
  }

  onStream(stream: OpaqueStream): void {
    this.served.push(new End(stream, this.reads));
  }

  onCapacity(): void {}

  onDraining(): void {
    this.draining++;
  }

  onClosed(): void {
    this.closed++;
  }

  /** Moves all that is on its way, and what comes of it. */
  async settle(): Promise<void> {
    for (let moved = true; moved; ) {
      this.client.outbox.flush();
      this.server.outbox.flush();
      moved = false;
      for (const socket of this.sockets) while (socket.move(10_000)) moved = true;
    }
    await Promise.resolve();
  }

  async open(): Promise<readonly [End, End]> {
    const caller = new Caller();
    this.client.open(caller);
    await this.settle();
    assert.ok(caller.end);
    return [caller.end, this.served.at(-1) as End];
  }

  /** Cuts the wire: nothing may be left. */
  async cut(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await Promise.resolve();
    this.clock.advance(100_000);
    assert.deepEqual([this.clientStats.streams_active, this.serverStats.streams_active], [0, 0]);
    assert.equal(this.closed, 2);
    assert.equal(this.wheel.size, 0);
  }
}

describe("a stream", () => {
  test("carries bytes both ways, and ends each way by itself", async () => {
    const wire = new Wire();
    const [near, far] = await wire.open();
    near.write("hello");
    far.write("welcome");
    near.stream.end();
    await wire.settle();
    assert.deepEqual([far.text, far.ended, far.closed], ["hello", true, 0]);
    assert.deepEqual([near.text, near.ended, near.closed], ["welcome", false, 0]);
    far.write(" and goodbye");
    far.stream.end();
    await wire.settle();
    assert.deepEqual([near.text, near.ended, near.closed, far.closed], ["welcome and goodbye", true, 1, 1]);
    assert.deepEqual([near.stream.broken, far.stream.broken], [false, false]);
    await wire.cut();
  });

  test("that is closed is closed for the peer, one that is broken off is broken", async () => {
    const wire = new Wire();
    for (const [how, broken] of [
      ["destroy", false],
      ["destroySoon", false],
      ["reset", true],
    ] as const) {
      const [near, far] = await wire.open();
      far.write("last words");
      far.stream[how]();
      await wire.settle();
      assert.deepEqual([near.closed, far.closed, near.stream.broken, near.ended], [1, 1, broken, !broken], how);
      assert.deepEqual([near.stream.destroyed, far.stream.destroyed], [true, true]);
    }
    await wire.cut();
  });

  test("whose bytes can't all be sent is broken off, unless there is time for them", async () => {
    const wire = new Wire();
    wire.reads = false;
    const much = "x".repeat(400_000);
    const [cut] = await wire.open();
    cut.write(much);
    assert.ok(cut.stream.waiting);
    cut.stream.destroy();
    const [patient, reader] = await wire.open();
    patient.write(much);
    patient.stream.destroySoon();
    await wire.settle();
    assert.deepEqual(
      wire.served.map(({ closed, stream }) => [closed, stream.broken]),
      [
        [1, true],
        [0, false],
      ],
    );
    reader.read();
    await wire.settle();
    assert.deepEqual(
      [reader.text.length, reader.ended, reader.closed, reader.stream.broken],
      [400_000, true, 1, false],
    );
    await wire.cut();
  });

  test("that has ended whole is not lost with its connection", async () => {
    const wire = new Wire();
    wire.reads = false;
    const [near, far] = await wire.open();
    near.write("all of it");
    near.stream.end();
    await wire.settle();
    await wire.cut();
    assert.deepEqual([near.closed, near.stream.broken], [1, true]);
    far.read();
    await Promise.resolve();
    assert.deepEqual([far.text, far.ended, far.closed], ["all of it", true, 1]);
  });
});

describe("who opens streams", () => {
  test("hears of a refusal, and that another connection may do better", async () => {
    const wire = new Wire();
    wire.takesStreams = false;
    const caller = new Caller();
    wire.client.open(caller);
    await wire.settle();
    assert.deepEqual([caller.end, caller.refused.map(({ again }) => again)], [null, [true]]);
    await wire.cut();
  });

  test("may do so during the grace time of a drain; then the connection ends with its last stream", async () => {
    const wire = new Wire();
    const [before, theirs] = await wire.open();
    wire.server.drain(1000);
    // On its way when the announcement comes.
    const [late] = await wire.open();
    assert.equal(wire.draining, 1);
    assert.equal(wire.client.capacity, 0);
    wire.clock.advance(1100);
    await wire.settle();
    late.stream.destroy();
    theirs.write("still there");
    await wire.settle();
    assert.deepEqual([before.text, wire.closed], ["still there", 0]);
    before.stream.end();
    theirs.stream.end();
    await wire.settle();
    wire.clock.advance(2000);
    assert.equal(wire.closed, 2);
  });

  test("is refused at once by a drain without grace", async () => {
    const wire = new Wire();
    await wire.open();
    const caller = new Caller();
    wire.server.drain(0);
    wire.client.open(caller);
    await wire.settle();
    assert.deepEqual(
      caller.refused.map(({ again }) => again),
      [true],
    );
    await wire.cut();
  });
});

const id = fc.oneof(fc.constantFrom(1, 3, 5), fc.nat(12));
const payload = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const flags = fc.oneof(
  fc.constantFrom(0, Flag.endStream, Flag.endHeaders, Flag.endStream | Flag.endHeaders),
  fc.nat(255),
);
const anything = fc.array(
  fc.oneof(
    fc.tuple(id, payload, flags).map(([stream, bytes, all]) => frame(Type.headers, all, stream, bytes)),
    fc.tuple(id, payload, fc.constantFrom(0, Flag.endStream)).map(([stream, bytes, end]) => data(stream, bytes, end)),
    fc.tuple(id, fc.nat(15)).map(([stream, code]) => rstStream(stream, code)),
    fc.tuple(fc.nat(12), fc.nat(100_000)).map(([stream, more]) => windowUpdate(stream, more)),
    fc.tuple(fc.nat(20), fc.nat(15)).map(([last, code]) => goaway(last, code)),
    fc.tuple(fc.nat(10), fc.nat()).map((entry) => settings(entry)),
    fc.tuple(fc.nat(12), flags, id, payload).map(([type, all, stream, bytes]) => frame(type, all, stream, bytes)),
    fc.constant(ping()),
  ),
  { maxLength: 30 },
);

describe("whatever a peer sends", () => {
  test("a server does not throw, and each stream has one end", async () => {
    await fc.assert(
      fc.asyncProperty(anything, fc.integer({ min: 1, max: 400 }), fc.boolean(), async (frames, size, reads) => {
        const wire = new Wire();
        wire.reads = reads;
        wire.sockets[1].peer = null;
        const bytes = Buffer.concat([PREFACE, settings(), ...frames]);
        for (let at = 0; at < bytes.length && !wire.sockets[1].destroyed; at += size) {
          wire.sockets[1].emit("data", bytes.subarray(at, at + size));
        }
        wire.server.outbox.flush();
        await wire.cut();
        for (const end of wire.served) {
          end.stream.destroy();
          await Promise.resolve();
          assert.equal(end.closed, 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a client does not throw, and each stream has one end", async () => {
    await fc.assert(
      fc.asyncProperty(anything, fc.integer({ min: 1, max: 400 }), async (frames, size) => {
        const wire = new Wire();
        wire.sockets[0].peer = null;
        const callers = [new Caller(), new Caller()];
        for (const caller of callers) wire.client.open(caller);
        const bytes = Buffer.concat([settings(), ...frames]);
        for (let at = 0; at < bytes.length && !wire.sockets[0].destroyed; at += size) {
          wire.sockets[0].emit("data", bytes.subarray(at, at + size));
        }
        wire.client.outbox.flush();
        await wire.cut();
        for (const { end, refused } of callers) {
          end?.stream.destroy();
          await Promise.resolve();
          assert.equal((end?.closed ?? 0) + refused.length, 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
