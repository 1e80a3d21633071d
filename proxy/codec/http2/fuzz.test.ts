/** Bytes of no sense, and sense with mistakes in it: the connection goes on or ends cleanly, and nothing is left behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  data,
  Flag,
  frame,
  goaway,
  headers,
  PREFACE,
  ping,
  priority,
  request,
  response,
  rstStream,
  settings,
  settingsAck,
  Type,
  windowUpdate,
} from "../../../test/support/http2-frames.ts";
import { type ClientCall, Pair, respond } from "./testing/pair.ts";

const stream = fc.oneof(fc.constantFrom(1, 3, 5), fc.nat(12));
const flags = fc.oneof(
  fc.constantFrom(0, Flag.endStream, Flag.endHeaders, Flag.endStream | Flag.endHeaders),
  fc.nat(255),
);
const payload = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const uint32 = fc.oneof(fc.constantFrom(0, 1, 65_535, 2 ** 31 - 1), fc.nat());

/** Frames that are right in themselves, in any order and on any stream. */
const sensible = (head: (id: number, more: number) => Buffer): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.tuple(stream, fc.constantFrom(0, Flag.endStream)).map(([id, end]) => head(id, end)),
    fc.tuple(stream, payload, fc.constantFrom(0, Flag.endStream)).map(([id, bytes, end]) => data(id, bytes, end)),
    fc.tuple(fc.oneof(fc.constant(0), stream), uint32).map(([id, more]) => windowUpdate(id, more)),
    fc.tuple(stream, fc.nat(15)).map(([id, code]) => rstStream(id, code)),
    fc.tuple(fc.nat(10), uint32).map(([id, value]) => settings([id, value])),
    fc.constant(settingsAck()),
    fc.constant(ping()),
    fc.tuple(fc.nat(20), fc.nat(15)).map(([last, code]) => goaway(last, code)),
    fc.tuple(stream, fc.nat(8)).map(([id, on]) => priority(id, on)),
    fc.tuple(stream, payload, flags).map(([id, bytes, all]) => frame(Type.continuation, all, id, bytes)),
  );

/** Any frame at all, with a length that may be a lie. */
const arbitrary = fc
  .tuple(fc.nat(12), flags, stream, payload, fc.option(fc.nat(20_000), { freq: 10 }))
  .map(([type, all, id, bytes, length]) => frame(type, all, id, bytes, length ?? bytes.length));

const input = (head: (id: number, more: number) => Buffer): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.array(fc.oneof({ weight: 6, arbitrary: sensible(head) }, { weight: 1, arbitrary }), { maxLength: 30 }),
      // Bytes that are changed afterwards.
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      fc.boolean(),
    )
    .map(([frames, changes, changed]) => {
      const bytes = Buffer.concat([settings(), ...frames]);
      if (changed) for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });

/** Nothing is open, held or waiting. */
function isOver(pair: Pair): void {
  pair.clientSocket.destroy();
  pair.serverSocket.destroy();
  pair.clock.advance(10_000);
  assert.deepEqual([pair.clientStats.streams_active, pair.serverStats.streams_active], [0, 0]);
  assert.deepEqual([pair.clientClosed, pair.serverClosed], [1, 1]);
  assert.equal(pair.wheel.size, 0);
}

describe("what a peer may send", () => {
  test("never throws in a server, and each request has one end", () => {
    const head = (id: number, end: number): Buffer => headers(id, request("/"), end);
    fc.assert(
      fc.property(input(head), fc.integer({ min: 1, max: 400 }), fc.boolean(), (bytes, size, answers) => {
        const pair = new Pair({ options: { requestTimeoutMs: 1000, headTimeoutMs: 500 } });
        pair.serverSocket.peer = null;
        const all = Buffer.concat([PREFACE, bytes]);
        for (let at = 0; at < all.length && !pair.serverSocket.destroyed; at += size) {
          pair.serverSocket.emit("data", all.subarray(at, at + size));
          if (!answers) continue;
          for (const call of pair.served.splice(0)) if (call.resets.length === 0) respond(call, 200, "fine");
        }
        pair.server.outbox.flush();
        isOver(pair);
        // Whoever was not answered has been told once that it is over.
        for (const call of pair.served) assert.equal(call.resets.length, 1);
      }),
      { numRuns: 1500 },
    );
  });

  test("never throws in a client, and each call has one end", () => {
    const head = (id: number, end: number): Buffer => headers(id, response(200), end);
    fc.assert(
      fc.property(input(head), fc.integer({ min: 1, max: 400 }), fc.nat(4), (bytes, size, calls) => {
        const pair = new Pair();
        pair.clientSocket.peer = null;
        const open: ClientCall[] = Array.from({ length: calls }, () => pair.call("/"));
        for (let at = 0; at < bytes.length && !pair.clientSocket.destroyed; at += size) {
          pair.clientSocket.emit("data", bytes.subarray(at, at + size));
        }
        isOver(pair);
        for (const { ends, resets } of open) assert.equal(ends + resets.length, 1);
      }),
      { numRuns: 1500 },
    );
  });
});

describe("bytes of no sense", () => {
  test("end a connection with GOAWAY, however they come", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 33, maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (noise, size) => {
        const pair = new Pair();
        pair.serverSocket.peer = null;
        const bytes = Buffer.from(noise);
        // It is not by chance a preface.
        bytes[3] = 0x7f;
        for (let at = 0; at < bytes.length && !pair.serverSocket.destroyed; at += size) {
          pair.serverSocket.emit("data", bytes.subarray(at, at + size));
        }
        assert.equal(pair.serverStats.goaway_sent, 1);
        assert.ok(pair.serverSocket.writableEnded);
        isOver(pair);
      }),
      { numRuns: 200 },
    );
  });
});

test("what comes after a connection has failed is not read", () => {
  const pair = new Pair();
  pair.serverSocket.peer = null;
  const bad = frame(Type.data, 0, 0, Buffer.from("x"));
  pair.serverSocket.emit("data", Buffer.concat([PREFACE, settings(), bad, headers(1, request("/"))]));
  pair.serverSocket.emit("data", headers(3, request("/")));
  assert.equal(pair.served.length, 0);
  assert.equal(pair.serverStats.goaway_sent, 1);
  isOver(pair);
});
