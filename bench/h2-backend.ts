/**
 * The gRPC-shaped backend: answers any call over h2c with `BYTES` of messages and `grpc-status: 0` in the trailers. It
 * shares a core with the load, so what it sends was written beforehand and it never decodes a header block. Flow control
 * is kept in both directions. Usage: node h2-backend.ts PORT BYTES
 */
import net from "node:net";
import {
  ACK,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FRAME,
  FRAME_BYTES,
  FrameReader,
  frame,
  SETTING,
  settings,
  windowUpdate,
} from "./h2-frames.ts";

/** How much callers may send beyond what was read, per stream and per connection, and after how much they are told. */
const STREAM_WINDOW = 1 << 24;
const CONNECTION_WINDOW = 1 << 30;
const REFILL = 1 << 20;

const GREETING = Buffer.concat([
  settings([
    [SETTING.maxConcurrentStreams, 1024],
    [SETTING.initialWindowSize, STREAM_WINDOW],
  ]),
  windowUpdate(0, CONNECTION_WINDOW - DEFAULT_WINDOW),
]);
const SETTINGS_ACK = frame(FRAME.settings, ACK, 0, Buffer.alloc(0));

/** A header block's field with literal name or name index; `how` is the representation's prefix (RFC 7541, 6.2). */
function field(how: number, name: string | number, value: string): Buffer {
  const literal = (text: string): Buffer => Buffer.concat([Buffer.of(text.length), Buffer.from(text, "latin1")]);
  if (typeof name === "string") return Buffer.concat([Buffer.of(how), literal(name), literal(value)]);
  // An index that doesn't fit into the prefix of four bits goes on in a second byte.
  const index = how === 0 ? Buffer.of(15, name - 15) : Buffer.of(how | name);
  return Buffer.concat([index, literal(value)]);
}

const STATUS_200 = Buffer.of(0x88);
const CONTENT_TYPE = 31;
const REMEMBER = 0x40;
/** Says everything and changes no table: right at any time. */
const PLAIN = {
  head: Buffer.concat([STATUS_200, field(0, CONTENT_TYPE, "application/grpc")]),
  trailers: field(0, "grpc-status", "0"),
};
/** What gRPC servers send: the first answer fills the dynamic table, those after it refer to it. */
const FIRST = {
  head: Buffer.concat([STATUS_200, field(REMEMBER, CONTENT_TYPE, "application/grpc")]),
  trailers: field(REMEMBER, "grpc-status", "0"),
};
/** For peers without a table, which want to be told that it is empty (RFC 7541, 4.2); nginx is one. */
const NO_TABLE = { head: Buffer.concat([Buffer.of(0x20), PLAIN.head]), trailers: PLAIN.trailers };
const LATER = { head: Buffer.of(0x88, 0x80 | 63), trailers: Buffer.of(0x80 | 62) };

/** Messages of `length` bytes together, each as long as a frame where there are several (gRPC: flag, length, bytes). */
function message(length: number): Buffer {
  const out = Buffer.alloc(Math.min(length, FRAME_BYTES), "a");
  out[0] = 0;
  out.writeUInt32BE(out.length - 5, 1);
  return out;
}

/** A whole answer for stream 0, and where the stream's number stands in it. */
interface ShortAnswer {
  readonly bytes: Buffer;
  readonly streamAt: readonly number[];
}

function shortAnswer(blocks: { readonly head: Buffer; readonly trailers: Buffer }, body: Buffer): ShortAnswer {
  const head = frame(FRAME.headers, END_HEADERS, 0, blocks.head);
  const data = frame(FRAME.data, 0, 0, body);
  const trailers = frame(FRAME.headers, END_HEADERS | END_STREAM, 0, blocks.trailers);
  return {
    bytes: Buffer.concat([head, data, trailers]),
    streamAt: [5, head.length + 5, head.length + data.length + 5],
  };
}

interface Answer {
  readonly stream: number;
  left: number;
  window: number;
  started: boolean;
}

class Connection {
  readonly #socket: net.Socket;
  readonly #bytes: number;
  readonly #message: Buffer;
  #first: ShortAnswer;
  #later: ShortAnswer;
  #plainHead = PLAIN.head;
  #answered = false;
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #received = 0;
  /** Bytes of requests that are still coming. */
  readonly #uploads = new Map<number, number>();
  /** Answers that wait for a window or for the socket, in order of their calls. */
  readonly #answers = new Map<number, Answer>();
  #full = false;
  #out: Buffer[] = [GREETING];

