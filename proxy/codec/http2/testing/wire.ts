/** A socket and its peer joined by a wire that the test moves by hand, any number of bytes at a time. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

/** As a socket's: with more than this on its way a write asks to wait. */
const HIGH_WATER = 16_384;

interface Written {
  readonly bytes: Buffer;
  readonly done: () => void;
}

export class WireSocket extends EventEmitter {
  /** Where its bytes arrive; null: what is moved is only kept in `moved`. */
  peer: WireSocket | null = null;
  /** What was moved while there was no peer. */
  moved = Buffer.alloc(0);
  writableLength = 0;
  writableEnded = false;
  destroyed = false;
  /** Each write reads a piece of what is on its way here, as one to a TLS socket may. */
  readsOnWrite = false;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 1;
  readonly #queue: Written[] = [];
  #needDrain = false;
  #toldEnd = false;
  #endsWhenEmpty = false;

  get socket(): Socket {
    return this as unknown as Socket;
  }

  write(bytes: Buffer, done: () => void = () => undefined): boolean {
    if (this.destroyed || this.writableEnded) throw new Error("a write after the end");
    this.#queue.push({ bytes: Buffer.from(bytes), done });
    this.writableLength += bytes.length;
    if (this.readsOnWrite) this.peer?.move(30_000);
    if (this.writableLength < HIGH_WATER) return true;
    this.#needDrain = true;
    return false;
  }

  end(): void {
    this.writableEnded = true;
  }

  destroySoon(): void {
    this.writableEnded = true;
    this.#endsWhenEmpty = true;
    if (this.#queue.length === 0) this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    for (const { done } of this.#queue.splice(0)) done();
    this.writableLength = 0;
    this.emit("close");
    this.#tellEnd();
  }

  /** Bytes from nowhere, between two writes. */
  inject(bytes: Buffer): void {
    if (!this.writableEnded) this.write(bytes);
  }

  /** Moves up to so many bytes of one write to the peer. False: there is nothing to move. */
  move(most: number): boolean {
    const first = this.#queue.shift();
    if (first === undefined) {
      if (this.writableEnded && !this.#toldEnd) {
        this.#tellEnd();
        return true;
      }
      return false;
    }
    const piece = first.bytes.subarray(0, most);
    const rest = first.bytes.subarray(piece.length);
    if (rest.length > 0) this.#queue.unshift({ bytes: rest, done: first.done });
    else first.done();
    this.writableLength -= piece.length;
    if (this.peer === null) this.moved = Buffer.concat([this.moved, piece]);
    else if (!this.peer.destroyed) this.peer.emit("data", piece);
    if (this.#needDrain && this.writableLength === 0 && !this.destroyed) {
      this.#needDrain = false;
      this.emit("drain");
    }
    if (this.#queue.length === 0 && this.#endsWhenEmpty) this.destroy();
    return true;
  }

  #tellEnd(): void {
    if (this.#toldEnd) return;
    this.#toldEnd = true;
    if (this.peer !== null && !this.peer.destroyed) this.peer.emit("end");
  }
}

/** Two sockets, each the other's peer. */
export function wirePair(): readonly [WireSocket, WireSocket] {
  const one = new WireSocket();
  const other = new WireSocket();
  one.peer = other;
  other.peer = one;
  return [one, other];
}

/** One frame as it was written: `type flags stream`, and its payload. */
export interface WrittenFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Moves all that waits to where nobody reads it, and cuts it into frames. `skip`: bytes before the first one. */
export function takeFrames(socket: WireSocket, skip = 0): readonly WrittenFrame[] {
  while (socket.peer === null && socket.writableLength > 0) socket.move(1_000_000);
  const bytes = socket.moved;
  socket.moved = Buffer.alloc(0);
  const frames: WrittenFrame[] = [];
  for (let at = skip; at < bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    const [type = 0, flags = 0] = bytes.subarray(at + 3, at + 5);
    frames.push({ type, flags, stream: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}
