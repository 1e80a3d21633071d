/** Writing HTTP/1 messages: status lines, the last chunk, and a head that leaves in one write with its first bytes. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead } from "../../http/message.ts";
import { writeTransient } from "../socket-reader.ts";
import { Body, type BodyKind } from "../stream.ts";

export const CHUNKED = "transfer-encoding: chunked\r\n";

export const LAST_CHUNK = "0\r\n\r\n";

/** The end of a chunked body that has trailers (RFC 9112, section 7.1.2). */
export function lastChunk(trailers: HeaderMap): string {
  return `0\r\n${trailers.toHttp1()}\r\n`;
}

const lines = new Map<number, string>();

/** Registered reasons that Envoy does not know, and so says "Unknown", as of a status that nobody registered. */
const UNKNOWN_TO_ENVOY: ReadonlySet<number> = new Set([102, 103, 418, 451, 509]);

function reasonOf(status: number): string {
  return UNKNOWN_TO_ENVOY.has(status) ? "Unknown" : (STATUS_CODES[status] ?? "Unknown");
}

/** `HTTP/1.1 200 OK` with CRLF. An upstream's own reason phrase is kept; "" takes the registered one. */
export function statusLine(status: number, reason: string, http10: boolean): string {
  const standard = reasonOf(status);
  if (http10) return `HTTP/1.0 ${status} ${reason || standard}\r\n`;
  if (reason !== "" && reason !== standard) return `HTTP/1.1 ${status} ${reason}\r\n`;
  let line = lines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${standard}\r\n`;
    lines.set(status, line);
  }
  return line;
}

/** Methods whose requests are not expected to have a body. */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "TRACE", "CONNECT"]);

/** A request's head as an HTTP/1.1 upstream gets it. `chunked`: its body will be. */
export function requestHead(request: RequestHead, body: BodyKind, chunked: boolean, upgrading: boolean): string {
  const { headers, method } = request;
  let text = `${method} ${request.path} HTTP/1.1\r\nHost: ${request.authority}\r\n${headers.toHttp1()}`;
  if (chunked) text += CHUNKED;
  // RFC 9110, section 8.6: a method that expects a body says that there is none.
  else if (body === Body.none && !BODILESS.has(method) && !upgrading && !headers.has("content-length"))
    text += "content-length: 0\r\n";
  return `${text}\r\n`;
}

/** Writes body bytes as one chunk after what stands before it. Returns false when the socket wants a pause. */
export function writeChunk(socket: Socket, before: string, bytes: Buffer): boolean {
  socket.cork();
  joinHead(socket, `${before}${bytes.length.toString(16)}\r\n`, bytes);
  const more = socket.write("\r\n", "latin1");
  socket.uncork();
  return more;
}

/** Bytes written that the kernel has not taken yet; libuv's part of them is only in the handle. */
export function unwritten(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };
  return socket.writableLength + (handle?.writeQueueSize ?? 0);
}

/** Ends a connection so that the peer sees that it was cut: by a reset where there is TCP alone. */
export function cut(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** Up to here bytes leave as a string: the kernel's copy is the only one that is made of them. */
const STRING_LIMIT = 8192;

/** Up to here copying into one buffer is cheaper than a gathered write. */
const COPY_LIMIT = 16_384;

/** Writes body bytes, which need not outlive the call. Returns false when the socket wants a pause. */
export function writeBody(socket: Socket, bytes: Buffer): boolean {
  if (bytes.length <= STRING_LIMIT) return socket.write(bytes.toString("latin1"), "latin1");
  return writeTransient(socket, bytes);
}

/** Writes a head and the first bytes of its body in one system call. Returns false when the socket wants a pause. */
export function joinHead(socket: Socket, head: string, bytes: Buffer): boolean {
  const size = head.length + bytes.length;
  if (size <= STRING_LIMIT) return socket.write(head + bytes.toString("latin1"), "latin1");
  if (size <= COPY_LIMIT) {
    const out = Buffer.allocUnsafe(size);
    out.write(head, 0, head.length, "latin1");
    out.set(bytes, head.length);
    return socket.write(out);
  }
  socket.cork();
  socket.write(head, "latin1");
  const more = writeTransient(socket, bytes);
  socket.uncork();
  return more;
}
