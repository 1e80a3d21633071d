/** A header block that comes in several frames: HEADERS and CONTINUATION with nothing in between (RFC 9113, 6.10). */

/** Compressed bytes are never more than this beyond what they may decompress to. */
const SLACK = 16_384;

export class HeaderBlock {
  open = false;
  streamId = 0;
  endStream = false;
  /** The error code that its stream is to end with, once it has been decoded; 0: none. */
  refusal = 0;
  /** Bytes of the frames so far. */
  length = 0;
  #parts: Buffer[] = [];
  readonly #limit: number;

  constructor(maxHeadBytes: number) {
    this.#limit = maxHeadBytes + SLACK;
  }

  begin(streamId: number, endStream: boolean, refusal: number): void {
    this.open = true;
    this.streamId = streamId;
    this.endStream = endStream;
    this.refusal = refusal;
  }

  /** Keeps one frame's part. False: it became too long. */
  add(buf: Buffer, start: number, end: number): boolean {
    this.length += end - start;
    if (this.length > this.#limit) return false;
    this.#parts.push(Buffer.from(buf.subarray(start, end)));
    return true;
  }

  /** All that was kept, in one piece. */
  take(): Buffer {
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.length = 0;
    return whole;
  }

  close(): void {
    this.open = false;
  }
}
