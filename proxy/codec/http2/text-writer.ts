/**
 * Heads as the text of HTTP/1 in HEADERS frames, between two sidecars that have agreed upon it: what comes out at the
 * other end is what went in, to the case of a header's name, and neither end pays for compression.
 */
import type { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { requestHead, statusLine } from "../http1/writer.ts";
import type { BodyKind } from "../stream.ts";
import type { HeadWriter } from "./heads.ts";
import type { Outbox } from "./outbox.ts";
import { DEFAULT_MAX_FRAME, FRAME_HEADER, FrameFlag, FrameType, writeFrameHeader } from "./protocol.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

export class TextWriter implements HeadWriter {
  readonly protocol = "HTTP/1.1";
  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** There is no table. */
  setTableSize(): void {}

  writeRequest(streamId: number, request: RequestHead, body: BodyKind, upgrading: boolean): number {
    return this.#write(streamId, requestHead(request, body, false, upgrading), 0);
  }

  writeResponse(streamId: number, { status, reason, headers }: ResponseHead): number {
    return this.#write(streamId, `${statusLine(status, reason, false)}${headers.toHttp1()}\r\n`, 0);
  }

  writeContinue(streamId: number): void {
    this.#write(streamId, CONTINUE, 0);
  }

  writeTrailers(streamId: number, trailers: HeaderMap): void {
    this.#write(streamId, `${trailers.toHttp1()}\r\n`, FrameFlag.endStream);
  }

  #write(streamId: number, text: string, flags: number): number {
    const { length } = text;
    const outbox = this.#outbox;
    if (length > DEFAULT_MAX_FRAME) return this.#writeLong(streamId, text, flags);
    const buf = outbox.reserve(FRAME_HEADER + length);
    const { at } = outbox;
    writeFrameHeader(buf, at, length, FrameType.headers, flags | FrameFlag.endHeaders, streamId);
    buf.latin1Write(text, at + FRAME_HEADER, length);
    outbox.advance(at + FRAME_HEADER + length);
    return at;
  }

  #writeLong(streamId: number, text: string, flags: number): number {
    const start = this.#outbox.together(text.length + Math.ceil(text.length / DEFAULT_MAX_FRAME) * FRAME_HEADER);
    for (let pos = 0; pos < text.length; ) {
      const size = Math.min(text.length - pos, DEFAULT_MAX_FRAME);
      const type = pos === 0 ? FrameType.headers : FrameType.continuation;
      const last = pos + size === text.length ? FrameFlag.endHeaders : 0;
      const { buf, at } = this.#outbox.frame(type, (pos === 0 ? flags : 0) | last, streamId, size);
      buf.latin1Write(text.slice(pos, pos + size), at, size);
      pos += size;
    }
    return start;
  }
}
