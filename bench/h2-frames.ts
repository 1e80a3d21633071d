/** Just enough of HTTP/2's framing (RFC 9113, section 4.1) for a backend that never looks into a header block. */

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const ACK = 1;

export const SETTING = { headerTableSize: 1, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
export const HEADER_BYTES = 9;
/** No frame is longer, so the peer's SETTINGS_MAX_FRAME_SIZE need not be known. */
export const FRAME_BYTES = 16_384;
/** Windows before any SETTINGS or WINDOW_UPDATE. */
export const DEFAULT_WINDOW = 65_535;

/** One frame as it goes on the wire. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const out = Buffer.alloc(HEADER_BYTES + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(stream, 5);
  out.set(payload, HEADER_BYTES);
  return out;
}

export function windowUpdate(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, stream, payload);
}

export function settings(values: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  for (const [i, [id, value]] of values.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return frame(FRAME.settings, 0, 0, payload);
}

/** Called for every frame. `payload` is null for DATA, HEADERS and CONTINUATION, whose content nobody needs. */
export type OnFrame = (type: number, flags: number, stream: number, length: number, payload: Buffer | null) => void;

/** Cuts bytes into frames, however they come. A frame is told once its last byte is there. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #preface = PREFACE.length;
  #head = Buffer.alloc(HEADER_BYTES);
  #headLength = 0;
  #payload: Buffer | null = null;
  #left = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    let at = Math.min(this.#preface, bytes.length);
    this.#preface -= at;
    while (at < bytes.length) {
      if (this.#headLength < HEADER_BYTES) {
        const taken = Math.min(HEADER_BYTES - this.#headLength, bytes.length - at);
        bytes.copy(this.#head, this.#headLength, at, at + taken);
        this.#headLength += taken;
        at += taken;
        if (this.#headLength < HEADER_BYTES) return;
        this.#left = this.#head.readUIntBE(0, 3);
        const type = this.#head[3];
        const skipped = type === FRAME.data || type === FRAME.headers || type === FRAME.continuation;
        this.#payload = skipped ? null : Buffer.alloc(this.#left);
      }
      const taken = Math.min(this.#left, bytes.length - at);
      if (this.#payload !== null) bytes.copy(this.#payload, this.#payload.length - this.#left, at, at + taken);
      this.#left -= taken;
      at += taken;
      if (this.#left === 0) {
        this.#headLength = 0;
        const head = this.#head;
        this.#onFrame(
          head[3] ?? 0,
          head[4] ?? 0,
          head.readUInt32BE(5) & 0x7fffffff,
          head.readUIntBE(0, 3),
          this.#payload,
        );
      }
    }
  }
}
