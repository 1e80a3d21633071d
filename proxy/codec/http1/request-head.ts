/** The head of an HTTP/1 request (RFC 9112, sections 3 and 5), from bytes to a `RequestHead`. */
import type { RequestHead } from "../../http/message.ts";
import { type Framing, HeadError, isTokenByte, NEED_MORE, parseFields, wrongByte } from "./fields.ts";

export interface RequestHeadLimits {
  readonly maxFields: number;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly allowAbsoluteUrl: boolean;
  readonly allowChunkedLength: boolean;
  /** Methods beyond the registered ones. */
  readonly allowCustomMethods: boolean;
  readonly underscores: "allow" | "reject_request" | "drop_header";
}

/** Bytes that may stand in a request target: visible ASCII. */
const TARGET = new Uint8Array(256).fill(1, 0x21, 0x7f);

/** RFC 3986 `host [":" port]`, loosely: what could change the meaning of a request line or a URL is refused. */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\[\]<>"^`{|}:]*)(?::\d*)?$/;

/** Registered methods that are rare. Envoy takes these and the common ones, in capitals (`allow_custom_methods`: any). */
const OTHER_METHODS: ReadonlySet<string> = new Set(
  `ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY PROPFIND PROPPATCH PURGE
  QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE`.split(/\s+/),
);

const METHODS = new Map<number, string>();
const COMMON_METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
for (const method of COMMON_METHODS) METHODS.set(methodKey(Buffer.from(method), 0, method.length), method);

/** Common methods are told apart by length and their first two letters, so that no string is made for them. */
function methodKey(buf: Uint8Array, start: number, end: number): number {
  return ((end - start) << 16) | ((buf[start] as number) << 8) | (buf[start + 1] as number);
}

/** The method; "" for one that is not registered, unless those are allowed. */
function methodOf(buf: Buffer, start: number, end: number, custom: boolean): string {
  if (end - start >= 3) {
    const known = METHODS.get(methodKey(buf, start, end));
    if (known !== undefined) {
      let i = 0;
      while (i < known.length && buf[start + i] === known.charCodeAt(i)) i++;
      if (i === known.length) return known;
    }
  }
  const method = buf.toString("latin1", start, end);
  return custom || OTHER_METHODS.has(method) ? method : "";
}

/**
 * Reads one request head from `buf[start, end)` into `head` and `framing` (both cleared before). Returns the offset after
 * the head, `NEED_MORE`, or a `HeadError`. Never throws; gives the same result however the bytes were split.
 */
export function parseRequestHead(
  buf: Buffer,
  start: number,
  end: number,
  limits: RequestHeadLimits,
  head: RequestHead,
  framing: Framing,
): number {
  let pos = start;
  let c = 0;
  while (pos < end && isTokenByte((c = buf[pos] as number))) pos++;
  if (pos >= end) return NEED_MORE;
  if (c !== 0x20 || pos === start) return HeadError.method;
  const method = methodOf(buf, start, pos, limits.allowCustomMethods);
  if (method === "") return HeadError.method;
  pos++;

  const targetStart = pos;
  while (pos < end && TARGET[(c = buf[pos] as number)] === 1) pos++;
  if (pos >= end) return NEED_MORE;
  // Without a second space it is an HTTP/0.9 request.
  if (c !== 0x20 || pos === targetStart) return c === 0x0d ? HeadError.http10 : wrongByte(c, HeadError.target);
  const targetEnd = pos++;

  // "HTTP/1.x" CRLF
  if (end - pos < 10) {
    for (let i = 0; i < Math.min(8, end - pos); i++) if (!versionByteFits(buf, pos, i)) return HeadError.version;
    return NEED_MORE;
  }
  for (let i = 0; i < 8; i++) if (!versionByteFits(buf, pos, i)) return HeadError.version;
  const major = (buf[pos + 5] as number) - 48;
  const minor = (buf[pos + 7] as number) - 48;
  if (buf[pos + 8] === 0x0a) return HeadError.bareLf;
  if (buf[pos + 8] !== 0x0d) return HeadError.version;
  if (buf[pos + 9] !== 0x0a) return HeadError.bareCr;
  if (major !== 1 || minor > 1) return HeadError.http10;
  pos += 10;

  framing.request = true;
  const after = parseFields(buf, pos, end, start, limits.maxFields, head.headers, framing);
  if (after <= 0) return after;

  const http10 = minor === 0;
  if (http10 && !limits.acceptHttp10) return HeadError.http10;
  const coded = framing.chunked || framing.unknownCoding;
  if (coded && framing.lengths > 0) {
    if (!limits.allowChunkedLength) return HeadError.lengthAndChunked;
    framing.contentLength = -1;
  }
  // RFC 9112, section 6.1: a 1.0 message with Transfer-Encoding has faulty framing.
  if (framing.unknownCoding || (coded && http10)) return HeadError.transferEncoding;
  if (framing.hosts > 1) return HeadError.multipleHosts;

  const text = buf.toString("latin1", start, after);
  head.headers.text = text;
  if (framing.chunked && framing.lengths > 0) head.headers.remove("content-length");
  head.protocol = http10 ? "HTTP/1.0" : "HTTP/1.1";
  if (limits.underscores !== "allow" && !settleUnderscores(head, limits.underscores)) return HeadError.underscore;
  head.method = method;
  head.authority = framing.hosts === 1 ? text.slice(framing.hostStart - start, framing.hostEnd - start) : "";
  const target = text.slice(targetStart - start, targetEnd - start);
  return readTarget(target, limits, head, framing.hosts, http10) || after;
}

