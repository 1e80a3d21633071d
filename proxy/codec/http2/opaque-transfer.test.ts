/** What opaque connections carry that share one: all of it, in order, whatever is read in the middle of a write. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventClock, SimulatedClock } from "../../../core/clock.ts";
import { TimerWheel } from "../../../core/timer-wheel.ts";
import { OpaqueClientConnection } from "./opaque-client.ts";
import { OpaqueServerConnection } from "./opaque-server.ts";
import type { OpaqueStream } from "./opaque-stream.ts";
import { Http2Stats } from "./stats.ts";
import { wirePair } from "./testing/wire.ts";

/** Sends so many bytes of a pattern in pieces of one size, then its end, and keeps what comes. */
class Talker {
  readonly #stream: OpaqueStream;
  readonly #content: Buffer;
  readonly #piece: number;
  #sent = 0;
  readonly received: Buffer[] = [];
  ended = false;

  constructor(stream: OpaqueStream, content: Buffer, piece: number) {
    this.#stream = stream;
    this.#content = content;
    this.#piece = piece;
    stream.read(
      (bytes) => this.received.push(Buffer.from(bytes)),
      () => {
        this.ended = true;
      },
    );
  }

  readonly send = (): void => {
    while (this.#sent < this.#content.length) {
      const bytes = this.#content.subarray(this.#sent, this.#sent + this.#piece);
      this.#sent += bytes.length;
      this.#stream.write(bytes, this.send);
      if (this.#stream.waiting) return;
    }
    this.#stream.end();
  };
}

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at * 31 + seed, at);
  return bytes;
}

test("nothing is lost, doubled or moved when a write brings in what waits to be read", async () => {
  const talk = fc.record({
    up: fc.integer({ min: 0, max: 600_000 }),
    down: fc.integer({ min: 0, max: 600_000 }),
    piece: fc.integer({ min: 1000, max: 70_000 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(talk, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 3000, max: 200_000 }),
      async (talks, most) => {
        const clock = new EventClock(new SimulatedClock());
        const time = { clock, wheel: new TimerWheel(clock), random: () => 0 };
        const sockets = wirePair();
        for (const socket of sockets) socket.readsOnWrite = true;
        const [near, far] = sockets;
        const served: OpaqueStream[] = [];
        const opened: OpaqueStream[] = [];
        const owner = {
          takesStreams: true,
          onStream: (stream: OpaqueStream) => void served.push(stream),
          onClosed: () => undefined,
          onCapacity: () => undefined,
          onDraining: () => undefined,
        };
        const server = new OpaqueServerConnection(far.socket, owner, new Http2Stats(), time);
        const client = new OpaqueClientConnection(near.socket, owner, new Http2Stats(), time);
        const settle = async (): Promise<void> => {
          for (let moved = true; moved; await Promise.resolve()) {
            client.outbox.flush();
            server.outbox.flush();
            moved = false;
            for (const socket of sockets) if (socket.move(most)) moved = true;
          }
        };
        const opening = { onOpen: (stream: OpaqueStream) => void opened.push(stream), onRefused: () => assert.fail() };
        for (const _ of talks) client.open(opening);
        await settle();
        const pairs = talks.map(({ up, down, piece }, index) => {
          const content = [pattern(up, index), pattern(down, index + 100)] as const;
          const [from, to] = [opened[index], served[index]];
          assert.ok(from !== undefined && to !== undefined);
          return { content, near: new Talker(from, content[0], piece), far: new Talker(to, content[1], piece) };
        });
        for (const { near: one, far: other } of pairs) {
          one.send();
          other.send();
        }
        await settle();
        for (const { content, near: one, far: other } of pairs) {
          assert.ok(Buffer.concat(other.received).equals(content[0]), "up");
          assert.ok(Buffer.concat(one.received).equals(content[1]), "down");
          assert.ok(one.ended && other.ended);
        }
      },
    ),
    { numRuns: 60 },
  );
});
