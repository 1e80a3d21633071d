/**
 * One end of an HTTP/2 connection whose frames a test writes by hand, and which keeps what the other end sends: frames
 * in their order, and by stream. It answers SETTINGS and PING and gives windows back, as long as it is told to.
 */
import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";
import { type Field, HpackReader } from "./hpack-reader.ts";
import { Flag, frame, PREFACE, ping, Setting, settings, settingsAck, Type, windowUpdate } from "./http2-frames.ts";
import { PATIENCE_MS, until } from "./wire.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What has come on one stream. */
export class StreamLog {
  readonly id: number;
  /** Informational heads, the final one, trailers: as they came. */
  readonly heads: Field[][] = [];
  body = "";
  ended = false;
  /** Code of RST_STREAM. */
  reset: number | null = null;

  constructor(id: number) {
    this.id = id;
  }

  /** Of the last head that has one. */
  get status(): number {
    const found = this.heads.findLast((head) => head.some(([name]) => name === ":status"));
    return Number(found?.find(([name]) => name === ":status")?.[1]);
  }

  /** Value of a field in any of the heads; undefined if it is in none. */
  field(name: string): string | undefined {
    return this.heads.flat().find(([key]) => key === name)?.[1];
  }
}

export interface WireOptions {
  /** Answer SETTINGS and PING. Default: true. */
  readonly answers?: boolean;
  /** Give both windows back as DATA arrives. Default: true. */
  readonly widens?: boolean;
  /** Heads are text, as two sidecars may agree upon: kept as one field without a name. Default: false. */
  readonly text?: boolean;
}

export class Http2Wire {
  readonly socket: net.Socket;
  readonly frames: Frame[] = [];
  readonly streams = new Map<number, StreamLog>();
  /** The peer has ended its side, or cut the connection. */
  gone = false;
  error: string | null = null;
  /** Called with each frame, after it was kept. */
  onFrame: (frame: Frame) => void = () => undefined;
  readonly #options: WireOptions;
  readonly #hpack = new HpackReader();
  #bytes: Buffer = Buffer.alloc(0);
  #preface: number;
  #block: { readonly stream: number; readonly ends: boolean; readonly parts: Buffer[] } | null = null;

  /** `preface`: the peer begins with the client's preface. */
  constructor(socket: net.Socket, preface: boolean, options: WireOptions = {}) {
    this.socket = socket;
    this.#preface = preface ? PREFACE.length : 0;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("end", () => {
      this.gone = true;
    });
    socket.on("close", () => {
      this.gone = true;
    });
    socket.on("error", (error) => {
      this.error = (error as NodeJS.ErrnoException).code ?? error.message;
    });
  }

  write(...parts: readonly Buffer[]): void {
    if (this.socket.writable) this.socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }

  stream(id: number): StreamLog {
    let log = this.streams.get(id);
    if (log === undefined) this.streams.set(id, (log = new StreamLog(id)));
    return log;
  }

  /** The peer's GOAWAY, the last one. */
  get goaway(): { readonly last: number; readonly code: number; readonly debug: string } | null {
    const found = this.frames.findLast(({ type }) => type === Type.goaway);
    if (found === undefined) return null;
    const { payload } = found;
    return { last: payload.readUInt32BE(0), code: payload.readUInt32BE(4), debug: payload.toString("latin1", 8) };
  }

  count(type: number): number {
    return this.frames.filter((one) => one.type === type).length;
  }

  /** Waits until the stream was ended by the peer, one way or the other, or the connection is gone. */
  async over(id: number, withinMs = PATIENCE_MS): Promise<StreamLog> {
    const log = this.stream(id);
    await until(() => log.ended || log.reset !== null || this.gone, withinMs).catch(() => {
      throw new Error(`stream ${id} goes on; ${this.describe()}`);
    });
    return log;
  }

  /** Waits for a frame that `wanted` takes, among those that came already too. */
  async frame(wanted: (frame: Frame) => boolean, withinMs = PATIENCE_MS): Promise<Frame> {
    await until(() => this.frames.some(wanted) || this.gone, withinMs).catch(() => undefined);
    const found = this.frames.find(wanted);
    if (found === undefined) throw new Error(`the frame did not come; ${this.describe()}`);
    return found;
  }

  /** Waits for the end of the connection and returns the code of the GOAWAY before it, null if there was none. */
  async ended(withinMs = PATIENCE_MS): Promise<number | null> {
    await until(() => this.gone, withinMs).catch(() => {
      throw new Error(`the connection goes on; ${this.describe()}`);
    });
    return this.goaway?.code ?? null;
  }

  /** Waits until the peer has answered a PING, and so has read all that was written before. */
  async settled(opaque = "settled!"): Promise<void> {
    this.write(ping(opaque));
    await this.frame(({ type, flags, payload }) => {
      return type === Type.ping && (flags & Flag.ack) !== 0 && payload.toString("latin1") === opaque;
    });
  }

  /** What has come, for errors. */
  describe(): string {
    const shown = this.frames.slice(-12).map(({ type, flags, stream, payload }) => {
      const name = Object.entries(Type).find(([, value]) => value === type)?.[0] ?? String(type);
      const code = type === Type.goaway ? ` code ${payload.readUInt32BE(4)} ${payload.toString("latin1", 8)}` : "";
      return `${name}(${stream}, flags ${flags}, ${payload.length} bytes${code})`;
    });
    return `${this.gone ? "gone" : "open"} ${this.error ?? ""}: ${shown.join(" ")}`;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    let bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#preface > 0) {
      if (bytes.length < this.#preface) {
        this.#bytes = bytes;
        return;
      }
      if (!bytes.subarray(0, this.#preface).equals(PREFACE)) {
        this.error = "no preface";
        this.socket.destroy();
        return;
      }
      bytes = bytes.subarray(this.#preface);
      this.#preface = 0;
    }
    while (bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const stream = bytes.readUInt32BE(5) & 0x7fff_ffff;
      this.#take({ type: bytes[3] ?? 0, flags: bytes[4] ?? 0, stream, payload: Buffer.from(bytes.subarray(9, end)) });
      bytes = bytes.subarray(end);
    }
    this.#bytes = bytes;
  }

  #take(one: Frame): void {
    this.frames.push(one);
    const { answers = true, widens = true } = this.#options;
    const { type, flags, stream, payload } = one;
    if (type === Type.headers || type === Type.continuation) this.#takeBlock(one);
    else if (type === Type.data) {
      const log = this.stream(stream);
      log.body += unpadded(one).toString("latin1");
      log.ended ||= (flags & Flag.endStream) !== 0;
      if (widens && payload.length > 0) {
        this.write(windowUpdate(0, payload.length));
        if (!log.ended) this.write(windowUpdate(stream, payload.length));
      }
    } else if (type === Type.rstStream) this.stream(stream).reset = payload.readUInt32BE(0);
    else if (answers && type === Type.settings && !(flags & Flag.ack)) this.write(settingsAck());
    else if (answers && type === Type.ping && !(flags & Flag.ack)) this.write(frame(Type.ping, Flag.ack, 0, payload));
    this.onFrame(one);
  }

  #takeBlock(one: Frame): void {
    if (one.type === Type.headers) {
      const ends = (one.flags & Flag.endStream) !== 0;
      this.#block = { stream: one.stream, ends, parts: [unprioritised(one)] };
    } else this.#block?.parts.push(one.payload);
    if (this.#block === null || !(one.flags & Flag.endHeaders)) return;
    const { stream, ends, parts } = this.#block;
    this.#block = null;
    const log = this.stream(stream);
    const block = Buffer.concat(parts);
    log.heads.push(this.#options.text ? [["", block.toString("latin1")]] : this.#hpack.read(block));
    log.ended ||= ends;
  }
}

