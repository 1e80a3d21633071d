/**
 * Bytes on raw sockets for tests: a slow and strict reader of HTTP/1 messages that shares nothing with the proxy's
 * codec, a client and an upstream that send exactly the bytes they are told to, at the moment they are told to.
 */
import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";

/** What comes at once on an idle machine may take a while on a busy one. */
export const PATIENCE_MS = 8000;

export interface Message {
  /** Start line. */
  readonly start: string;
  /** Field lines as they came, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Content, chunks joined. */
  readonly body: string;
  readonly trailers: readonly string[];
  readonly framing: "none" | "length" | "chunked" | "close";
}

/** The value of a field by its lower-case name; undefined if it is not there. */
export function field(message: Message, name: string): string | undefined {
  return message.fields.find(([key]) => key.toLowerCase() === name)?.[1];
}

export interface ReadOptions {
  /** The answer to HEAD, or whatever else has no body. */
  readonly noBody?: boolean;
  /** The connection has ended: a body without length is complete. */
  readonly ended?: boolean;
}

/** Reads one message from the front of `text` (latin1); null if it is not complete. Throws if it is malformed. */
export function readMessage(text: string, options: ReadOptions = {}): { message: Message; rest: string } | null {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return null;
  const [start = "", ...lines] = text.slice(0, head).split("\r\n");
  const fields = lines.map((line): [string, string] => {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (match === null) throw new Error(`malformed field line: ${JSON.stringify(line)}`);
    return [match[1] as string, match[2] as string];
  });
  const after = text.slice(head + 4);
  const all = (name: string): string[] => fields.filter(([key]) => key.toLowerCase() === name).map(([, v]) => v);
  const lengths = all("content-length");
  const codings = all("transfer-encoding");
  if (lengths.length + codings.length > 1) throw new Error(`ambiguous length: ${text.slice(0, head)}`);
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(start)?.[1];
  const bare = { start, fields, trailers: [] };
  if (options.noBody || status === "204" || status === "304" || status?.startsWith("1")) {
    return { message: { ...bare, body: "", framing: "none" }, rest: after };
  }
  if (codings.length === 1) {
    if (codings[0]?.toLowerCase() !== "chunked") throw new Error(`unknown coding ${codings[0]}`);
    const chunks = readChunks(after);
    return chunks && { message: { ...bare, ...chunks.content, framing: "chunked" }, rest: chunks.rest };
  }
  if (lengths.length === 1) {
    const length = Number(lengths[0]);
    if (!/^\d+$/.test(lengths[0] as string)) throw new Error(`bad length ${lengths[0]}`);
    if (after.length < length) return null;
    return { message: { ...bare, body: after.slice(0, length), framing: "length" }, rest: after.slice(length) };
  }
  if (status === undefined) return { message: { ...bare, body: "", framing: "none" }, rest: after };
  return options.ended ? { message: { ...bare, body: after, framing: "close" }, rest: "" } : null;
}

/** RFC 9112, section 7.1, to the letter; null if incomplete. */
export function readChunks(text: string): { content: { body: string; trailers: string[] }; rest: string } | null {
  let body = "";
  let at = 0;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return null;
    const size = /^([0-9A-Fa-f]{1,15})$/.exec(text.slice(at, line));
    if (size === null) throw new Error(`malformed chunk size: ${JSON.stringify(text.slice(at, line))}`);
    const length = Number.parseInt(size[1] as string, 16);
    at = line + 2;
    if (length === 0) break;
    if (text.length < at + length + 2) return null;
    body += text.slice(at, at + length);
    if (text.slice(at + length, at + length + 2) !== "\r\n") throw new Error("a chunk does not end with CRLF");
    at += length + 2;
  }
  const trailers: string[] = [];
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return null;
    const trailer = text.slice(at, line);
    at = line + 2;
    if (trailer === "") return { content: { body, trailers }, rest: text.slice(at) };
    trailers.push(trailer);
  }
}

/** Lets everything that is ready on other sockets of this process happen. */
export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** One end of a connection, with all that it has received. */
export class Wire {
  readonly socket: net.Socket;
  received = "";
  /** The peer has ended its side. */
  ended = false;
  closed = false;
  /** Code of the error that ended the connection. */
  error: string | null = null;

