/** One opaque connection as a stream of a connection between two sidecars, to be used as a socket is. */
import type { Socket } from "node:net";
import type { ByteEnd } from "../byte-end.ts";
import type { Http2Connection } from "./connection.ts";
import { OpaqueEnd } from "./opaque-protocol.ts";
import { Http2Stream, StreamEnd } from "./stream.ts";

/** Who opens streams, or takes them. */
export interface OpaqueOpening {
  /** The peer's head has come: the connection stands. */
  onOpen(stream: OpaqueStream): void;
  /** The stream is over before it stood. `again`: it was not refused for what it is. */
  onRefused(again: boolean, detail: string): void;
}

/** A frame that is cut up by TLS records comes in two parts, of which one is at least so long. */
const FULL_PART = 4096;

export class OpaqueStream extends Http2Stream implements ByteEnd {
  readonly copies = true;
  readonly shared = true;
  readonly fleeting = false;
  readonly fullPiece = FULL_PART;
  broken = false;
  ended = false;
  /** null: it stands, or never will. */
  #opening: OpaqueOpening | null;
  #onBytes: ((bytes: Buffer) => void) | null = null;
  #onEnd: (() => void) | null = null;
  #onWritten: (() => void) | null = null;
  #watchers: (() => void)[] = [];
  /** To be closed once all has been sent. */
  #closing = false;
  #gone = false;

  constructor(id: number, connection: Http2Connection, opening: OpaqueOpening) {
    super(id, connection);
    this.#opening = opening;
    // What comes before somebody reads is held.
    this.pauseReading();
  }

  get socket(): Socket {
    return this.connection.socket;
  }

  get destroyed(): boolean {
    return this.#gone;
  }

  get waiting(): boolean {
    return this.#onWritten !== null;
  }

  read(onBytes: (bytes: Buffer) => void, onEnd: () => void): void {
    this.#onBytes = onBytes;
    this.#onEnd = onEnd;
    this.resumeReading();
  }

  pause(): void {
    this.pauseReading();
  }

  resume(): void {
    this.resumeReading();
  }

  write(bytes: Buffer, onWritten: () => void): void {
    if (!this.send(bytes)) this.#onWritten = onWritten;
  }

  end(): void {
    this.sendEnding(null);
  }

  destroy(): void {
    if (this.#gone) return;
    // What waits for room is lost, which an end would deny.
    if (this.hasPending) this.reset();
    else {
      this.end();
      this.#close(OpaqueEnd.closed);
    }
  }

  destroySoon(): void {
    if (this.#gone) return;
    this.#closing = true;
    if (this.localEnded) this.destroy();
    else this.end();
  }

  override reset(code: number = OpaqueEnd.broken): void {
    this.#close(code);
  }

  watch(onClosed: () => void): void {
    if (this.#gone) queueMicrotask(onClosed);
    else this.#watchers.push(onClosed);
  }

  onHeaders(endStream: boolean): void {
    const opening = this.#opening;
    if (opening !== null) {
      this.#opening = null;
      this.headSeen = true;
      opening.onOpen(this);
    }
    if (endStream && !this.closed) this.receiveEnd(null);
  }

  protected deliver(bytes: Buffer): void {
    this.#onBytes?.(bytes);
  }

  protected deliverEnd(): void {
    this.ended = true;
    this.#onEnd?.();
    this.#settle();
  }

  protected deliverWritable(): void {
    const onWritten = this.#onWritten;
    this.#onWritten = null;
    onWritten?.();
  }

  protected override onLocalEnd(): void {
    if (this.#closing) this.destroy();
    else this.#settle();
  }

  /** What has come whole is not lost by a reset behind it. */
  override get isWhole(): boolean {
    return this.holdsEnd;
  }

  override stopSending(): void {
    super.stopSending();
    this.#onWritten = null;
    this.#settle();
  }

  onReset(end: StreamEnd, code: number, detail: string): void {
    const opening = this.#opening;
    if (opening !== null) {
      this.#opening = null;
      this.#gone = true;
      opening.onRefused(code === OpaqueEnd.refused || end !== StreamEnd.reset, detail);
      return;
    }
    this.broken = end !== StreamEnd.reset || code !== OpaqueEnd.closed;
    this.#settle();
  }

  #close(code: number): void {
    if (!this.closed) this.connection.resetStream(this, code);
    this.#settle();
  }

  /** Tells, once, that nothing goes or comes any more. */
  #settle(): void {
    if (this.#gone || !(this.closed || (this.localEnded && this.ended))) return;
    this.#gone = true;
    for (const onClosed of this.#watchers) queueMicrotask(onClosed);
    this.#watchers = [];
  }
}
