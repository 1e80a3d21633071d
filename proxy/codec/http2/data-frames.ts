/** DATA as it comes, piece by piece: for whom it is, and whether windows and the message's head allow it (RFC 9113, 6.1). */
import type { FloodGuard } from "./flood-guard.ts";
import type { FlowControl } from "./flow-control.ts";
import type { DataSink } from "./frame-reader.ts";
import { ErrorCode, FrameFlag } from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

/** The connection, as DATA needs it. */
export interface DataOwner {
  findStream(streamId: number): Http2Stream | undefined;
  /** Whether a stream of that id can't have been opened yet. */
  isIdle(streamId: number): boolean;
  /** DATA for a stream that has ended. */
  onLateData(streamId: number): void;
  /** The peer broke the protocol on a stream. */
  streamError(stream: Http2Stream, code: number, detail: string): void;
  /** A message is malformed. */
  messageError(stream: Http2Stream, detail: string): void;
  fail(code: number, message: string): void;
  /** Fails the connection if `offence` says of what; false if it is empty. */
  floods(offence: string): boolean;
}

export class DataFrames implements DataSink {
  readonly #owner: DataOwner;
  readonly #flood: FloodGuard;
  readonly #flow: FlowControl;
  /** The stream whose DATA is being read; null: nobody wants it. */
  #stream: Http2Stream | null = null;
  #endStream = false;

  constructor(owner: DataOwner, flood: FloodGuard, flow: FlowControl) {
    this.#owner = owner;
    this.#flood = flood;
    this.#flow = flow;
  }

  onDataStart(flags: number, streamId: number, length: number): void {
    const owner = this.#owner;
    const endStream = (flags & FrameFlag.endStream) !== 0;
    this.#endStream = endStream;
    this.#stream = null;
    if (streamId === 0) {
      owner.fail(ErrorCode.protocolError, "DATA are for no stream");
      return;
    }
    if (owner.floods(this.#flood.onPayload(length === 0 && !endStream))) return;
    if (!this.#flow.take(length)) {
      owner.fail(ErrorCode.flowControlError, "DATA beyond the connection's window");
      return;
    }
    const stream = owner.findStream(streamId);
    if (stream === undefined || stream.remoteEnded) {
      if (owner.isIdle(streamId)) owner.fail(ErrorCode.protocolError, "DATA for a stream that was never opened");
      else if (stream !== undefined) owner.streamError(stream, ErrorCode.streamClosed, "DATA after END_STREAM");
      else owner.onLateData(streamId);
      return;
    }
    if (!stream.headSeen) {
      owner.messageError(stream, "DATA before a head");
      return;
    }
    stream.window.left -= length;
    if (stream.window.left < 0) {
      owner.streamError(stream, ErrorCode.flowControlError, "DATA beyond the stream's window");
      return;
    }
    this.#stream = stream;
  }

  onData(bytes: Buffer): void {
    const stream = this.#stream;
    const { length } = bytes;
    if (stream === null || stream.closed) {
      this.#flow.giveBack(null, length);
      return;
    }
    if (stream.announced >= 0) {
      stream.announced -= length;
      if (stream.announced < 0) {
        stream.announced = 0;
        this.#flow.giveBack(null, length);
        this.#owner.streamError(stream, ErrorCode.protocolError, "there is more content than the head allows");
        return;
      }
    }
    stream.receive(bytes);
  }

  onDataEnd(padding: number): void {
    const stream = this.#stream;
    this.#stream = null;
    if (padding > 0) this.#flow.giveBack(stream, padding);
    if (this.#endStream && stream !== null && !stream.closed && !stream.receiveEnd(null)) {
      this.#owner.streamError(stream, ErrorCode.protocolError, "the content is shorter than its content-length");
    }
  }
}