  /** Those who wait for something to happen here. */
  #waiting: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      this.#tell();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#tell();
    });
    socket.on("error", (error) => {
      this.error = (error as NodeJS.ErrnoException).code ?? error.message;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#tell();
    });
  }

  #tell(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves with whether `condition` came to hold before the time was up; looked at whenever something arrives. */
  async #until(condition: () => boolean, withinMs: number): Promise<boolean> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#tell();
    }, withinMs);
    while (!condition() && !late) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    clearTimeout(timer);
    return !late;
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Writes in two parts so far apart that the other side reads them one by one. */
  async writeSplit(text: string, at: number): Promise<void> {
    this.write(text.slice(0, at));
    await turns();
    this.write(text.slice(at));
  }

  /** Half-closes. */
  end(): void {
    this.socket.end();
  }

  /** Cuts the connection, with a reset where there is no TLS. */
  reset(): void {
    if (this.socket instanceof tls.TLSSocket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** The next message, taken off what was received. */
  async message(options: ReadOptions = {}, withinMs = PATIENCE_MS): Promise<Message> {
    const read = () => readMessage(this.received, { ...options, ended: this.ended });
    let found = read();
    await this.#until(() => {
      found = read();
      return found !== null || this.ended || this.closed;
    }, withinMs);
    if (found === null) {
      throw new Error(
        `no whole message, ${this.closed ? "closed" : "open"} ${this.error ?? ""}: ${JSON.stringify(this.received.slice(0, 300))}`,
      );
    }
    this.received = found.rest;
    return found.message;
  }

  /** Waits until `text` has come. */
  async receive(text: string): Promise<void> {
    await this.#until(() => this.received.includes(text) || this.closed, PATIENCE_MS);
    if (!this.received.includes(text)) {
      throw new Error(`expected ${JSON.stringify(text)}, got ${JSON.stringify(this.received)} ${this.error ?? ""}`);
    }
  }

  /** Waits until the peer has ended or cut the connection. */
  async gone(withinMs = PATIENCE_MS): Promise<void> {
    if (!(await this.#until(() => this.ended || this.closed, withinMs)))
      throw new Error("the connection is still open");
  }
}

/** A connection to this machine; with TLS whose server is not verified where `secure` says so. */
export async function connectTo(port: number, secure: tls.ConnectionOptions | null = null): Promise<Wire> {
  const target = { port, host: "127.0.0.1", allowHalfOpen: true };
  const socket =
    secure === null ? net.connect(target) : tls.connect({ ...target, rejectUnauthorized: false, ...secure });
  const wire = new Wire(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once(secure === null ? "connect" : "secureConnect", resolve);
    socket.once("error", reject);
  });
  return wire;
}

/** A server on a port of its own; what it does with a connection is the test's. */
export class Upstream {
  readonly #server: net.Server;
  readonly wires: Wire[] = [];
  /** Whole requests that `serve` has read, in order. */
  readonly requests: Message[] = [];
  /** Called with each connection. */
  onWire: (wire: Wire) => void = () => undefined;

  private constructor(server: net.Server) {
    this.#server = server;
    server.on(server instanceof tls.Server ? "secureConnection" : "connection", (socket) => {
      const wire = new Wire(socket);
      this.wires.push(wire);
      this.onWire(wire);
    });
  }

  /** Closed at the end of the test. */
  static async start(t: TestContext, secure: tls.TlsOptions | null = null): Promise<Upstream> {
    const options = { allowHalfOpen: true };
    const server = secure === null ? net.createServer(options) : tls.createServer({ ...options, ...secure });
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const upstream = new Upstream(server);
    t.after(() => upstream.close());
    return upstream;
  }

  /** An upstream that answers each whole request with the bytes that `answer` gives. */
  static async serving(t: TestContext, answer: (request: Message, wire: Wire) => string | null): Promise<Upstream> {
    const upstream = await Upstream.start(t);
    upstream.onWire = (wire) => {
      wire.socket.on("data", () => {
        for (;;) {
          const next = readMessage(wire.received);
          if (next === null) return;
          wire.received = next.rest;
          upstream.requests.push(next.message);
          const text = answer(next.message, wire);
          if (text !== null) wire.write(text);
        }
      });
      wire.socket.on("end", () => wire.end());
    };
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Connection number `index`, waited for. */
  async wire(index = 0): Promise<Wire> {
    await until(() => this.wires.length > index);
    return this.wires[index] as Wire;
  }

  /** Accepts no more and cuts what is open. */
  async close(): Promise<void> {
    for (const wire of this.wires) wire.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** `HTTP/1.1 200 OK` with a length and a body. */
export function ok(body: string, more = ""): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`;
}

/** Resolves once `condition` holds; rejects after `withinMs`. */
export async function until(condition: () => boolean, withinMs = PATIENCE_MS): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error("the condition did not come about in time");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
