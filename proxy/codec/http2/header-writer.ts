/** Heads and trailers as HEADERS frames; what doesn't fit into one goes on in CONTINUATION (RFC 9113, section 6.2). */
import type { HeaderMap } from "../../../core/header-map.ts";
import { fieldRoom, HpackEncoder } from "./hpack/encoder.ts";
import type { Outbox } from "./outbox.ts";
import { DEFAULT_MAX_FRAME, FRAME_HEADER, FrameFlag, FrameType, writeFrameHeader } from "./protocol.ts";

/** Table size updates at the start of a block. */
const UPDATES_ROOM = 12;

/** Belong to one HTTP/1 connection (RFC 9113, section 8.2.2). `te` may say `trailers`, for which the caller sees. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

export class HeaderWriter {
  readonly #outbox: Outbox;
  readonly #encoder = new HpackEncoder();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableSize(size: number): void {
    this.#encoder.setMaxTableSize(size);
  }

  /**
   * Writes a head: pseudo-header fields as name and value in turn, then `headers`. Returns where its frame lies if END_STREAM
   * can still be added to it.
   */
  writeHead(streamId: number, pseudo: readonly string[], headers: HeaderMap): number {
    return this.#write(streamId, pseudo, headers, 0);
  }

  writeTrailers(streamId: number, trailers: HeaderMap): void {
    this.#write(streamId, [], trailers, FrameFlag.endStream);
  }

  #write(streamId: number, pseudo: readonly string[], headers: HeaderMap, flags: number): number {
    const outbox = this.#outbox;
    let room = UPDATES_ROOM;
    for (let i = 0; i < pseudo.length; i += 2) room += fieldRoom(pseudo[i] as string, pseudo[i + 1] as string);
    room += headers.textLength + headers.slots * FIELD_OVERHEAD;
    if (room > DEFAULT_MAX_FRAME) {
      this.#writeLong(streamId, pseudo, headers, flags, room);
      return -1;
    }
    const buf = outbox.reserve(FRAME_HEADER + room);
    const { at } = outbox;
    const end = this.#encode(buf, at + FRAME_HEADER, pseudo, headers);
    writeFrameHeader(buf, at, end - at - FRAME_HEADER, FrameType.headers, flags | FrameFlag.endHeaders, streamId);
    outbox.advance(end);
    return at;
  }

  #encode(buf: Buffer, start: number, pseudo: readonly string[], headers: HeaderMap): number {
    const encoder = this.#encoder;
    let at = encoder.begin(buf, start);
    for (let i = 0; i < pseudo.length; i += 2)
      at = encoder.encode(buf, at, pseudo[i] as string, pseudo[i + 1] as string);
    for (let i = 0; i < headers.slots; i++) {
      const name = headers.nameAt(i);
      if (name === null || isConnectionSpecific(name)) continue;
      at = encoder.encode(buf, at, name, headers.valueAt(i));
    }
    return at;
  }

  #writeLong(streamId: number, pseudo: readonly string[], headers: HeaderMap, flags: number, room: number): void {
    const block = Buffer.allocUnsafe(room);
    const end = this.#encode(block, 0, pseudo, headers);
    for (let pos = 0; pos < end; ) {
      const size = Math.min(end - pos, DEFAULT_MAX_FRAME);
      const type = pos === 0 ? FrameType.headers : FrameType.continuation;
      const last = pos + size === end ? FrameFlag.endHeaders : 0;
      const out = this.#outbox.frame(type, (pos === 0 ? flags : 0) | last, streamId, size);
      block.copy(out.buf, out.at, pos, pos + size);
      pos += size;
    }
  }
}

/** Upper bound of what a field needs beside its characters. */
const FIELD_OVERHEAD = fieldRoom("", "");

function isConnectionSpecific(name: string): boolean {
  switch (name.length) {
    case 7:
    case 10:
    case 16:
    case 17:
      return CONNECTION_SPECIFIC.has(name) || CONNECTION_SPECIFIC.has(name.toLowerCase());
    default:
      return false;
  }
}
