/** The first message of a TLS client, made by hand: its pieces and oddities are the test's to choose. */

export interface HelloOptions {
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  /** Bytes of padding (RFC 7685). */
  readonly padding?: number;
  /** Extensions and suites that mean nothing (RFC 8701). */
  readonly grease?: boolean;
  /** At which lengths the message is parted into records. Default: one record. */
  readonly records?: readonly number[];
}

const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const u24 = (value: number): Buffer => Buffer.concat([u8(value >> 16), u16(value & 0xffff)]);
const vector8 = (...parts: Buffer[]): Buffer => withLength(u8, parts);
const vector16 = (...parts: Buffer[]): Buffer => withLength(u16, parts);

function withLength(length: (value: number) => Buffer, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([length(body.length), body]);
}

const extension = (type: number, body: Buffer): Buffer => Buffer.concat([u16(type), vector16(body)]);

const GREASE = 0x2a2a;

/** The records of a ClientHello of TLS 1.3. */
export function clientHello(options: HelloOptions = {}): Buffer {
  const { serverName, alpn, padding = 0, grease = false, records = [] } = options;
  const extensions = [
    ...(grease ? [extension(GREASE, Buffer.alloc(0))] : []),
    ...(serverName === undefined ? [] : [extension(0, vector16(u8(0), vector16(Buffer.from(serverName))))]),
    extension(10, vector16(u16(29), u16(23))),
    extension(13, vector16(u16(0x0403), u16(0x0804))),
    ...(alpn === undefined ? [] : [extension(16, vector16(...alpn.map((name) => vector8(Buffer.from(name)))))]),
    extension(43, vector8(u16(0x0304), u16(0x0303))),
    extension(51, vector16(u16(29), vector16(Buffer.alloc(32, 7)))),
    ...(padding > 0 ? [extension(21, Buffer.alloc(padding))] : []),
  ];
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 9),
    vector8(),
    vector16(...(grease ? [u16(GREASE)] : []), u16(0x1301), u16(0xc02b), u16(0xc02f)),
    vector8(u8(0)),
    vector16(...extensions),
  ]);
  const message = Buffer.concat([u8(1), u24(body.length), body]);
  const parts: Buffer[] = [];
  let at = 0;
  for (const end of [...records, message.length]) {
    parts.push(Buffer.concat([u8(22), u16(0x0301), vector16(message.subarray(at, end))]));
    at = end;
  }
  return Buffer.concat(parts);
}
