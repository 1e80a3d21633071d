/**
 * Tells HTTP in plaintext from everything else by the first line of a connection (RFC 9112, section 3; RFC 9113, section
 * 3.4), as soon as a byte rules it out: whoever speaks something else is not to wait for a line that may never end.
 */
import { HTTP2, looksLikeHttp2 } from "./http-version.ts";

export type PlaintextHttp = "http/1.0" | "http/1.1" | "h2c";

/** More bytes are needed to tell. */
export const MORE = 0;
export const NOT_HTTP = 1;

/** A line that is longer is not waited for: it is looked through again with every piece that comes. */
const MAX_LINE = 16_384;

/** Methods by which HTTP is known, those of WebDAV and of caches among them; others count as something else. */
const METHODS: readonly string[] =
  "GET POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH \
BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK \
UNLINK SOURCE".split(" ");

const BY_FIRST_BYTE = new Map<number, readonly string[]>();
for (const method of METHODS) {
  const byte = method.charCodeAt(0);
  BY_FIRST_BYTE.set(byte, [...(BY_FIRST_BYTE.get(byte) ?? []), method]);
}

const VERSION = "HTTP/1.";
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** What plaintext speaks. Gives the same result however it was split; never throws. */
export function readHttpLine(bytes: Buffer): PlaintextHttp | typeof MORE | typeof NOT_HTTP {
  // Empty lines before a request are nobody's fault (RFC 9112, section 2.2).
  let start = 0;
  while (start < bytes.length && (bytes[start] === CR || bytes[start] === LF)) start++;
  if (start === bytes.length) return start > 4 ? NOT_HTTP : MORE;
  const http2 = start === 0 ? looksLikeHttp2(bytes) : NOT_HTTP;
  if (http2 === HTTP2) return "h2c";
  if (http2 === MORE) return MORE;
  const afterMethod = skipMethod(bytes, start);
  if (afterMethod < 0) return MORE;
  return afterMethod === 0 ? NOT_HTTP : readTargetAndVersion(bytes, afterMethod);
}

/** Where the target begins; 0: no method is there, -1: more bytes are needed. */
function skipMethod(bytes: Buffer, start: number): number {
  let couldBe = false;
  for (const method of BY_FIRST_BYTE.get(bytes[start] as number) ?? []) {
    const end = start + method.length;
    const have = Math.min(end, bytes.length);
    let i = start + 1;
    while (i < have && bytes[i] === method.charCodeAt(i - start)) i++;
    if (i < have) continue;
    if (end >= bytes.length) couldBe = true;
    else if (bytes[end] === SPACE) return end + 1;
  }
  return couldBe ? -1 : 0;
}

/** The target ends with a space, and the line with the version. */
function readTargetAndVersion(bytes: Buffer, start: number): PlaintextHttp | typeof MORE | typeof NOT_HTTP {
  let at = start;
  while (at < bytes.length && at <= MAX_LINE && isTargetByte(bytes[at] as number)) at++;
  if (at > MAX_LINE) return NOT_HTTP;
  if (at === bytes.length) return MORE;
  if (bytes[at] !== SPACE || at === start) return NOT_HTTP;
  at++;
  for (let i = 0; i < VERSION.length; i++, at++) {
    if (at === bytes.length) return MORE;
    if (bytes[at] !== VERSION.charCodeAt(i)) return NOT_HTTP;
  }
  if (at === bytes.length) return MORE;
  const minor = bytes[at++];
  if (minor !== 0x30 && minor !== 0x31) return NOT_HTTP;
  if (at === bytes.length) return MORE;
  if (bytes[at] === CR && at + 1 === bytes.length) return MORE;
  if (bytes[at] !== LF && !(bytes[at] === CR && bytes[at + 1] === LF)) return NOT_HTTP;
  return minor === 0x30 ? "http/1.0" : "http/1.1";
}

/** Anything but controls and the space; what is wrong with a target otherwise is the parser's to say. */
function isTargetByte(byte: number): boolean {
  return byte > SPACE && byte !== 0x7f;
}