function unpadded({ flags, payload }: Frame): Buffer {
  return flags & Flag.padded ? payload.subarray(1, payload.length - (payload[0] ?? 0)) : payload;
}

function unprioritised(one: Frame): Buffer {
  const bytes = unpadded(one);
  return one.flags & Flag.priority ? bytes.subarray(5) : bytes;
}

export interface ClientOptions extends WireOptions {
  readonly tls?: tls.ConnectionOptions;
  /** In the place of preface and SETTINGS. */
  readonly begin?: readonly Buffer[];
}

/** A client's connection to 127.0.0.1, its preface and SETTINGS sent. */
export async function connectHttp2(t: TestContext, port: number, options: ClientOptions = {}): Promise<Http2Wire> {
  const target = { port, host: "127.0.0.1", allowHalfOpen: true };
  const secure = options.tls;
  const socket =
    secure === undefined
      ? net.connect(target)
      : tls.connect({ ...target, rejectUnauthorized: false, ALPNProtocols: ["h2"], ...secure });
  const wire = new Http2Wire(socket, false, options);
  t.after(() => wire.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once(secure === undefined ? "connect" : "secureConnect", resolve);
    socket.once("error", reject);
  });
  wire.write(...(options.begin ?? [PREFACE, settings([Setting.headerTableSize, 0])]));
  return wire;
}

export interface ServerOptions extends WireOptions {
  /** In the place of empty SETTINGS, sent as soon as a connection stands. */
  readonly begin?: readonly Buffer[];
  /** Called with each connection. */
  readonly onWire?: (wire: Http2Wire, index: number) => void;
  /** Called once the head of a request has come whole. */
  readonly onRequest?: (stream: StreamLog, wire: Http2Wire) => void;
}

/** A server on a port of its own that does only what the test says. */
export class Http2Upstream {
  readonly wires: Http2Wire[] = [];
  readonly port: number;
  /** Streams of all connections in the order in which their heads came. */
  readonly requests: StreamLog[] = [];

  private constructor(server: net.Server, options: ServerOptions) {
    this.port = (server.address() as net.AddressInfo).port;
    server.on("connection", (socket) => {
      const wire = new Http2Wire(socket, true, options);
      const index = this.wires.push(wire) - 1;
      const seen = new Set<number>();
      wire.onFrame = ({ stream }) => {
        const log = wire.streams.get(stream);
        if (log === undefined || log.heads.length === 0 || seen.has(stream)) return;
        seen.add(stream);
        this.requests.push(log);
        options.onRequest?.(log, wire);
      };
      options.onWire?.(wire, index);
      wire.write(...(options.begin ?? [settings()]));
    });
  }

  /** Ended with the test. */
  static async start(t: TestContext, options: ServerOptions = {}): Promise<Http2Upstream> {
    const server = net.createServer({ allowHalfOpen: false });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const upstream = new Http2Upstream(server, options);
    t.after(() => {
      for (const wire of upstream.wires) wire.destroy();
      server.close();
    });
    return upstream;
  }

  /** Connection number `index`, waited for. */
  async wire(index = 0): Promise<Http2Wire> {
    await until(() => this.wires.length > index);
    return this.wires[index] as Http2Wire;
  }

  /** Request number `index` of all, waited for. */
  async request(index = 0): Promise<StreamLog> {
    await until(() => this.requests.length > index);
    return this.requests[index] as StreamLog;
  }
}
