/** HTTP/2 frames written by hand (RFC 9113, section 6), right or wrong as a test wants them. */
import type { Field } from "./hpack-reader.ts";

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const Code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

const EMPTY = Buffer.alloc(0);

/** Any frame. `length` is what the frame's header claims, if it is not the payload's. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = EMPTY,
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value >>> 0, index * 4);
  });
  return bytes;
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value >>> 0, index * 6 + 2);
  });
  return frame(Type.settings, 0, 0, payload);
}

export const settingsAck = (): Buffer => frame(Type.settings, Flag.ack, 0);

/** A literal without indexing, its name new, no Huffman (RFC 7541, section 6.2.2). */
export function literal([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

export function literals(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(literal));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** RFC 7541, section 5.1; `first` are the bits above the prefix. */
export function integer(value: number, bits: number, first: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(first | value);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** HEADERS with the whole block; END_HEADERS is set unless `flags` says otherwise. */
export function headers(stream: number, fields: readonly Field[], flags: number = Flag.endStream): Buffer {
  return frame(Type.headers, flags | Flag.endHeaders, stream, literals(fields));
}

export function data(stream: number, content: string | Buffer, flags = 0): Buffer {
  return frame(Type.data, flags, stream, Buffer.from(content));
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(Type.windowUpdate, 0, stream, uint32(increment));
}

export function rstStream(stream: number, code: number): Buffer {
  return frame(Type.rstStream, 0, stream, uint32(code));
}

export function goaway(last: number, code: number): Buffer {
  return frame(Type.goaway, 0, 0, uint32(last, code));
}

export function ping(opaque = "12345678", flags = 0): Buffer {
  return frame(Type.ping, flags, 0, Buffer.from(opaque, "latin1"));
}

export function priority(stream: number, dependsOn: number): Buffer {
  return frame(Type.priority, 0, stream, Buffer.concat([uint32(dependsOn), Buffer.of(16)]));
}

/** The fields of a request, `more` after the pseudo-header fields. */
export function request(path = "/", more: readonly Field[] = [], method = "GET"): Field[] {
  return [[":method", method], [":scheme", "http"], [":authority", "x.test"], [":path", path], ...more];
}

/** The fields of a response. */
export function response(status: number | string = 200, more: readonly Field[] = []): Field[] {
  return [[":status", String(status)], ...more];
}
