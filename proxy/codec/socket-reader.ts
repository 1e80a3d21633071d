/**
 * Reading a socket without Node's stream in between: bytes land in one buffer that all plaintext connections share, and
 * are handled before the call returns. It saves an allocation, a `push` and two ticks per read, a seventh of what a
 * request costs (docs/decisions/0019-reading-into-one-buffer.md). Node offers this as `onread` where a socket is made;
 * here sockets are made already, by servers and TLS, so the same fields are set afterwards. Where they can't be found the
 * usual `data` event serves.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { isTransient, releaseBlock, takeBlock } from "./blocks.ts";

/** libuv reads up to 64 KiB at once. */
const READ_SIZE = 65_536;

const landing = takeBlock().subarray(0, READ_SIZE);

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
  // A write to a TLS socket may decrypt more of what it has received, into the very same buffer: its bytes are moved out
  // before anything else happens. A plaintext socket is only read by the event loop.
  if (socket instanceof TLSSocket) readInto(socket, landing, (bytes) => moveOut(bytes, onBytes));
  else readInto(socket, landing, onBytes);
}

/**
 * As `readSocket`, into a buffer of the caller's: what it holds is lost with the next read of any socket that is read into
 * it, which a write to a TLS socket may bring about.
 */
export function readInto(socket: Socket, buffer: Buffer, onBytes: (bytes: Buffer) => void): void {
  const internals = socket as unknown as Internals;
  if (fields === undefined) fields = findFields(socket);
  const handle = internals._handle;
  if (fields === null || !handle || typeof handle.useUserBuffer !== "function" || internals[fields.buffer] !== null) {
    socket.on("data", onBytes);
    return;
  }
  internals[fields.buffer] = buffer;
  internals[fields.callback] = (count: number): boolean => {
    onBytes(buffer.subarray(0, count));
    return true;
  };
  handle.useUserBuffer(buffer);
  // What came before stays where the stream has put it.
  for (let early = socket.read() as Buffer | null; early !== null; early = socket.read() as Buffer | null)
    onBytes(early);
  socket.resume();
}

function moveOut(bytes: Buffer, onBytes: (bytes: Buffer) => void): void {
  const room = takeBlock();
  const count = bytes.copy(room);
  onBytes(room.subarray(0, count));
  releaseBlock(room);
}

/** Writes bytes that need not outlive the call. Returns false when the socket wants a pause. */
export function writeTransient(socket: Socket, bytes: Buffer): boolean {
  if (!isTransient(bytes)) return socket.write(bytes);
  const block = takeBlock();
  block.set(bytes);
  return socket.write(block.subarray(0, bytes.length), () => releaseBlock(block));
}
