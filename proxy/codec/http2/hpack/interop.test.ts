import assert from "node:assert/strict";
import http2 from "node:http2";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { decodeBlock, encodeBlock, type Field } from "./testing/blocks.ts";

const HEADERS = 1;
const SETTINGS = 4;
const HEADER_TABLE_SIZE = 1;

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Gives each frame that a peer writes to `onFrame`. */
function frames(onFrame: (type: number, flags: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const end = 9 + rest.readUIntBE(0, 3);
      onFrame(rest[3] as number, rest[4] as number, rest.subarray(9, end));
      rest = rest.subarray(end);
    }
  };
}

/** Requests of which some parts recur and some don't. */
function request(i: number): Field[] {
  return [
    [":method", i % 3 === 0 ? "GET" : "POST"],
    [":scheme", "http"],
    [":path", `/shop.Orders/${i % 5 === 0 ? i : "Get"}`],
    [":authority", `orders-${i % 4}.shop:8080`],
    ["content-type", "application/grpc"],
    ["x-request-id", `${i * 104_729}-${i * 15_485_863}`],
    ["x-long", "v".repeat((i * 37) % 300)],
    ["x-latin1", "caf\xe9"],
    ["authorization", `Bearer ${i % 2}`],
    [`x-name-${i % 20}`, String(i % 7)],
  ];
}

for (const tableSize of [4096, 200, 0]) {
  test(`node:http2 reads what is encoded for its table of ${tableSize} bytes`, async () => {
    const count = 200;
    const encoder = new HpackEncoder();
    const server = http2.createServer({ settings: { headerTableSize: tableSize } });
    const seen: Field[][] = [];
    const done = Promise.withResolvers<void>();
    server.on("stream", (stream: http2.ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
      const fields: Field[] = [];
      for (let i = 0; i < raw.length; i += 2) fields.push([raw[i] as string, raw[i + 1] as string]);
      seen.push(fields);
      stream.respond({ ":status": 204 }, { endStream: true });
      if (seen.length === count) done.resolve();
    });
    server.on("sessionError", done.reject);
    const [near, far] = duplexPair();
    let sent = 0;
    const onFrame = (type: number, flags: number, payload: Buffer): void => {
      if (type === SETTINGS && (flags & 1) === 0) {
        for (let at = 0; at < payload.length; at += 6) {
          if (payload.readUInt16BE(at) === HEADER_TABLE_SIZE) encoder.setMaxTableSize(payload.readUInt32BE(at + 2));
        }
        near.write(frame(SETTINGS, 1, 0, Buffer.alloc(0)));
      }
      // The next goes out when the answer to the last has come, so the streams stay few.
      if ((type === HEADERS || sent === 0) && sent < count) {
        near.write(frame(HEADERS, 0x5, sent * 2 + 1, encodeBlock(encoder, request(sent))));
        sent++;
      }
    };
    near.on("data", frames(onFrame));
    server.emit("connection", far);
    near.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    near.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
    await done.promise;
    near.destroy();
    far.destroy();
    assert.deepEqual(
      seen,
      Array.from({ length: count }, (_, i) => request(i)),
    );
  });

  test(`what node:http2 encodes for a table of ${tableSize} bytes is decoded`, async () => {
    const count = 200;
    const decoder = new HpackDecoder(4096);
    const seen: (Field[] | null)[] = [];
    const [near, far] = duplexPair();
    const done = Promise.withResolvers<void>();
    const session = http2.connect("http://orders", { createConnection: () => far });
    session.on("error", done.reject);
    let acknowledged = false;
    const send = (): void => {
      const i = seen.length;
      const headers: http2.OutgoingHttpHeaders = {};
      for (const [name, value] of request(i)) headers[name] = value;
      session.request(headers, { endStream: true }).on("error", () => {});
    };
    const onFrame = (type: number, flags: number, payload: Buffer): void => {
      if (type === SETTINGS && (flags & 1) !== 0 && !acknowledged) {
        acknowledged = true;
        decoder.setMaxTableSize(tableSize);
        send();
      }
      if (type !== HEADERS) return;
      // What a priority takes stands before the block.
      seen.push(decodeBlock(decoder, payload.subarray((flags & 0x20) !== 0 ? 5 : 0)));
      assert.ok(decoder.tableSize <= tableSize);
      if (seen.length === count) done.resolve();
      else setImmediate(send);
    };
    let preface = 24;
    const take = frames(onFrame);
    near.on("data", (chunk: Buffer) => {
      const skipped = Math.min(preface, chunk.length);
      preface -= skipped;
      take(chunk.subarray(skipped));
    });
    const setting = Buffer.alloc(6);
    setting.writeUInt16BE(HEADER_TABLE_SIZE, 0);
    setting.writeUInt32BE(tableSize, 2);
    near.write(frame(SETTINGS, 0, 0, setting));
    await done.promise;
    near.destroy();
    session.destroy();
    seen.forEach((fields, i) => {
      assert.ok(fields !== null, `block ${i}`);
      assert.deepEqual(new Map(fields), new Map(request(i)));
    });
  });
}
