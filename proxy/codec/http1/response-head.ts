/** The head of an HTTP/1 response (RFC 9112, section 4 and 5), from bytes to a `ResponseHead`. */
import type { ResponseHead } from "../../http/message.ts";
import { type Framing, HeadError, NEED_MORE, parseFields } from "./fields.ts";

const VERSION = Buffer.from("HTTP/1.");

const STANDARD_REASON = " OK";

/**
 * Reads one response head from `buf[start, end)` into `head` and `framing` (both cleared before). Returns the offset
 * after the head, `NEED_MORE`, or a `HeadError`. Never throws; gives the same result however the bytes were split.
 */
export function parseResponseHead(
  buf: Buffer,
  start: number,
  end: number,
  maxFields: number,
  head: ResponseHead,
  framing: Framing,
): number {
  // "HTTP/1.x NNN" and then SP reason CRLF, or CRLF alone, which many servers send.
  for (let i = 0; i < 12; i++) {
    if (start + i >= end) return NEED_MORE;
    const c = buf[start + i] as number;
    if (i < 7 ? c !== VERSION[i] : i === 7 ? c !== 0x30 && c !== 0x31 : i === 8 ? c !== 0x20 : c < 0x30 || c > 0x39) {
      return i < 8 ? HeadError.version : HeadError.status;
    }
  }
  const status =
    ((buf[start + 9] as number) - 48) * 100 +
    ((buf[start + 10] as number) - 48) * 10 +
    (buf[start + 11] as number) -
    48;
  if (status < 100) return HeadError.status;
  let pos = start + 12;
  let c = 0;
  while (pos < end && ((c = buf[pos] as number) >= 0x20 || c === 0x09) && c !== 0x7f) pos++;
  if (pos >= end) return NEED_MORE;
  if (c === 0x0a) return HeadError.bareLf;
  if (c !== 0x0d) return HeadError.startLine;
  if (pos + 1 >= end) return NEED_MORE;
  if (buf[pos + 1] !== 0x0a) return HeadError.bareCr;
  if (pos > start + 12 && buf[start + 12] !== 0x20) return HeadError.startLine;
  const reasonEnd = pos;
  pos += 2;

  const after = parseFields(buf, pos, end, start, maxFields, head.headers, framing);
  if (after <= 0) return after;
  // A response that could end in two places is an upstream's error, as a request is its sender's.
  if (framing.unknownCoding) return HeadError.transferEncoding;
  const http10 = buf[start + 7] === 0x30;
  if (framing.chunked && (framing.lengths > 0 || http10)) return HeadError.lengthAndChunked;

  const text = buf.toString("latin1", start, after);
  head.headers.text = text;
  head.status = status;
  head.protocol = http10 ? "HTTP/1.0" : "HTTP/1.1";
  head.reason =
    status === 200 && reasonEnd - start === 15 && text.startsWith(STANDARD_REASON, 12)
      ? "OK"
      : text.slice(13, reasonEnd - start);
  return after;
}
