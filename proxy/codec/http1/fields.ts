/**
 * The field lines of an HTTP/1 head (RFC 9112, section 5), scanned in place: offsets go to a `HeaderMap`, what frames the
 * message goes to a `Framing`. Strict where leniency has been used for smuggling: bare CR or LF, obsolete folding,
 * white space before the colon, control characters and conflicting lengths are errors, never repaired.
 */
import { type HeaderMap, headerTag } from "../../../core/header-map.ts";

/** Outcomes below zero are errors; 0 asks for more bytes; above zero is the offset after the head. */
export const NEED_MORE = 0;

/** Why a head was refused. The names are Envoy's %RESPONSE_CODE_DETAILS% where Envoy has one. */
export const HeadError = {
  bareCr: -1,
  bareLf: -2,
  obsoleteFold: -3,
  invalidName: -4,
  invalidValue: -5,
  startLine: -6,
  method: -7,
  target: -8,
  version: -9,
  contentLength: -10,
  lengthAndChunked: -11,
  transferEncoding: -12,
  multipleHosts: -13,
  missingHost: -14,
  tooManyFields: -15,
  tooLarge: -16,
  http10: -17,
  chunkSize: -18,
  status: -19,
  invalidUrl: -20,
  invalidScheme: -21,
  invalidAuthority: -22,
  underscore: -23,
} as const;

const TOKEN = new Uint8Array(256);
for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[c.charCodeAt(0)] = 1;

/** RFC 9110, section 5.5: HTAB, SP, VCHAR and obs-text. */
const VALUE = new Uint8Array(256).fill(1, 0x20).fill(0, 0x7f, 0x80);
VALUE[0x09] = 1;

/** Why a byte has no place in a name or a target: Envoy tells control characters from what is merely out of place. */
export function wrongByte(byte: number, otherwise: number): number {
  return byte === 0x7f || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)
    ? HeadError.invalidValue
    : otherwise;
}

/** True for a `tchar` (RFC 9110, section 5.6.2). */
export function isTokenByte(byte: number): boolean {
  return TOKEN[byte] === 1;
}

/** How the message that follows a head is delimited and what happens to the connection after it. */
export class Framing {
  /** -1: not given. */
  contentLength = -1;
  chunked = false;
  /** Tokens of `Connection`. */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** `Expect: 100-continue` */
  expectContinue = false;
  /** True for the fields of a request: `host` is read apart then. */
  request = false;
  hosts = 0;
  hostStart = 0;
  hostEnd = 0;
  lengths = 0;
  /** A coding other than `chunked` was given. */
  unknownCoding = false;

  clear(): void {
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.expectContinue = false;
    this.request = false;
    this.hosts = 0;
    this.hostStart = 0;
    this.hostEnd = 0;
    this.lengths = 0;
    this.unknownCoding = false;
  }
}