/** Request-target forms (RFC 9112, section 3.2) and the rules about Host. Returns 0 or a `HeadError`. */
function readTarget(
  target: string,
  limits: RequestHeadLimits,
  head: RequestHead,
  hosts: number,
  http10: boolean,
): number {
  if (head.method === "CONNECT") {
    if (!/^[^/?#@\s]+:\d+$/.test(target) || !AUTHORITY.test(target)) return HeadError.invalidUrl;
    head.path = "";
    head.authority = target;
    return 0;
  }
  if (target.charCodeAt(0) === 0x2f || !limits.allowAbsoluteUrl) head.path = target;
  else if (target.charCodeAt(0) === 0x2a) {
    if (head.method !== "OPTIONS") return HeadError.invalidUrl;
    head.path = target;
  } else {
    const absolute = /^([a-z][a-z\d+.-]*):\/\/([^/?#]*)(.*)$/i.exec(target);
    if (!absolute) return HeadError.target;
    // RFC 9112, section 3.2.2: the target's authority takes the place of Host.
    head.authority = absolute[2] as string;
    // RFC 9110, section 4.2.4: user information in a target is somebody's attempt to hide where it leads.
    if (head.authority === "" || head.authority.includes("@")) return HeadError.invalidUrl;
    head.scheme = (absolute[1] as string).toLowerCase();
    if (head.scheme !== "http" && head.scheme !== "https") return HeadError.invalidScheme;
    head.path = (absolute[3] as string) || "/";
  }
  if (hosts === 0 && head.authority === "") {
    // RFC 9112, section 3.2: a 1.1 request without Host is answered with 400.
    if (!http10) return HeadError.missingHost;
    if (limits.defaultHostForHttp10 === "") return HeadError.missingHost;
    head.authority = limits.defaultHostForHttp10;
  }
  return AUTHORITY.test(head.authority) ? 0 : HeadError.invalidAuthority;
}

/** `headers_with_underscores_action`: `a_b` and `a-b` are one name to some servers. False: refuse the request. */
function settleUnderscores({ headers }: RequestHead, action: "reject_request" | "drop_header"): boolean {
  const names = new Set<string>();
  headers.forEach((name) => {
    if (name.includes("_")) names.add(name.toLowerCase());
  });
  if (action === "reject_request") return names.size === 0;
  for (const name of names) headers.remove(name);
  return true;
}

const VERSION = Buffer.from("HTTP/1.1");

/** Any "HTTP/x.y" fits here: which ones are spoken is decided once they are all there. */
function versionByteFits(buf: Uint8Array, pos: number, i: number): boolean {
  const c = buf[pos + i] as number;
  return i === 5 || i === 7 ? c >= 0x30 && c <= 0x39 : c === VERSION[i];
}
