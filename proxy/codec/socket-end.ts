/** A socket as an end of an opaque connection. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { ByteEnd } from "./byte-end.ts";
import { resetSocket } from "./reset.ts";
import { readInto } from "./socket-reader.ts";

/**
 * Where all connections are read into; what is encrypted leaves in pieces of this size, which cost less the larger. A
 * plaintext socket is only read by the event loop, one of TLS whenever something is written to it: they never share.
 */
const landing = Buffer.allocUnsafeSlow(262_144);
const decrypted = Buffer.allocUnsafeSlow(262_144);

/** TLS hands records over one by one; behind a full one there is nearly always another. */
const FULL_RECORD = 16_384;

export class SocketEnd implements ByteEnd {
  readonly socket: Socket;
  /** A write that TLS encrypts is done with the bytes when it returns. */
  readonly copies: boolean;
  readonly shared = false;
  readonly fleeting: boolean;
  readonly fullPiece: number;

  constructor(socket: Socket) {
    const isTls = socket instanceof TLSSocket;
    this.socket = socket;
    this.copies = isTls;
    this.fleeting = isTls;
    this.fullPiece = isTls ? FULL_RECORD : Infinity;
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  get broken(): boolean {
    return this.socket.errored !== null;
  }

  get ended(): boolean {
    return this.socket.readableEnded;
  }

  get waiting(): boolean {
    return this.socket.writableLength > 0;
  }

  read(onBytes: (bytes: Buffer) => void, onEnd: () => void): void {
    this.socket.on("end", onEnd);
    readInto(this.socket, this.fleeting ? decrypted : landing, onBytes);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  write(bytes: Buffer, onWritten: () => void): void {
    this.socket.write(bytes, onWritten);
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  destroySoon(): void {
    this.socket.destroySoon();
  }

  reset(): void {
    resetSocket(this.socket);
  }

  watch(onClosed: () => void): void {
    this.socket.on("error", ignore);
    if (this.socket.closed) queueMicrotask(onClosed);
    else this.socket.once("close", onClosed);
  }
}

function ignore(): void {}
