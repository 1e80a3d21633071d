/**
 * A reader of HTTP/1 messages for both ends of the test bench. It is nobody's parser under test: it takes what the proxies
 * wrote, keeps it as it stands, and says where a message ends.
 */

export interface HttpText {
  readonly startLine: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly framing: "none" | "length" | "chunked" | "close" | "tunnel" | "http2";
  /** False: the connection ended before the message did. */
  readonly complete: boolean;
}

/** What ends the body of a message besides its own framing. */
export interface ReadOptions {
  readonly side: "request" | "response";
  /** A response to HEAD has no body. */
  readonly head?: boolean;
}

/** The first message in `bytes` and the offset after it; null while it is not all there and more may come. */
export function readMessage(
  bytes: Buffer,
  ended: boolean,
  options: ReadOptions,
): { readonly message: HttpText; readonly end: number } | null {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return ended && bytes.length > 0 ? { message: unreadable(bytes), end: bytes.length } : null;
  const [startLine = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const headers = lines.map(splitField);
  const start = headEnd + 4;
  const base = { startLine, headers, trailers: [] };
  const whole = (framing: HttpText["framing"], body: Buffer, end: number, complete = true) => ({
    message: { ...base, framing, body, complete },
    end,
  });
  const status = options.side === "response" ? Number(startLine.split(" ")[1]) : 0;
  if (status === 101) return whole("tunnel", Buffer.alloc(0), start);
  if (options.head || status === 204 || status === 304 || (status >= 100 && status < 200)) {
    return whole("none", Buffer.alloc(0), start);
  }
  const field = (name: string): string | undefined => headers.find(([key]) => key.toLowerCase() === name)?.[1];
  if (field("transfer-encoding")?.toLowerCase().endsWith("chunked")) return readChunked(bytes, start, ended, base);
  const length = field("content-length");
  if (length !== undefined) {
    const end = start + Number(length);
    if (bytes.length >= end) return whole("length", bytes.subarray(start, end), end);
    return ended ? whole("length", bytes.subarray(start), bytes.length, false) : null;
  }
  if (options.side === "request") return whole("none", Buffer.alloc(0), start);
  return ended ? whole("close", bytes.subarray(start), bytes.length) : null;
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

function unreadable(bytes: Buffer): HttpText {
  return { startLine: "(no whole head)", headers: [], body: bytes, trailers: [], framing: "close", complete: false };
}

function readChunked(
  bytes: Buffer,
  start: number,
  ended: boolean,
  base: Pick<HttpText, "startLine" | "headers" | "trailers">,
): { readonly message: HttpText; readonly end: number } | null {
  const parts: Buffer[] = [];
  let pos = start;
  const cut = () =>
    ended
      ? {
          message: { ...base, framing: "chunked" as const, body: Buffer.concat(parts), complete: false },
          end: bytes.length,
        }
      : null;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", pos);
    if (lineEnd < 0) return cut();
    const size = Number.parseInt(bytes.toString("latin1", pos, lineEnd), 16);
    if (size === 0) {
      const end = bytes.indexOf("\r\n\r\n", lineEnd);
      if (end < 0) return cut();
      const trailers = bytes
        .toString("latin1", lineEnd + 2, end)
        .split("\r\n")
        .filter((line) => line !== "")
        .map(splitField);
      const message: HttpText = { ...base, trailers, framing: "chunked", body: Buffer.concat(parts), complete: true };
      return { message, end: end + 4 };
    }
    const dataEnd = lineEnd + 2 + size;
    if (Number.isNaN(size) || bytes.length < dataEnd + 2) {
      parts.push(bytes.subarray(lineEnd + 2, Math.min(dataEnd, bytes.length)));
      return cut();
    }
    parts.push(bytes.subarray(lineEnd + 2, dataEnd));
    pos = dataEnd + 2;
  }
}
