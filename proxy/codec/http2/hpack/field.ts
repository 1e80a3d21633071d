/**
 * What HPACK tells of a field beside its name and value: a fingerprint of the name and what kind of field it is, found once
 * per entry of a table, so that a field that recurs is neither looked up nor checked again.
 */
import { headerTag } from "../../../../core/header-map.ts";

export const FieldKind = {
  /** No field that the codec itself cares about. */
  regular: 0,
  method: 1,
  scheme: 2,
  authority: 3,
  path: 4,
  status: 5,
  /** RFC 8441 */
  protocol: 6,
  /** A name that begins with a colon, and is none of the above. */
  unknownPseudo: 7,
  /** RFC 9113, section 8.2.2 */
  connectionSpecific: 8,
  te: 9,
  contentLength: 10,
  host: 11,
  cookie: 12,
  expect: 13,
  /** Name or value breaks RFC 9113, section 8.2.1. */
  invalid: 14,
} as const;

/** Takes the fields of a block, in order. */
export interface FieldSink {
  /** Name and value are latin1; `tag` is the name's `headerTag`, `kind` a `FieldKind`. */
  onField(name: string, value: string, tag: number, kind: number): void;
}

const KINDS: ReadonlyMap<string, number> = new Map<string, number>([
  [":method", FieldKind.method],
  [":scheme", FieldKind.scheme],
  [":authority", FieldKind.authority],
  [":path", FieldKind.path],
  [":status", FieldKind.status],
  [":protocol", FieldKind.protocol],
  ["connection", FieldKind.connectionSpecific],
  ["keep-alive", FieldKind.connectionSpecific],
  ["proxy-connection", FieldKind.connectionSpecific],
  ["transfer-encoding", FieldKind.connectionSpecific],
  ["upgrade", FieldKind.connectionSpecific],
  ["te", FieldKind.te],
  ["content-length", FieldKind.contentLength],
  ["host", FieldKind.host],
  ["cookie", FieldKind.cookie],
  ["expect", FieldKind.expect],
]);

/** RFC 9110, section 5.6.2, without upper case (RFC 9113, section 8.2.1). */
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** The kind of a field by its name, whatever its value. */
export function kindOfName(name: string): number {
  const known = KINDS.get(name);
  if (known !== undefined) return known;
  if (!NAME.test(name)) return FieldKind.invalid;
  return name.charCodeAt(0) === 0x3a ? FieldKind.unknownPseudo : FieldKind.regular;
}

/** Whether a field of that name, in lower case, belongs to one HTTP/1 connection (RFC 9113, section 8.2.2). */
export function isConnectionSpecific(name: string): boolean {
  return KINDS.get(name) === FieldKind.connectionSpecific;
}

export function tagOfName(name: string): number {
  return headerTag(name.length, name.charCodeAt(name.length >> 1), name.charCodeAt(name.length - 1));
}

/** RFC 9110, section 5.5: HTAB, SP, VCHAR and obs-text. */
const VALUE = new Uint8Array(256).fill(1, 0x20).fill(0, 0x7f, 0x80);
VALUE[0x09] = 1;

/** False for control characters, and for white space at either end, in bytes that are a value. */
export function isValue(buf: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  const first = buf[start] as number;
  const last = buf[end - 1] as number;
  if (first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09) return false;
  for (let i = start; i < end; i++) if (VALUE[buf[i] as number] === 0) return false;
  return true;
}
