/** SETTINGS that peers send, right and wrong. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_HTTP2, type Http2Options } from "../../../model/http.ts";
import { settings } from "../../../test/support/http2-frames.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { Outbox } from "./outbox.ts";
import { ErrorCode, FRAME_HEADER, Setting } from "./protocol.ts";
import { firstWindow } from "./receive-window.ts";
import { LocalSettings, PeerSettings, readSettings } from "./settings.ts";
import { WireSocket } from "./testing/wire.ts";

function read(peer: PeerSettings, ...entries: readonly (readonly [number, number])[]) {
  const frame = settings(...entries);
  return readSettings(frame, FRAME_HEADER, frame.length, peer);
}

describe("settings of a peer", () => {
  test("are in force in their order, and unknown ones are ignored", () => {
    const peer = new PeerSettings(1);
    const entries = [
      [Setting.initialWindowSize, 5],
      [0x99, 2 ** 32 - 1],
      [Setting.initialWindowSize, 70_000],
      [Setting.maxConcurrentStreams, 0],
      [Setting.headerTableSize, 0],
      [Setting.maxFrameSize, 2 ** 24 - 1],
      [Setting.enablePush, 0],
      [Setting.enableConnectProtocol, 1],
      [Setting.maxHeaderListSize, 100],
    ] as const;
    assert.equal(read(peer, ...entries), null);
    assert.deepEqual(
      [peer.initialWindow, peer.maxConcurrentStreams, peer.headerTableSize, peer.enableConnectProtocol],
      [70_000, 0, 0, true],
    );
    assert.equal(peer.maxHeaderListSize, 100);
  });

  const wrong: Readonly<Record<string, readonly [entry: readonly [number, number], code: number]>> = {
    "a window above 2^31 - 1": [[Setting.initialWindowSize, 2 ** 31], ErrorCode.flowControlError],
    "frames too small": [[Setting.maxFrameSize, 16_383], ErrorCode.protocolError],
    "frames too large": [[Setting.maxFrameSize, 2 ** 24], ErrorCode.protocolError],
    "push of 2": [[Setting.enablePush, 2], ErrorCode.protocolError],
    "extended CONNECT of 2": [[Setting.enableConnectProtocol, 2], ErrorCode.protocolError],
  };
  for (const [name, [entry, code]] of Object.entries(wrong)) {
    test(`are refused: ${name}`, () => assert.equal(read(new PeerSettings(1), entry)?.code, code));
  }

  test("are refused: a length that is no multiple of six", () => {
    assert.equal(readSettings(Buffer.alloc(7), 0, 7, new PeerSettings(1))?.code, ErrorCode.frameSizeError);
  });

  test("are refused: push, if a server says it", () => {
    assert.equal(read(new PeerSettings(1), [Setting.enablePush, 1]), null);
    assert.equal(read(new PeerSettings(0), [Setting.enablePush, 1])?.code, ErrorCode.protocolError);
  });

  test("are refused: extended CONNECT that is taken back", () => {
    const peer = new PeerSettings(0);
    assert.equal(read(peer, [Setting.enableConnectProtocol, 1]), null);
    assert.equal(read(peer, [Setting.enableConnectProtocol, 0])?.code, ErrorCode.protocolError);
  });
});

/** The settings that are written, by id. */
function written(options: Partial<Http2Options>): Map<number, number> {
  const socket = new WireSocket();
  const http2 = { ...DEFAULT_HTTP2, ...options };
  const outbox = new Outbox(socket.socket);
  new LocalSettings(http2, firstWindow(http2.initialStreamWindowSize), new HpackDecoder(4096)).write(outbox, [
    [Setting.enablePush, 0],
  ]);
  outbox.flush();
  while (socket.move(1000));
  const seen = new Map<number, number>();
  for (let at = FRAME_HEADER; at < socket.moved.length; at += 6) {
    seen.set(socket.moved.readUInt16BE(at), socket.moved.readUInt32BE(at + 2));
  }
  return seen;
}

describe("our settings", () => {
  test("say what differs from HTTP/2's own defaults", () => {
    const seen = written({ hpackTableSize: 0, initialStreamWindowSize: 100_000 });
    assert.deepEqual(
      [...seen],
      [
        [Setting.enablePush, 0],
        [Setting.headerTableSize, 0],
        [Setting.initialWindowSize, 100_000],
      ],
    );
    assert.deepEqual([...written({ initialStreamWindowSize: 65_535 }).keys()], [Setting.enablePush]);
  });

  test("a smaller table holds when the peer has acknowledged it, a larger one at once", () => {
    const sizes = (hpackTableSize: number): number[] => {
      const decoder = new HpackDecoder(4096);
      const seen: number[] = [];
      decoder.setMaxTableSize = (size) => void seen.push(size);
      const local = new LocalSettings({ ...DEFAULT_HTTP2, hpackTableSize }, 1 << 20, decoder);
      local.write(new Outbox(new WireSocket().socket), []);
      const before = [...seen];
      local.onAcknowledged();
      return [before.length, ...seen];
    };
    assert.deepEqual(sizes(100), [0, 100]);
    assert.deepEqual(sizes(10_000), [1, 10_000]);
    assert.deepEqual(sizes(4096), [0]);
  });
});
