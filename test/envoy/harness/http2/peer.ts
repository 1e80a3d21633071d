/**
 * One end of an HTTP/2 connection in the test bench. It does by itself what keeps a connection going (acknowledges SETTINGS
 * and PING, opens its windows wide) and records the rest by stream; everything else is sent just as a case says.
 */
import type { Duplex } from "node:stream";
import {
  type ErrorName,
  encodeFrame,
  encodeSettings,
  errorCode,
  errorName,
  FLAG,
  type Frame,
  PREFACE,
  readFrame,
  readSettings,
  TYPE,
  uint32,
} from "./frames.ts";
import { encodeFields, type Field, HeaderReader } from "./hpack.ts";

/** What was received on one stream. */
export interface StreamRecord {
  readonly id: number;
  readonly informational: (readonly Field[])[];
  head: readonly Field[] | null;
  body: Buffer;
  trailers: readonly Field[];
  ended: boolean;
  reset: string | null;
}

const WINDOW = 2 ** 24;
const LARGEST_FRAME = 16_384;

export interface PeerOptions {
  readonly side: "client" | "server";
  /** Instead of a large initial window. */
  readonly settings?: Readonly<Record<number, number>>;
  /** Leaves the windows as they are. */
  readonly narrow?: boolean;
  /** A stream's head has come, or its end, or its reset. */
  readonly onStream?: (stream: StreamRecord) => void;
  readonly onGoaway?: (code: string) => void;
  readonly onData?: (stream: StreamRecord, bytes: Buffer) => void;
}

