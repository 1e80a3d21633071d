/** HEADERS and CONTINUATION made into header blocks (RFC 9113, sections 4.3, 6.2 and 6.10), with the limits on both. */
import type { FloodGuard } from "./flood-guard.ts";
import { HeaderBlock } from "./header-block.ts";
import { ErrorCode, FrameFlag, readUint31 } from "./protocol.ts";

/** The connection, as header blocks need it. */
export interface HeaderBlockOwner {
  /** A block for the stream begins. False: the connection has failed. */
  onBlockStart(streamId: number): boolean;
  /** Further frames of the block have to come. */
  onBlockOpen(streamId: number): void;
  /**
   * The block is `buf[start, end)`, valid until this returns. `refusal`: the code that its stream is to end with once it has
   * been decoded; 0 for none.
   */
  onBlock(streamId: number, endStream: boolean, refusal: number, buf: Buffer, start: number, end: number): void;
  fail(code: number, message: string): void;
  /** Fails the connection if `offence` says of what; false if it is empty. */
  floods(offence: string): boolean;
}

export class HeaderFrames {
  readonly #owner: HeaderBlockOwner;
  readonly #flood: FloodGuard;
  readonly #block: HeaderBlock;

  constructor(owner: HeaderBlockOwner, flood: FloodGuard, maxHeadBytes: number) {
    this.#owner = owner;
    this.#flood = flood;
    this.#block = new HeaderBlock(maxHeadBytes);
  }

  /** Whether a block has begun that this frame does not continue: nothing else may come before its end. */
  interruptedBy(continues: boolean, streamId: number): boolean {
    return this.#block.open && !(continues && streamId === this.#block.streamId);
  }

  onHeaders(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    let from = start;
    let to = end;
    if (streamId === 0) {
      owner.fail(ErrorCode.protocolError, "HEADERS are for no stream");
      return;
    }
    if ((flags & FrameFlag.padded) !== 0) {
      if (from === to) {
        owner.fail(ErrorCode.frameSizeError, "padded HEADERS have no payload");
        return;
      }
      to -= buf[from++] as number;
    }
    let dependsOnItself = false;
    if ((flags & FrameFlag.priority) !== 0) {
      if (to - from < 5) {
        owner.fail(ErrorCode.frameSizeError, "HEADERS are too short for their priority");
        return;
      }
      dependsOnItself = readUint31(buf, from) === streamId;
      from += 5;
    }
    if (to < from) {
      owner.fail(ErrorCode.protocolError, "the padding of HEADERS is longer than their payload");
      return;
    }
    const endStream = (flags & FrameFlag.endStream) !== 0;
    this.#flood.onHeaders();
    if (owner.floods(this.#flood.onPayload(end === start && !endStream))) return;
    if (!owner.onBlockStart(streamId)) return;
    this.#block.begin(streamId, endStream, dependsOnItself ? ErrorCode.protocolError : 0);
    this.#part(flags, buf, from, to);
  }

  onContinuation(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (!this.#block.open || this.#block.streamId !== streamId) {
      owner.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
      return;
    }
    const last = (flags & FrameFlag.endHeaders) !== 0;
    if (owner.floods(this.#flood.onContinuation() || this.#flood.onPayload(start === end && !last))) return;
    this.#part(flags, buf, start, end);
  }

  #part(flags: number, buf: Buffer, start: number, end: number): void {
    const block = this.#block;
    const last = (flags & FrameFlag.endHeaders) !== 0;
    if (last && block.length === 0) {
      this.#close(buf, start, end);
      return;
    }
    if (!block.add(buf, start, end)) {
      this.#owner.floods(this.#flood.onLongBlock());
      return;
    }
    if (!last) {
      this.#owner.onBlockOpen(block.streamId);
      return;
    }
    const whole = block.take();
    this.#close(whole, 0, whole.length);
  }

  #close(buf: Buffer, start: number, end: number): void {
    const { streamId, endStream, refusal } = this.#block;
    this.#block.close();
    this.#owner.onBlock(streamId, endStream, refusal, buf, start, end);
  }
}