  constructor(socket: net.Socket, bytes: number) {
    this.#socket = socket;
    this.#bytes = bytes;
    this.#message = message(bytes);
    this.#first = shortAnswer(FIRST, this.#message);
    this.#later = shortAnswer(LATER, this.#message);
    const reader = new FrameReader((type, flags, stream, length, payload) => {
      if (type === FRAME.data) this.#onData(stream, length, (flags & END_STREAM) !== 0);
      else if (type === FRAME.headers) {
        if ((flags & END_STREAM) !== 0) this.#answer(stream);
      } else if (payload !== null) this.#onControl(type, flags, stream, payload);
    });
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk);
      this.#pump();
    });
    socket.on("drain", () => {
      this.#full = false;
      this.#pump();
    });
  }

  #onData(stream: number, length: number, last: boolean): void {
    this.#received += length;
    if (this.#received >= REFILL) {
      this.#out.push(windowUpdate(0, this.#received));
      this.#received = 0;
    }
    if (last) {
      this.#uploads.delete(stream);
      this.#answer(stream);
      return;
    }
    const received = (this.#uploads.get(stream) ?? 0) + length;
    if (received >= REFILL) this.#out.push(windowUpdate(stream, received));
    this.#uploads.set(stream, received >= REFILL ? 0 : received);
  }

  #onControl(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === FRAME.windowUpdate) {
      const answer = this.#answers.get(stream);
      if (stream === 0) this.#window += payload.readUInt32BE();
      else if (answer) answer.window += payload.readUInt32BE();
    } else if (type === FRAME.settings && (flags & ACK) === 0) {
      this.#out.push(SETTINGS_ACK);
      for (let at = 0; at + 6 <= payload.length; at += 6)
        this.#onSetting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    } else if (type === FRAME.ping && (flags & ACK) === 0) {
      this.#out.push(frame(FRAME.ping, ACK, 0, payload));
    } else if (type === FRAME.rstStream) {
      this.#uploads.delete(stream);
      this.#answers.delete(stream);
    }
  }

  #onSetting(id: number, value: number): void {
    if (id === SETTING.initialWindowSize) {
      for (const answer of this.#answers.values()) answer.window += value - this.#initialWindow;
      this.#initialWindow = value;
    }
    // Answers refer to a table of the default size; without one they say everything each time.
    if (id === SETTING.headerTableSize && value < 4096) {
      this.#first = shortAnswer(NO_TABLE, this.#message);
      this.#later = this.#first;
      this.#plainHead = NO_TABLE.head;
    }
  }

  #answer(stream: number): void {
    this.#answers.set(stream, { stream, left: this.#bytes, window: this.#initialWindow, started: false });
  }

  /** Sends what windows and socket allow, all in one write where it is short. */
  #pump(): void {
    for (const answer of this.#answers.values()) {
      if (this.#full) break;
      if (!this.#sendShort(answer)) this.#sendPieces(answer);
      if (answer.left === 0) this.#answers.delete(answer.stream);
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#out.length === 0) return;
    const only = this.#out.length === 1 ? this.#out[0] : undefined;
    if (!this.#socket.write(only ?? Buffer.concat(this.#out))) this.#full = true;
    this.#out = [];
  }

  /** The usual case: an answer of one frame for which there is room. */
  #sendShort(answer: Answer): boolean {
    const { length } = this.#message;
    if (answer.started || this.#bytes > FRAME_BYTES || answer.window < length || this.#window < length) return false;
    const template = this.#answered ? this.#later : this.#first;
    const bytes = Buffer.from(template.bytes);
    for (const at of template.streamAt) bytes.writeUInt32BE(answer.stream, at);
    this.#out.push(bytes);
    this.#answered = true;
    this.#window -= length;
    answer.left = 0;
    return true;
  }

  #sendPieces(answer: Answer): void {
    if (!answer.started) this.#out.push(frame(FRAME.headers, END_HEADERS, answer.stream, this.#plainHead));
    answer.started = true;
    while (answer.left > 0 && !this.#full) {
      const offset = (this.#bytes - answer.left) % FRAME_BYTES;
      const size = Math.min(answer.left, answer.window, this.#window, this.#message.length - offset);
      if (size <= 0) return;
      this.#out.push(frame(FRAME.data, 0, answer.stream, this.#message.subarray(offset, offset + size)));
      answer.left -= size;
      answer.window -= size;
      this.#window -= size;
      if (this.#out.length >= 16) this.#flush();
    }
    if (answer.left === 0) {
      this.#out.push(frame(FRAME.headers, END_HEADERS | END_STREAM, answer.stream, PLAIN.trailers));
    }
  }
}

/** Not listening yet. */
export function h2Backend(bytes: number): net.Server {
  return net.createServer({ noDelay: true }, (socket) => {
    new Connection(socket, bytes);
  });
}

if (import.meta.main) {
  const [, , port, bytes] = process.argv;
  h2Backend(Number(bytes)).listen(Number(port), "127.0.0.1");
}
