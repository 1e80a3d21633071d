/** Tells HTTP/2 from HTTP/1 by a connection's first bytes (RFC 9113, section 3.4). */
import { PREFACE } from "../codec/http2/protocol.ts";

export const MORE = 0;
export const HTTP1 = 1;
export const HTTP2 = 2;

/** What the target of a request to a proxy begins with (RFC 9112, section 3.2.2). */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//;

/**
 * Whether a connection begins with a line of three words or more that no request of HTTP/1 begins with: no version and no
 * target is in its place. A line that has not come whole is left to the parser.
 */
export function isNoHttp(bytes: Buffer): boolean {
  const end = bytes.indexOf(0x0a);
  if (end < 0) return false;
  const [, target, version] = bytes
    .latin1Slice(0, end)
    .trim()
    .split(/[ \t]+/);
  if (target === undefined || version === undefined || version.startsWith("HTTP/")) return false;
  return !target.startsWith("/") && target !== "*" && !ABSOLUTE.test(target);
}

/** As much of the preface as Envoy looks at: no request of HTTP/1 that it would take begins so. */
const TELLING = PREFACE.slice(0, 14);

/** `HTTP2`, `HTTP1`, or `MORE` while the bytes could be the beginning of either. */
export function looksLikeHttp2(bytes: Buffer): number {
  const length = Math.min(bytes.length, TELLING.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== TELLING.charCodeAt(i)) return HTTP1;
  return length === TELLING.length ? HTTP2 : MORE;
}