/** Compares bytes with a lower-case ASCII string, ignoring case. The lengths are known to be equal. */
function same(buf: Uint8Array, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    let c = buf[start + i] as number;
    if (c >= 65 && c <= 90) c |= 0x20;
    if (c !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Reads decimal digits only; -1 for anything else or for more than 15 digits. */
function decimal(buf: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > 15) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = (buf[i] as number) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Visits the comma-separated tokens of a value; returns how many there were. */
function readConnection(buf: Uint8Array, start: number, end: number, framing: Framing): void {
  let pos = start;
  while (pos < end) {
    let stop = pos;
    while (stop < end && buf[stop] !== 0x2c) stop++;
    let from = pos;
    let to = stop;
    while (from < to && (buf[from] === 0x20 || buf[from] === 0x09)) from++;
    while (to > from && (buf[to - 1] === 0x20 || buf[to - 1] === 0x09)) to--;
    const length = to - from;
    if (length === 5 && same(buf, from, "close")) framing.close = true;
    else if (length === 10 && same(buf, from, "keep-alive")) framing.keepAlive = true;
    else if (length === 7 && same(buf, from, "upgrade")) framing.upgrade = true;
    pos = stop + 1;
  }
}

/** Takes the fields that frame the message; returns 0, an error, or 1 if the field must not go into the map. */
function readFraming(
  buf: Uint8Array,
  name: number,
  length: number,
  start: number,
  end: number,
  framing: Framing,
): number {
  switch (length) {
    case 4:
      if (!framing.request || !same(buf, name, "host")) return 0;
      framing.hosts++;
      framing.hostStart = start;
      framing.hostEnd = end;
      return 1;
    case 6:
      if (same(buf, name, "expect") && end - start === 12 && same(buf, start, "100-continue"))
        framing.expectContinue = true;
      return 0;
    case 10:
      if (same(buf, name, "connection")) readConnection(buf, start, end, framing);
      return 0;
    case 14: {
      if (!same(buf, name, "content-length")) return 0;
      const value = decimal(buf, start, end);
      if (value < 0) return HeadError.contentLength;
      // Even equal repetitions are refused: no peer has a reason to send them, and proxies disagree about them.
      if (framing.lengths > 0) return HeadError.contentLength;
      framing.lengths++;
      framing.contentLength = value;
      return 0;
    }
    case 16:
      // No standard, but old clients mean it (and Envoy takes it so).
      if (same(buf, name, "proxy-connection") && end - start === 5 && same(buf, start, "close")) framing.close = true;
      return 0;
    case 17:
      if (!same(buf, name, "transfer-encoding")) return 0;
      // RFC 9112, section 6.1: chunked must be the last coding, once; others are not implemented.
      if (framing.chunked || framing.unknownCoding) return HeadError.transferEncoding;
      if (end - start === 7 && same(buf, start, "chunked")) framing.chunked = true;
      else framing.unknownCoding = true;
      return 1;
    default:
      return 0;
  }
}

/**
 * Scans field lines from `pos` up to and including the empty line. Offsets are recorded relative to `base`.
 * Returns the offset after the empty line, `NEED_MORE`, or a `HeadError`.
 */
export function parseFields(
  buf: Uint8Array,
  start: number,
  end: number,
  base: number,
  maxFields: number,
  headers: HeaderMap,
  framing: Framing | null,
): number {
  let pos = start;
  for (;;) {
    if (pos >= end) return NEED_MORE;
    let c = buf[pos] as number;
    if (c === 0x0d) {
      if (pos + 1 >= end) return NEED_MORE;
      return buf[pos + 1] === 0x0a ? pos + 2 : HeadError.bareCr;
    }
    if (c === 0x0a) return HeadError.bareLf;
    if (c === 0x20 || c === 0x09) return HeadError.obsoleteFold;

    const name = pos;
    while (TOKEN[c] === 1) {
      if (++pos >= end) return NEED_MORE;
      c = buf[pos] as number;
    }
    if (c !== 0x3a || pos === name) return wrongByte(c, HeadError.invalidName);
    const nameEnd = pos++;

    while (pos < end && ((c = buf[pos] as number) === 0x20 || c === 0x09)) pos++;
    const value = pos;
    while (pos < end && VALUE[(c = buf[pos] as number)] === 1) pos++;
    if (pos >= end) return NEED_MORE;
    if (c !== 0x0d) return c === 0x0a ? HeadError.bareLf : HeadError.invalidValue;
    if (pos + 1 >= end) return NEED_MORE;
    if (buf[pos + 1] !== 0x0a) return HeadError.bareCr;
    let valueEnd = pos;
    while (valueEnd > value && ((c = buf[valueEnd - 1] as number) === 0x20 || c === 0x09)) valueEnd--;
    pos += 2;

    let keep = 0;
    if (framing !== null) {
      keep = readFraming(buf, name, nameEnd - name, value, valueEnd, framing);
      if (keep < 0) return keep;
    }
    if (headers.count >= maxFields) return HeadError.tooManyFields;
    if (keep === 0) {
      const tag = headerTag(nameEnd - name, buf[(name + nameEnd) >> 1] as number, buf[nameEnd - 1] as number);
      headers.push(tag, name - base, nameEnd - base, value - base, valueEnd - base, pos - base);
    }
  }
}
