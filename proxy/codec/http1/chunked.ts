/**
 * Chunked bodies (RFC 9112, section 7.1). The decoder can hand on the chunks in their framing as they came, so that a
 * body that stays HTTP/1 is not copied or cut; chunk extensions are validated and left out, as the RFC allows and
 * Envoy does.
 */
import { HeaderMap } from "../../../core/header-map.ts";
import { HeadError, parseFields } from "./fields.ts";

/** Where body bytes go. `payload` counts the bytes of content in `bytes`, which includes framing in raw mode. */
export interface ChunkSink {
  onChunk(bytes: Buffer, payload: number): void;
}

/** Digits of one size (leading zeros included), and the sum of extension bytes that one body may carry. */
const MAX_DIGITS = 16;
const MAX_EXTENSIONS = 16_384;
/** Envoy's default for a request's headers, which trailers count as. */
const MAX_TRAILER_BYTES = 61_440;
const MAX_TRAILER_FIELDS = 100;

const State = {
  size: 0,
  extension: 1,
  sizeLf: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  trailers: 6,
  done: 7,
  firstDigit: 8,
} as const;

export class ChunkedDecoder {
  /** Hand on framing too. */
  raw = true;
  #state: number = State.firstDigit;
  #size = 0;
  #digits = 0;
  #extensions = 0;
  #trailerBytes: Buffer | null = null;
  /** Set once the body has ended, null if it had no trailers. */
  trailers: HeaderMap | null = null;

  reset(raw: boolean): void {
    this.raw = raw;
    this.#state = State.firstDigit;
    this.#size = 0;
    this.#digits = 0;
    this.#extensions = 0;
    this.#trailerBytes = null;
    this.trailers = null;
  }

  get done(): boolean {
    return this.#state === State.done;
  }

  /**
   * Takes bytes from `buf[pos, end)`. Returns the offset after what belongs to the body (less than `end` only when the
   * body is done), or a `HeadError`. In raw mode the last chunk and the trailers are not handed on: whoever ends the
   * message writes them.
   */
  feed(buf: Buffer, start: number, end: number, sink: ChunkSink): number {
    let pos = start;
    // Start of what is not yet handed on, and the content bytes in it.
    let run = start;
    let payload = 0;
    // Start of the size line being read: the last chunk's must not go out with the run before it.
    let line = start;
    const raw = this.raw;
    while (pos < end) {
      switch (this.#state) {
        case State.firstDigit:
        case State.size: {
          const c = buf[pos] as number;
          const digit = hexDigit(c);
          if (digit >= 0) {
            if (this.#state === State.firstDigit) line = pos;
            // 2^48 bytes are enough for anyone; more digits are an attack on somebody's integer.
            if (this.#size >= 2 ** 44 || ++this.#digits > MAX_DIGITS) return HeadError.chunkSize;
            this.#size = this.#size * 16 + digit;
            this.#state = State.size;
          } else if (this.#state === State.firstDigit) return HeadError.chunkSize;
          else if (c === 0x0d) this.#state = State.sizeLf;
          else if (c === 0x3b) {
            // Hand on the digits, leave the extension out.
            const upTo = this.#size > 0 ? pos : line;
            if (raw && upTo > run) {
              sink.onChunk(buf.subarray(run, upTo), payload);
              payload = 0;
            }
            run = pos;
            this.#state = State.extension;
          } else return HeadError.chunkSize;
          pos++;
          break;
        }
        case State.extension: {
          const c = buf[pos] as number;
          if (c === 0x0d) {
            this.#state = State.sizeLf;
            run = pos;
          } else if ((c < 0x20 && c !== 0x09) || c === 0x7f || ++this.#extensions > MAX_EXTENSIONS)
            return HeadError.chunkSize;
          pos++;
          break;
        }
        case State.sizeLf: {
          if (buf[pos] !== 0x0a) return HeadError.chunkSize;
          pos++;
          this.#digits = 0;
          if (this.#size === 0) {
            if (raw && line > run) sink.onChunk(buf.subarray(run, line), payload);
            this.#state = State.trailers;
          } else {
            this.#state = State.data;
            if (!raw) run = pos;
          }
          break;
        }
        case State.data: {
          const take = Math.min(this.#size, end - pos);
          pos += take;
          payload += take;
          this.#size -= take;
          if (this.#size === 0) {
            this.#state = State.dataCr;
            if (!raw) {
              sink.onChunk(buf.subarray(run, pos), payload);
              payload = 0;
            }
          }
          break;
        }
        case State.dataCr:
          if (buf[pos] !== 0x0d) return HeadError.chunkSize;
          this.#state = State.dataLf;
          pos++;
          break;
        case State.dataLf:
          if (buf[pos] !== 0x0a) return HeadError.chunkSize;
          this.#state = State.firstDigit;
          pos++;
          break;
        case State.trailers:
          return this.#readTrailers(buf, pos, end);
        default:
          return pos;
      }
    }
    const state = this.#state;
    if (raw ? state !== State.extension && state !== State.trailers : state === State.data) {
      // A size of 0 so far may be the last chunk's; leading zeros that are dropped here change nothing.
      const upTo = (state === State.size || state === State.sizeLf) && this.#size === 0 ? line : pos;
      if (upTo > run) sink.onChunk(buf.subarray(run, upTo), payload);
    }
    return pos;
  }

  #readTrailers(buf: Buffer, start: number, end: number): number {
    const before = this.#trailerBytes;
    const bytes = before ? Buffer.concat([before, buf.subarray(start, end)]) : buf;
    const from = before ? 0 : start;
    const to = before ? bytes.length : end;
    // Whole lines only: what drips in is not read again and again.
    const whole = bytes.lastIndexOf(0x0a, Math.min(to, from + MAX_TRAILER_BYTES + 1) - 1) + 1;
    const fresh = whole > from + (before?.length ?? 0);
    const trailers = new HeaderMap();
    const after = fresh ? parseFields(bytes, from, whole, from, MAX_TRAILER_FIELDS, trailers, null) : 0;
    if (after < 0) return after;
    if (after - from > MAX_TRAILER_BYTES) return HeadError.tooLarge;
    if (after === 0) {
      if (to - from > MAX_TRAILER_BYTES) return HeadError.tooLarge;
      this.#trailerBytes = before ? bytes : Buffer.from(buf.subarray(start, end));
      return end;
    }
    if (trailers.count > 0) {
      trailers.text = bytes.toString("latin1", from, after);
      this.trailers = trailers;
    }
    this.#state = State.done;
    return before ? start + after - before.length : after;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
