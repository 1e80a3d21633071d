/** Frames come out the same however the bytes that bring them are cut. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { data, frame, ping, settings, Type } from "../../../test/support/http2-frames.ts";
import { type DataSink, FrameReader, type FrameSink } from "./frame-reader.ts";
import { ErrorCode, FrameFlag } from "./protocol.ts";

/** Writes down what it is told, with DATA's pieces put together. */
class Recorder implements FrameSink, DataSink {
  readonly seen: string[] = [];
  readonly #refused: number;
  #content: Buffer[] = [];
  readsNoMore = false;

  /** `refused`: the type of frames whose headers are turned down. */
  constructor(refused = -1) {
    this.#refused = refused;
  }

  onFrameHeader(type: number): boolean {
    if (type !== this.#refused) return true;
    this.readsNoMore = true;
    return false;
  }

  onFrame(type: number, flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    this.seen.push(`${type} ${flags} ${streamId} ${buf.toString("hex", start, end)}`);
  }

  onDataStart(flags: number, streamId: number, length: number): void {
    this.seen.push(`data ${flags} ${streamId} of ${length}`);
    this.#content = [];
  }

  onData(bytes: Buffer): void {
    this.#content.push(Buffer.from(bytes));
  }

  onDataEnd(padding: number): void {
    this.seen.push(`data is ${Buffer.concat(this.#content).toString("hex")} and ${padding}`);
  }

  onReadError(code: number): void {
    this.seen.push(`error ${code}`);
    this.readsNoMore = true;
  }
}

/** What is read of bytes that come in pieces of these sizes, over and over. */
function read(bytes: Buffer, sizes: readonly number[]): readonly string[] {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, recorder);
  for (let pos = 0, i = 0; pos < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    // A copy of its own: what is kept of a piece must not depend on it.
    const piece = Buffer.from(bytes.subarray(pos, pos + size));
    reader.feed(piece, 0);
    piece.fill(0xee);
    pos += size;
  }
  return recorder.seen;
}

const padded = (stream: number, content: Buffer, padding: number, flags = 0): Buffer =>
  frame(
    Type.data,
    FrameFlag.padded | flags,
    stream,
    Buffer.concat([Buffer.of(padding), content, Buffer.alloc(padding)]),
  );

const ALL = Buffer.concat([
  settings([3, 100]),
  ping(),
  frame(Type.headers, FrameFlag.endHeaders, 1, Buffer.from("abc")),
  data(1, "some content"),
  data(1, ""),
  padded(1, Buffer.from("padded"), 5),
  padded(1, Buffer.alloc(0), 3),
  padded(1, Buffer.from("no padding"), 0, FrameFlag.endStream),
  frame(0x42, 0xff, 7, Buffer.from("unknown")),
  frame(Type.settings, FrameFlag.ack, 0),
]);

describe("frames that come in pieces", () => {
  test("are the same as in one, cut at every byte", () => {
    const whole = read(ALL, [ALL.length]);
    assert.equal(whole.length, 15);
    for (let at = 1; at < ALL.length; at++) assert.deepEqual(read(ALL, [at, ALL.length]), whole, `cut at ${at}`);
    assert.deepEqual(read(ALL, [1]), whole);
  });

  const anyFrame = fc.oneof(
    fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.nat(255), fc.nat(100), fc.uint8Array({ maxLength: 300 }))
      .map(([type, flags, stream, payload]) => frame(type, flags, stream, Buffer.from(payload))),
    fc
      .tuple(fc.nat(100), fc.uint8Array({ maxLength: 300 }), fc.nat(255))
      .map(([stream, content, padding]) => padded(stream, Buffer.from(content), padding)),
  );

  test("are the same as in one, whatever they are", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), sizes, (frames, cuts) => {
        const bytes = Buffer.concat(frames);
        const whole = read(bytes, [Math.max(1, bytes.length)]);
        assert.deepEqual(read(bytes, cuts), whole);
        assert.ok(whole.length >= frames.length);
      }),
      { numRuns: 300 },
    );
  });
});

describe("DATA with padding", () => {
  test("gives its content without it, and says how much there was", () => {
    assert.deepEqual(read(padded(3, Buffer.from([1, 2]), 4), [7]), ["data 8 3 of 7", "data is 0102 and 5"]);
  });

  test("that leaves no room for its own length is an error", () => {
    const wrong = frame(Type.data, FrameFlag.padded, 1, Buffer.of(3, 0, 0));
    for (const size of [1, 100]) {
      assert.deepEqual(read(wrong, [size]), ["data 8 1 of 3", `error ${ErrorCode.protocolError}`]);
    }
  });

  test("without a payload is an error", () => {
    const wrong = frame(Type.data, FrameFlag.padded, 1);
    assert.deepEqual(read(wrong, [100]), ["data 8 1 of 0", `error ${ErrorCode.frameSizeError}`]);
  });
});

test("nothing is read after a frame that was turned down", () => {
  const recorder = new Recorder(Type.ping);
  new FrameReader(recorder, recorder).feed(Buffer.concat([settings(), ping(), settings()]), 0);
  assert.deepEqual(recorder.seen, ["4 0 0 "]);
});

test("the reserved bit of a stream's number is ignored", () => {
  const bytes = frame(0x42, 0, 5);
  bytes[5] = 0x80;
  assert.deepEqual(read(bytes, [100]), ["66 0 5 "]);
});
