/** Heads and trailers as HPACK header lists in HEADERS frames; what doesn't fit into one goes on in CONTINUATION (RFC 9113, section 6.2). */
import { HeaderMap } from "../../../core/header-map.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import type { BodyKind } from "../stream.ts";
import type { HeadWriter } from "./heads.ts";
import { fieldRoom, HpackEncoder } from "./hpack/encoder.ts";
import { isConnectionSpecific } from "./hpack/field.ts";
import type { Outbox } from "./outbox.ts";
import { DEFAULT_MAX_FRAME, FRAME_HEADER, FrameFlag, FrameType, writeFrameHeader } from "./protocol.ts";

/** Table size updates at the start of a block. */
const UPDATES_ROOM = 12;

const NONE: readonly string[] = [];
const CONTINUE: readonly string[] = [":status", "100"];
const NO_HEADERS = new HeaderMap();

/** `:status` and its value, for each status seen. */
const statuses = new Map<number, readonly string[]>();

function statusField(status: number): readonly string[] {
  let field = statuses.get(status);
  if (field === undefined) {
    field = [":status", String(status)];
    statuses.set(status, field);
  }
  return field;
}

export class HpackWriter implements HeadWriter {
  readonly protocol = "HTTP/2";
  readonly #outbox: Outbox;
  readonly #encoder = new HpackEncoder();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  setTableSize(size: number): void {
    this.#encoder.setMaxTableSize(size);
  }

  writeRequest(streamId: number, request: RequestHead, _body: BodyKind, upgrading: boolean): number {
    return this.#write(streamId, requestFields(request, upgrading), request.headers, 0);
  }

  writeResponse(streamId: number, head: ResponseHead): number {
    // RFC 8441, section 4: what switches protocols in HTTP/1 is an ordinary success here.
    return this.#write(streamId, statusField(head.status === 101 ? 200 : head.status), head.headers, 0);
  }

  writeContinue(streamId: number): void {
    this.#write(streamId, CONTINUE, NO_HEADERS, 0);
  }

  writeTrailers(streamId: number, trailers: HeaderMap): void {
    this.#write(streamId, NONE, trailers, FrameFlag.endStream);
  }

  #write(streamId: number, pseudo: readonly string[], headers: HeaderMap, flags: number): number {
    const outbox = this.#outbox;
    let room = UPDATES_ROOM;
    for (let i = 0; i < pseudo.length; i += 2) room += fieldRoom(pseudo[i] as string, pseudo[i + 1] as string);
    room += headers.textLength + headers.slots * FIELD_OVERHEAD;
    if (room > DEFAULT_MAX_FRAME) return this.#writeLong(streamId, pseudo, headers, flags, room);
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
      if (name === null || staysBehind(name)) continue;
      at = encoder.encode(buf, at, name, headers.valueAt(i));
    }
    return at;
  }

  #writeLong(streamId: number, pseudo: readonly string[], headers: HeaderMap, flags: number, room: number): number {
    const block = Buffer.allocUnsafe(room);
    const end = this.#encode(block, 0, pseudo, headers);
    const start = this.#outbox.together(end + Math.ceil(end / DEFAULT_MAX_FRAME) * FRAME_HEADER);
    for (let pos = 0; pos < end; ) {
      const size = Math.min(end - pos, DEFAULT_MAX_FRAME);
      const type = pos === 0 ? FrameType.headers : FrameType.continuation;
      const last = pos + size === end ? FrameFlag.endHeaders : 0;
      const out = this.#outbox.frame(type, (pos === 0 ? flags : 0) | last, streamId, size);
      block.copy(out.buf, out.at, pos, pos + size);
      pos += size;
    }
    return start;
  }
}

/** The pseudo-header fields, name and value in turn. */
function requestFields(request: RequestHead, upgrading: boolean): readonly string[] {
  const { method, scheme, path, authority } = request;
  if (method === "CONNECT") return [":method", "CONNECT", ":authority", authority];
  if (!upgrading) return [":method", method, ":scheme", scheme, ":path", path, ":authority", authority];
  // RFC 8441: what a caller of HTTP/1 asks for with `Upgrade`.
  const protocol = request.headers.get("upgrade") ?? "";
  return [":method", "CONNECT", ":scheme", scheme, ":path", path, ":authority", authority, ":protocol", protocol];
}

/** Upper bound of what a field needs beside its characters. */
const FIELD_OVERHEAD = fieldRoom("", "");

/** Left out of what is sent; `te` may say `trailers`, for which the caller sees. */
function staysBehind(name: string): boolean {
  switch (name.length) {
    case 7:
    case 10:
    case 16:
    case 17:
      return isConnectionSpecific(name) || isConnectionSpecific(name.toLowerCase());
    default:
      return false;
  }
}
