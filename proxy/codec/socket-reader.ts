/**
 * Reading a socket without Node's stream in between: bytes land in one buffer that all plaintext connections share, and
 * are handled before the call returns. It saves an allocation, a `push` and two ticks per read, a seventh of what a
 * request costs (docs/decisions/0019-reading-into-one-buffer.md). Node offers this as `onread` where a socket is made;
 * here sockets are made already, by servers and TLS, so the same fields are set afterwards. Where they can't be found the
 * usual `data` event serves.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** libuv reads up to 64 KiB at once. */
const READ_SIZE = 65_536;

const landing = Buffer.allocUnsafeSlow(READ_SIZE);

/** Memory that is used again when a callback returns. */
const transient = new Set<ArrayBufferLike>([landing.buffer]);
const scratch: Buffer[] = [];

/**
 * Blocks for large writes, each back in the list once the kernel has taken it. Fresh memory for each would be counted
 * against V8's heap and bring on one full collection after another.
 */
const blocks: Buffer[] = [];
const MAX_FREE_BLOCKS = 64;

/** Node's fields of a socket that was made with `onread`. */
interface Fields {
  readonly buffer: symbol;
  readonly callback: symbol;
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
  return buffer && callback ? { buffer, callback } : null;
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
  internals[fields.buffer] = landing;
  internals[fields.callback] = (count: number): boolean => {
    if (encrypted) moveOut(count, onBytes);
    else onBytes(landing.subarray(0, count));
    return true;
  };
  handle.useUserBuffer(landing);
  // What came before stays where the stream has put it.
  for (let early = socket.read() as Buffer | null; early !== null; early = socket.read() as Buffer | null)
    onBytes(early);
  socket.resume();
}

function moveOut(count: number, onBytes: (bytes: Buffer) => void): void {
  let room = scratch.pop();
  if (room === undefined) {
    room = Buffer.allocUnsafeSlow(READ_SIZE);
    transient.add(room.buffer);
  }
  room.set(landing.subarray(0, count));
  onBytes(room.subarray(0, count));
  scratch.push(room);
}

/** The same bytes, fit to be kept. */
export function owned(bytes: Buffer): Buffer {
  return transient.has(bytes.buffer) ? Buffer.from(bytes) : bytes;
}

/** Writes bytes that need not outlive the call. Returns false when the socket wants a pause. */
export function writeTransient(socket: Socket, bytes: Buffer): boolean {
  if (!transient.has(bytes.buffer)) return socket.write(bytes);
  const block = blocks.pop() ?? Buffer.allocUnsafeSlow(READ_SIZE);
  block.set(bytes);
  return socket.write(block.subarray(0, bytes.length), () => {
    if (blocks.length < MAX_FREE_BLOCKS) blocks.push(block);
  });
}