export class Http2Peer {
  readonly streams: Map<number, StreamRecord> = new Map();
  readonly settings: string[] = [];
  readonly goaways: { readonly code: string; readonly last: number }[] = [];
  /** PINGs that were answered. */
  pings = 0;
  /** The first line of an answer that is HTTP/1. */
  otherProtocol: string | null = null;
  ended = false;
  readonly #socket: Duplex;
  readonly #options: PeerOptions;
  readonly #reader = new HeaderReader();
  /** Before the first block: the table is empty and stays so, whatever size the other end allows (RFC 7541, section 4.2). */
  #tableSize: Buffer = Buffer.from([0x20]);
  #bytes: Buffer = Buffer.alloc(0);
  #block: { readonly stream: number; readonly flags: number; readonly parts: Buffer[] } | null = null;
  #greeted: boolean;
  #unsent: Buffer[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(socket: Duplex, options: PeerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#greeted = options.side === "client";
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    const ended = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", ended);
    const settings = encodeSettings(options.settings ?? { 4: WINDOW });
    if (options.side === "client") this.write(PREFACE);
    this.frame({ type: TYPE.settings, payload: settings });
    if (!options.narrow) this.frame({ type: TYPE.window, payload: uint32(WINDOW) });
  }

  /** What is written in one tick leaves in one piece: how a request is cut is not left to chance. */
  write(bytes: Buffer): void {
    if (this.#unsent.push(bytes) === 1) setImmediate(() => this.flush());
  }

  flush(): void {
    const bytes = Buffer.concat(this.#unsent);
    this.#unsent = [];
    if (bytes.length > 0 && this.#socket.writable) this.#socket.write(bytes);
  }

  frame(frame: Frame): void {
    this.write(encodeFrame(frame));
  }

  /** A header block, in CONTINUATION frames too where it is long. */
  headers(stream: number, fields: readonly Field[], end: boolean): void {
    const block = Buffer.concat([this.#tableSize, encodeFields(fields)]);
    this.#tableSize = Buffer.alloc(0);
    const parts: Buffer[] = [];
    for (let pos = 0; pos === 0 || pos < block.length; pos += LARGEST_FRAME) {
      const last = pos + LARGEST_FRAME >= block.length ? FLAG.endHeaders : 0;
      const type = pos === 0 ? TYPE.headers : TYPE.continuation;
      const flags = last | (end && pos === 0 ? FLAG.endStream : 0);
      parts.push(encodeFrame({ type, flags, stream, payload: block.subarray(pos, pos + LARGEST_FRAME) }));
    }
    this.write(Buffer.concat(parts));
  }

  data(stream: number, bytes: Buffer, end: boolean): void {
    for (let pos = 0; pos === 0 || pos < bytes.length; pos += LARGEST_FRAME) {
      const last = pos + LARGEST_FRAME >= bytes.length;
      const flags = end && last ? FLAG.endStream : 0;
      this.frame({ type: TYPE.data, flags, stream, payload: bytes.subarray(pos, pos + LARGEST_FRAME) });
    }
  }

  reset(stream: number, code: ErrorName): void {
    this.frame({ type: TYPE.reset, stream, payload: uint32(errorCode(code)) });
  }

  goaway(code: ErrorName, last: number): void {
    this.frame({ type: TYPE.goaway, payload: uint32(last, errorCode(code)) });
  }

  stream(id: number): StreamRecord {
    const known = this.streams.get(id);
    if (known !== undefined) return known;
    const body = Buffer.alloc(0);
    const made: StreamRecord = { id, informational: [], head: null, body, trailers: [], ended: false, reset: null };
    this.streams.set(id, made);
    return made;
  }

  /** Waits until `done`, or the connection has ended, or time is up; true if `done`. */
  async until(done: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = performance.now() + limitMs;
    while (!done()) {
      const left = deadline - performance.now();
      if (this.ended || left <= 0) return false;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(go);
          resolve();
        };
        const timer = setTimeout(go, left);
        this.#waiting.add(go);
      });
    }
    return true;
  }

  #wake(): void {
    for (const go of [...this.#waiting]) go();
  }

  /** Bytes from the other end. */
  receive(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#greeted) {
      if (this.#bytes.length < PREFACE.length) return;
      this.#bytes = this.#bytes.subarray(PREFACE.length);
      this.#greeted = true;
    }
    if (this.otherProtocol !== null || this.#bytes.toString("latin1", 0, 5) === "HTTP/") {
      this.otherProtocol = this.#bytes.toString("latin1").split("\r\n")[0] ?? "";
      this.#wake();
      return;
    }
    for (let read = readFrame(this.#bytes); read !== null; read = readFrame(this.#bytes)) {
      this.#bytes = this.#bytes.subarray(read.end);
      this.#take(read.frame);
    }
    this.#wake();
  }

  #take({ type, flags, stream, payload }: Required<Frame>): void {
    const bytes = unpadded(type, flags, payload as Buffer);
    if (type === TYPE.settings && (flags & FLAG.ack) === 0) {
      this.settings.push(...readSettings(bytes));
      this.frame({ type: TYPE.settings, flags: FLAG.ack });
    } else if (type === TYPE.ping) {
      if ((flags & FLAG.ack) !== 0) this.pings++;
      else this.frame({ type: TYPE.ping, flags: FLAG.ack, payload: bytes });
    } else if (type === TYPE.goaway) {
      const code = errorName(bytes.readUInt32BE(4));
      this.goaways.push({ last: bytes.readUInt32BE(0), code });
      this.#options.onGoaway?.(code);
    } else if (type === TYPE.headers) {
      this.#block = { stream, flags, parts: [bytes] };
      if ((flags & FLAG.endHeaders) !== 0) this.#takeBlock();
    } else if (type === TYPE.continuation) {
      this.#block?.parts.push(bytes);
      if ((flags & FLAG.endHeaders) !== 0) this.#takeBlock();
    } else if (type === TYPE.data) this.#takeData(stream, flags, bytes);
    else if (type === TYPE.reset) {
      const record = this.stream(stream);
      record.reset = errorName(bytes.readUInt32BE(0));
      this.#options.onStream?.(record);
    }
  }

  #takeBlock(): void {
    const block = this.#block;
    if (block === null) return;
    this.#block = null;
    const fields = this.#reader.read(Buffer.concat(block.parts));
    const record = this.stream(block.stream);
    const status = Number(fields.find(([name]) => name === ":status")?.[1]);
    if (record.head !== null) record.trailers = fields;
    else if (status >= 100 && status < 200) record.informational.push(fields);
    else record.head = fields;
    record.ended ||= (block.flags & FLAG.endStream) !== 0;
    this.#options.onStream?.(record);
  }

  #takeData(stream: number, flags: number, bytes: Buffer): void {
    const record = this.stream(stream);
    record.body = Buffer.concat([record.body, bytes]);
    record.ended ||= (flags & FLAG.endStream) !== 0;
    this.#options.onData?.(record, bytes);
    if (record.ended) this.#options.onStream?.(record);
  }
}

/** The payload without padding and priority. */
function unpadded(type: number, flags: number, payload: Buffer): Buffer {
  if (type !== TYPE.data && type !== TYPE.headers) return payload;
  const padded = (flags & FLAG.padded) !== 0;
  const start = (padded ? 1 : 0) + (type === TYPE.headers && (flags & FLAG.priority) !== 0 ? 5 : 0);
  return payload.subarray(start, payload.length - (padded ? (payload[0] ?? 0) : 0));
}
