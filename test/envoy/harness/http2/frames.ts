/** Frames of HTTP/2 as bytes (RFC 9113, section 4), and the names by which the test bench shows them. */

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly stream?: number;
  readonly payload?: Buffer | string;
}

export function encodeFrame({ type, flags = 0, stream = 0, payload = "" }: Frame): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** The first frame in `bytes`; null while it is not all there. */
export function readFrame(bytes: Buffer): { readonly frame: Required<Frame>; readonly end: number } | null {
  if (bytes.length < 9) return null;
  const end = 9 + bytes.readUIntBE(0, 3);
  if (bytes.length < end) return null;
  const [type = 0, flags = 0] = bytes.subarray(3, 5);
  const stream = bytes.readUInt32BE(5) & 0x7fffffff;
  return { frame: { type, flags, stream, payload: bytes.subarray(9, end) }, end };
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => void bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

const CODES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const;

export type ErrorName = (typeof CODES)[number];

export const errorNames: readonly ErrorName[] = CODES;
export const errorCode = (name: ErrorName): number => CODES.indexOf(name);
export const errorName = (code: number): string => CODES[code] ?? `code ${code}`;

const SETTINGS = [
  "HEADER_TABLE_SIZE",
  "ENABLE_PUSH",
  "MAX_CONCURRENT_STREAMS",
  "INITIAL_WINDOW_SIZE",
  "MAX_FRAME_SIZE",
];
const FURTHER_SETTINGS = ["MAX_HEADER_LIST_SIZE", "", "ENABLE_CONNECT_PROTOCOL"];

/** What is so without being said. */
const DEFAULTS = ["HEADER_TABLE_SIZE=4096", "ENABLE_CONNECT_PROTOCOL=0"];

/** Pairs of a SETTINGS payload by their names, sorted, without those that say nothing. */
export function readSettings(payload: Buffer): readonly string[] {
  const lines: string[] = [];
  for (let pos = 0; pos + 6 <= payload.length; pos += 6) {
    const id = payload.readUInt16BE(pos);
    const name = [...SETTINGS, ...FURTHER_SETTINGS][id - 1] ?? String(id);
    lines.push(`${name}=${payload.readUInt32BE(pos + 2)}`);
  }
  return lines.filter((line) => !DEFAULTS.includes(line)).sort();
}

export function encodeSettings(settings: Readonly<Record<number, number>>): Buffer {
  return Buffer.concat(
    Object.entries(settings).map(([id, value]) => {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt16BE(Number(id), 0);
      bytes.writeUInt32BE(value, 2);
      return bytes;
    }),
  );
}
