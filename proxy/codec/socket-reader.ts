/**
 * Reading a socket without Node's stream in between: bytes land in one buffer that all plaintext connections share, and
 * are handled before the call returns. It saves an allocation, a `push` and two ticks per read, a seventh of what a
 * request costs (docs/decisions/0019-reading-into-one-buffer.md). Node offers this as `onread` where a socket is made;
 * here sockets are made already, by servers and TLS, so the same fields are set afterwards. Where they can't be found the
 * usual `data` event serves.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** libuv reads up to 64 KiB at once, TLS hands on up to one record of 16 KiB. */
const READ_SIZE = 65_536;
const RECORD_SIZE = 16_384;

/** Reads of this size are a body's: the next one goes to a buffer of its own, which is passed on without copying. */
const LARGE = 8192;

const landing = Buffer.allocUnsafeSlow(READ_SIZE);

/** Node's fields of a socket that was made with `onread`. */
interface Fields {
  readonly buffer: symbol;
  readonly callback: symbol;
  /** Called after each read for the buffer of the next; undefined keeps the one in use. */
  readonly next: symbol;
}

interface Internals {
  readonly _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null;
  [field: symbol]: unknown;
}

let fields: Fields | null | undefined;

/** The fields are own properties of every socket, null where it has no such buffer. */
function findFields(socket: Socket): Fields | null {
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string): symbol | undefined => symbols.find((symbol) => symbol.description === name);
  const buffer = named("kBuffer");
  const callback = named("kBufferCb");
  const next = named("kBufferGen");
  return buffer && callback && next ? { buffer, callback, next } : null;
}

/**
 * Gives `onBytes` everything that arrives from now on. The bytes are valid until it returns: whoever keeps them takes
 * `owned(bytes)`. `pause` and `resume` of the socket work as ever, and so does its `end`.
 */
export function readSocket(socket: Socket, onBytes: (bytes: Buffer) => void): void {
  const internals = socket as unknown as Internals;
  if (fields === undefined) fields = findFields(socket);
  const handle = internals._handle;
  if (fields === null || !handle || typeof handle.useUserBuffer !== "function" || internals[fields.buffer] !== null) {
    socket.on("data", onBytes);
    return;
  }
  // A write to a TLS socket may decrypt more of what it has received, into the very same buffer: its bytes are moved out
  // before anything else happens. A plaintext socket is only read by the event loop.
  const encrypted = socket instanceof TLSSocket;
  const largest = encrypted ? RECORD_SIZE : READ_SIZE;
  /** The buffer that the handle reads into, while it is not the shared one. */
  let own: Buffer | null = null;
  let large = false;
  internals[fields.buffer] = landing;
  internals[fields.callback] = (count: number): boolean => {
    const bytes = (own ?? landing).subarray(0, count);
    large = count >= LARGE;
    onBytes(encrypted && own === null ? Buffer.from(bytes) : bytes);
    return true;
  };
  internals[fields.next] = (): Buffer | undefined => {
    if (large) {
      own = Buffer.allocUnsafeSlow(largest);
      return own;
    }
    if (own === null) return undefined;
    own = null;
    return landing;
  };
  handle.useUserBuffer(landing);
  // What came before stays where the stream has put it.
  for (let early = socket.read() as Buffer | null; early !== null; early = socket.read() as Buffer | null)
    onBytes(early);
  socket.resume();
}

/** The same bytes, fit to be kept. */
export function owned(bytes: Buffer): Buffer {
  return bytes.buffer === landing.buffer ? Buffer.from(bytes) : bytes;
}
