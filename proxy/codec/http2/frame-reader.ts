/**
 * Cuts what a socket brings into frames (RFC 9113, section 4.1). DATA is handed on piece by piece as it comes, never
 * held; other frames are handed on whole, from where they lie unless they came in parts.
 */
import { ErrorCode, FRAME_HEADER, FrameFlag, FrameType, readUint31 } from "./protocol.ts";

/** What is done with frames other than DATA. */
export interface FrameSink {
  /** Nothing more is to be read. */
  readonly readsNoMore: boolean;
  /** A frame's header; false refuses it (the sink has failed the connection). */
  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean;
  /** A frame other than DATA: its payload is `buf[start, end)`, valid until this returns. */
  onFrame(type: number, flags: number, streamId: number, buf: Buffer, start: number, end: number): void;
  onReadError(code: number, message: string): void;
}

/** What is done with DATA. */
export interface DataSink {
  /** DATA begins: `length` is its whole payload, padding included. */
  onDataStart(flags: number, streamId: number, length: number): void;
  /** Content of the DATA that began; valid until this returns. */
  onData(bytes: Buffer): void;
  /** The DATA that began has ended; `padding`: bytes of it that were no content. */
  onDataEnd(padding: number): void;
}

const State = { header: 0, payload: 1, padLength: 2, data: 3, padding: 4 } as const;

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #data: DataSink;
  #state: number = State.header;
  readonly #header = Buffer.allocUnsafe(FRAME_HEADER);
  #headerFill = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** A payload that comes in parts. */
  #payload: Buffer | null = null;
  #payloadFill = 0;
  #length = 0;
  /** Content, then padding, that is still to come. */
  #left = 0;
  #padding = 0;
  #padTotal = 0;

  constructor(sink: FrameSink, data: DataSink) {
    this.#sink = sink;
    this.#data = data;
  }

  /** Takes what came, whole frames or parts of them. */
  feed(buf: Buffer, start: number): void {
    const end = buf.length;
    const sink = this.#sink;
    let pos = start;
    while (pos < end && !sink.readsNoMore) {
      switch (this.#state) {
        case State.header: {
          let head = buf;
          let at = pos;
          if (this.#headerFill > 0 || end - pos < FRAME_HEADER) {
            const take = Math.min(FRAME_HEADER - this.#headerFill, end - pos);
            buf.copy(this.#header, this.#headerFill, pos, pos + take);
            this.#headerFill += take;
            pos += take;
            if (this.#headerFill < FRAME_HEADER) return;
            this.#headerFill = 0;
            head = this.#header;
            at = 0;
          } else pos += FRAME_HEADER;
          const length = ((head[at] as number) << 16) | ((head[at + 1] as number) << 8) | (head[at + 2] as number);
          this.#length = length;
          this.#type = head[at + 3] as number;
          this.#flags = head[at + 4] as number;
          this.#streamId = readUint31(head, at + 5);
          if (!sink.onFrameHeader(this.#type, this.#flags, this.#streamId, length)) return;
          if (this.#type === FrameType.data) {
            this.#beginData(length);
            break;
          }
          if (end - pos >= length) {
            const from = pos;
            pos += length;
            sink.onFrame(this.#type, this.#flags, this.#streamId, buf, from, pos);
          } else {
            this.#payload = Buffer.allocUnsafe(length);
            this.#payloadFill = 0;
            this.#state = State.payload;
          }
          break;
        }
        case State.payload: {
          const payload = this.#payload as Buffer;
          const take = Math.min(payload.length - this.#payloadFill, end - pos);
          buf.copy(payload, this.#payloadFill, pos, pos + take);
          this.#payloadFill += take;
          pos += take;
          if (this.#payloadFill < payload.length) return;
          this.#payload = null;
          this.#state = State.header;
          sink.onFrame(this.#type, this.#flags, this.#streamId, payload, 0, payload.length);
          break;
        }
        case State.padLength: {
          const padding = buf[pos++] as number;
          // RFC 9113, section 6.1: padding that fills the payload or more.
          if (padding >= this.#length) {
            sink.onReadError(ErrorCode.protocolError, "the padding of DATA is longer than its payload");
            return;
          }
          this.#padding = padding;
          this.#padTotal = padding + 1;
          this.#left = this.#length - padding - 1;
          this.#nextDataState();
          break;
        }
        case State.data: {
          const take = Math.min(this.#left, end - pos);
          this.#left -= take;
          const piece = pos === 0 && take === end ? buf : buf.subarray(pos, pos + take);
          pos += take;
          this.#data.onData(piece);
          if (this.#left === 0) this.#nextDataState();
          break;
        }
        default: {
          const take = Math.min(this.#padding, end - pos);
          this.#padding -= take;
          pos += take;
          if (this.#padding === 0) this.#nextDataState();
        }
      }
    }
  }

  #beginData(length: number): void {
    this.#data.onDataStart(this.#flags, this.#streamId, length);
    this.#padding = 0;
    this.#padTotal = 0;
    this.#left = length;
    if ((this.#flags & FrameFlag.padded) === 0) this.#nextDataState();
    else if (length === 0) this.#sink.onReadError(ErrorCode.frameSizeError, "padded DATA has no payload");
    else this.#state = State.padLength;
  }

  #nextDataState(): void {
    if (this.#left > 0) this.#state = State.data;
    else if (this.#padding > 0) this.#state = State.padding;
    else {
      this.#state = State.header;
      this.#data.onDataEnd(this.#padTotal);
    }
  }
}
