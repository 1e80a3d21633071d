/**
 * The frames that carry neither heads nor content, as they come: whether they are right in themselves (RFC 9113, section 6),
 * whether there are too many of them, and whom they are for.
 */
import type { FloodGuard } from "./flood-guard.ts";
import type { FlowControl } from "./flow-control.ts";
import { ErrorCode, FrameFlag, FrameType, readUint31 } from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

/** The connection, as its control frames need it. */
export interface ControlFrameOwner {
  findStream(streamId: number): Http2Stream | undefined;
  /** Whether a stream of that id can't have been opened yet. */
  isIdle(streamId: number): boolean;
  /** The entries of the peer's SETTINGS are `buf[start, end)`. */
  onSettings(buf: Buffer, start: number, end: number): void;
  onSettingsAck(): void;
  /** A PING to be answered, its eight bytes from `start` on. */
  onPing(buf: Buffer, start: number): void;
  onGoaway(lastStream: number, code: number, debug: string): void;
  /** `stream`: undefined if it has ended. */
  onRstStream(stream: Http2Stream | undefined, code: number): void;
  /** Ends a stream that need not exist here, by a frame alone. */
  writeReset(streamId: number, code: number): void;
  /** The peer broke the protocol on a stream. */
  streamError(stream: Http2Stream, code: number, detail: string): void;
  fail(code: number, message: string): void;
  /** Fails the connection if `offence` says of what; false if it is empty. */
  floods(offence: string): boolean;
}

/** How much of what a peer says in GOAWAY is looked at. */
const MAX_DEBUG = 128;

export class ControlFrames {
  readonly #owner: ControlFrameOwner;
  readonly #flood: FloodGuard;
  readonly #flow: FlowControl;

  constructor(owner: ControlFrameOwner, flood: FloodGuard, flow: FlowControl) {
    this.#owner = owner;
    this.#flood = flood;
    this.#flow = flow;
  }

  /** Any frame but HEADERS, CONTINUATION and DATA. */
  onFrame(type: number, flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, buf, start, end);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, buf, start, end);
        break;
      case FrameType.settings:
        this.#onSettings(flags, streamId, buf, start, end);
        break;
      case FrameType.ping:
        this.#onPing(flags, streamId, buf, start, end);
        break;
      case FrameType.goaway:
        this.#onGoaway(streamId, buf, start, end);
        break;
      case FrameType.priority:
        this.#onPriority(streamId, buf, start, end);
        break;
      case FrameType.pushPromise:
        this.#owner.fail(ErrorCode.protocolError, "PUSH_PROMISE was not allowed");
        break;
      default:
        // RFC 9113, section 5.5: frames of unknown types are ignored.
        break;
    }
  }

  #onWindowUpdate(streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (end - start !== 4) {
      owner.fail(ErrorCode.frameSizeError, "WINDOW_UPDATE has a wrong length");
      return;
    }
    if (owner.floods(this.#flood.onWindowUpdate())) return;
    const increment = readUint31(buf, start);
    if (streamId === 0) {
      if (increment === 0) owner.fail(ErrorCode.protocolError, "WINDOW_UPDATE of nothing");
      else if (!this.#flow.grow(increment)) owner.fail(ErrorCode.flowControlError, "the window became too large");
      return;
    }
    const stream = owner.findStream(streamId);
    if (stream === undefined) {
      if (owner.isIdle(streamId)) owner.fail(ErrorCode.protocolError, "WINDOW_UPDATE for a stream never opened");
    } else if (increment === 0) owner.streamError(stream, ErrorCode.protocolError, "WINDOW_UPDATE of nothing");
    else if (!this.#flow.growStream(stream, increment)) {
      owner.streamError(stream, ErrorCode.flowControlError, "the stream's window became too large");
    }
  }

  #onRstStream(streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (end - start !== 4) owner.fail(ErrorCode.frameSizeError, "RST_STREAM has a wrong length");
    else if (streamId === 0 || owner.isIdle(streamId)) {
      owner.fail(ErrorCode.protocolError, "RST_STREAM for a stream that was never opened");
    } else owner.onRstStream(owner.findStream(streamId), buf.readUInt32BE(start));
  }

  #onSettings(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (streamId !== 0) owner.fail(ErrorCode.protocolError, "SETTINGS are for a stream");
    else if ((flags & FrameFlag.ack) !== 0) {
      if (end === start) owner.onSettingsAck();
      else owner.fail(ErrorCode.frameSizeError, "an acknowledgement of SETTINGS has a payload");
    } else if (!owner.floods(this.#flood.onControl())) owner.onSettings(buf, start, end);
  }

  #onPing(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (streamId !== 0) owner.fail(ErrorCode.protocolError, "PING is for a stream");
    else if (end - start !== 8) owner.fail(ErrorCode.frameSizeError, "PING has a wrong length");
    else if ((flags & FrameFlag.ack) === 0 && !owner.floods(this.#flood.onControl())) owner.onPing(buf, start);
  }

  #onGoaway(streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (streamId !== 0) owner.fail(ErrorCode.protocolError, "GOAWAY is for a stream");
    else if (end - start < 8) owner.fail(ErrorCode.frameSizeError, "GOAWAY is too short");
    else {
      const debug = buf.toString("latin1", start + 8, Math.min(end, start + 8 + MAX_DEBUG));
      owner.onGoaway(readUint31(buf, start), buf.readUInt32BE(start + 4), debug);
    }
  }

  /** Priorities mean nothing here; that a stream depends on itself is an error of its (RFC 7540, section 5.3.1). */
  #onPriority(streamId: number, buf: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    if (streamId === 0) owner.fail(ErrorCode.protocolError, "PRIORITY is for no stream");
    else if (end - start !== 5)
      this.#idOrStreamError(streamId, ErrorCode.frameSizeError, "PRIORITY has a wrong length");
    else if (readUint31(buf, start) === streamId) {
      this.#idOrStreamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    } else owner.floods(this.#flood.onPriority());
  }

  /** A stream error for a stream that may not exist. */
  #idOrStreamError(streamId: number, code: number, message: string): void {
    const owner = this.#owner;
    const stream = owner.findStream(streamId);
    if (stream !== undefined) owner.streamError(stream, code, message);
    else if (owner.isIdle(streamId)) owner.fail(code, message);
    else owner.writeReset(streamId, code);
  }
}
