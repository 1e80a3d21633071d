/**
 * Envoy's idea of HTTP in plaintext (`http_inspector`, as Envoy 1.40 was seen to judge): any method counts, a version need
 * not be there, and a line that could be one is waited for. Where only Envoy's resources are given, its judgement holds.
 */
import { PREFACE } from "../codec/http2/protocol.ts";
import { MORE, NOT_HTTP, type PlaintextHttp } from "./http-line.ts";

/** What may stand in a method (RFC 9110, section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** A target: a path, an asterisk, or a whole URL; a version, or none; spaces or tabs between. */
const REQUEST_LINE = /^([^ \t]+)[ \t]+([^ \t]+)(?:[ \t]+([^ \t]+))?[ \t]*$/;
const TARGET = /^(?:\/|\*|[A-Za-z][A-Za-z0-9+.-]*:\/\/)/;
const AUTHORITY = /^[^/]+:\d+$/;
const VERSION = /^HTTP\/\d\.\d$/;
/** As much as Envoy looks at. */
const MAX_LINE = 65_536;
const CR = 0x0d;
const LF = 0x0a;

/** Gives the same result however the bytes were split; never throws. */
export function readEnvoyHttpLine(bytes: Buffer): PlaintextHttp | typeof MORE | typeof NOT_HTTP {
  const length = Math.min(bytes.length, PREFACE.length);
  let same = 0;
  while (same < length && bytes[same] === PREFACE.charCodeAt(same)) same++;
  if (same === PREFACE.length) return "h2c";
  if (same === bytes.length) return MORE;
  let end = 0;
  while (end < bytes.length && bytes[end] !== CR && bytes[end] !== LF) end++;
  const line = bytes.latin1Slice(0, end);
  const [method = ""] = line.split(/[ \t]/, 1);
  if (end > 0 && !TOKEN.test(method)) return NOT_HTTP;
  if (end > MAX_LINE) return NOT_HTTP;
  if (end === bytes.length) return MORE;
  return readLine(line);
}

function readLine(line: string): PlaintextHttp | typeof NOT_HTTP {
  const [, method, target = "", version] = REQUEST_LINE.exec(line) ?? [];
  if (method === undefined || /[\x80-\xff]/.test(line)) return NOT_HTTP;
  if (!TARGET.test(target) && !(method === "CONNECT" && AUTHORITY.test(target))) return NOT_HTTP;
  if (version !== undefined && !VERSION.test(version)) return NOT_HTTP;
  return version === "HTTP/1.1" ? "http/1.1" : "http/1.0";
}
