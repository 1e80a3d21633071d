/**
 * HTTP/1 messages by the letter of RFC 9112, as slow and plain as can be: what this refuses the codec must never accept,
 * and what both accept they must understand alike.
 */

export interface ReferenceHead {
  readonly start: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** -1: not given. */
  readonly contentLength: number;
  readonly chunked: boolean;
}

const FIELD_LINE =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\[\]<>"^`{|}:]*)(?::\d*)?$/;

/** Splits a head, which must be whole and nothing else; null if a line is malformed. */
function readLines(text: string): { start: string; fields: [string, string][] } | null {
  if (!text.endsWith("\r\n\r\n")) return null;
  const [start = "", ...lines] = text.slice(0, -4).split("\r\n");
  const fields: [string, string][] = [];
  for (const line of lines) {
    const match = FIELD_LINE.exec(line);
    if (match === null) return null;
    fields.push([match[1] as string, match[2] as string]);
  }
  return { start, fields };
}

function valuesOf(fields: readonly (readonly [string, string])[], name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

/** Section 6: a message has one way of being delimited, or none. null: it has two. */
function readLength(head: { start: string; fields: [string, string][] }, http10: boolean): ReferenceHead | null {
  const lengths = valuesOf(head.fields, "content-length");
  const codings = valuesOf(head.fields, "transfer-encoding");
  if (lengths.length + codings.length > 1) return null;
  if (codings.length === 1 && (codings[0]?.toLowerCase() !== "chunked" || http10)) return null;
  if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0] as string)) return null;
  return { ...head, contentLength: lengths.length === 1 ? Number(lengths[0]) : -1, chunked: codings.length === 1 };
}

/** A whole request head; null if it is malformed or ambiguous. */
export function referenceRequest(text: string): ReferenceHead | null {
  const head = readLines(text);
  const line = REQUEST_LINE.exec(head?.start ?? "");
  if (head === null || line === null) return null;
  const [, method, target = "", minor] = line;
  const hosts = valuesOf(head.fields, "host");
  const absolute = /^https?:\/\/([^/?#@]+)/i.exec(target)?.[1];
  const named = method === "CONNECT" ? target : absolute;
  if (hosts.length > 1 || (hosts.length === 0 && minor === "1" && named === undefined)) return null;
  if (!HOST.test(named ?? hosts[0] ?? "")) return null;
  // `*` and what begins with it is no path either: the connection manager answers it with 404, as Envoy does.
  if (method !== "CONNECT" && absolute === undefined && !/^[/*]/.test(target)) return null;
  return readLength(head, minor === "0");
}

/** A whole response head; null if it is malformed or ambiguous. */
export function referenceResponse(text: string): ReferenceHead | null {
  const head = readLines(text);
  // Chunks in a 1.0 response are read, as Envoy does; the connection ends with it (section 6.1).
  return head === null || !STATUS_LINE.test(head.start) ? null : readLength(head, false);
}

export interface ReferenceChunks {
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** What follows the body. */
  readonly rest: string;
}

/** Section 7.1. "more": the body is not whole; null: it is malformed. */
export function referenceChunks(text: string): ReferenceChunks | "more" | null {
  let body = "";
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    const line = end < 0 ? text.slice(at) : text.slice(at, end);
    const size = /^([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)?.[1];
    if (end < 0)
      return /^(?:[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}(?:;[\t\x20-\x7e\x80-\xff]*)?)\r?$/.test(line) ? "more" : null;
    const length = size === undefined ? Number.NaN : Number.parseInt(size, 16);
    if (!(length < 2 ** 48)) return null;
    at = end + 2;
    if (length === 0) break;
    const data = text.slice(at, at + length);
    const after = text.slice(at + length, at + length + 2);
    if (data.length < length) return "more";
    if (after !== "\r\n") return "\r\n".startsWith(after) ? "more" : null;
    body += data;
    at += length + 2;
  }
  const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
  if (end < at + 2 && end !== at) return "more";
  const head = readLines(`x\r\n${text.slice(at, end)}\r\n`);
  return head && { body, trailers: head.fields, rest: text.slice(end + 2) };
}
