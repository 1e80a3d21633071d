/**
 * One stream's body both ways (RFC 9113, sections 5 and 6.9), the same for either side: what may be sent now and what
 * waits for a window, what has come and is held because its reader is slow.
 */
import type { HeaderMap } from "../../../core/header-map.ts";
import { ByteQueue } from "../byte-queue.ts";
import type { Http2Connection } from "./connection.ts";
import type { ReceiveWindow } from "./receive-window.ts";

/** Why a stream ends before both of its sides have. */
export const StreamEnd = {
  /** The peer reset it, or says by GOAWAY that it did not take it. */
  reset: 0,
  /** The peer broke the protocol on it, and we reset it. */
  error: 1,
  /** Its connection ended. */
  closed: 2,
  /** The peer broke the protocol on its connection, which we ended. */
  failed: 3,
} as const;

export type StreamEnd = (typeof StreamEnd)[keyof typeof StreamEnd];

export abstract class Http2Stream {
  /** 0: not opened yet. */
  id: number;
  /** How much we may send; below zero after the peer has made its windows smaller. */
  sendWindow: number;
  /** What the peer may send. */
  readonly window: ReceiveWindow;
  /** END_STREAM has been written, or has come. */
  localEnded = false;
  remoteEnded = false;
  /** Nothing goes or comes any more. */
  closed = false;
  /** The peer's final head has come: content may follow. */
  headSeen = false;
  /** Bytes of content that the message's head announced and that have not come; -1: it announced none. */
  announced = -1;
  protected readonly connection: Http2Connection;
  /** Made when first needed: most streams never wait. */
  #pending: ByteQueue | null = null;
  /** What END_STREAM waits for behind `#pending`. */
  #endPending = false;
  #trailersPending: HeaderMap | null = null;
  /** The writer was told to stop. */
  #stopped = false;
  #paused = false;
  /** Bytes of `#held` that are being handed on. */
  #handing = 0;
  #held: ByteQueue | null = null;
  #endHeld = false;
  #trailersHeld: HeaderMap | null = null;
  /** Where the last frame of this stream lies, while it has not left. */
  #frameAt = -1;
  #frameGeneration = -1;

  constructor(id: number, connection: Http2Connection) {
    this.id = id;
    this.connection = connection;
    this.sendWindow = connection.peerInitialWindow;
    this.window = connection.flow.newWindow();
  }

  /** Hands content on; valid until it returns. */
  protected abstract deliver(bytes: Buffer): void;
  protected abstract deliverEnd(trailers: HeaderMap | null): void;
  /** The writer may go on. */
  protected abstract deliverWritable(): void;
  /** The stream is over before its time. `code`: the peer's, or ours if the peer broke the protocol. */
  abstract onReset(end: StreamEnd, code: number, detail: string): void;
  /** A header block of the peer's has come whole. */
  abstract onHeaders(endStream: boolean): void;

  // What is sent.

  /** Remembers where a frame was written that END_STREAM can still be added to. */
  wrote(generation: number, at: number): void {
    this.#frameGeneration = generation;
    this.#frameAt = at;
  }

  /** Sends content. False: stop until told that it goes on. */
  protected send(bytes: Buffer): boolean {
    if (this.closed || this.localEnded || bytes.length === 0) return true;
    const { connection } = this;
    let sent = 0;
    if (!this.hasPending) {
      sent = connection.flow.writeData(this, bytes);
      if ((sent === bytes.length && !connection.blocked) || this.closed) return true;
    }
    if (sent < bytes.length) {
      this.#pending ??= new ByteQueue();
      this.#pending.push(sent === 0 ? bytes : bytes.subarray(sent));
    }
    this.#stopped = true;
    connection.flow.awaitRoom(this);
    return false;
  }

  /** Ends our side, once all has been sent. */
  protected sendEnding(trailers: HeaderMap | null): void {
    if (this.closed || this.localEnded) return;
    if (this.hasPending) {
      this.#endPending = true;
      this.#trailersPending = trailers;
      return;
    }
    this.#end(trailers);
  }

  #end(trailers: HeaderMap | null): void {
    const { connection } = this;
    this.localEnded = true;
    if (trailers !== null) connection.heads.writeTrailers(this.id, trailers);
    else if (!connection.outbox.endStream(this.#frameGeneration, this.#frameAt)) connection.writeEmptyEnd(this);
    connection.closeIfEnded(this);
    this.onLocalEnd();
  }

  /** END_STREAM has been written. */
  protected onLocalEnd(): void {}

  /** Bytes that wait for room. */
  get hasPending(): boolean {
    return this.#pending !== null && this.#pending.length > 0;
  }

  /** Room has come: sends one frame's worth, so that others have their turn. True if there is no more to send. */
  pump(): boolean {
    const pending = this.#pending;
    if (pending !== null && pending.length > 0) {
      pending.consume(this.connection.flow.writeData(this, pending.peek(), true));
      if (pending.length > 0) return false;
    }
    if (this.#endPending) {
      this.#endPending = false;
      this.#end(this.#trailersPending);
    } else if (this.#stopped) {
      this.#stopped = false;
      this.deliverWritable();
    }
    return true;
  }

  // What comes.

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const held = this.#held;
    // Whoever is handed bytes may stop and go on before it returns.
    if (this.#handing > 0) return;
    while (held !== null && held.length > 0 && !this.#paused && !this.closed) {
      const bytes = held.peek();
      this.#handing = bytes.length;
      this.#handOn(bytes);
      // Disposed of meanwhile, it is empty.
      if (held.length > 0) held.consume(this.#handing);
      this.#handing = 0;
    }
    if (this.#endHeld && !this.#paused && !this.closed) {
      this.#endHeld = false;
      this.deliverEnd(this.#trailersHeld);
    }
  }

  /** Content has come, within the windows. */
  receive(bytes: Buffer): void {
    if (this.#paused || this.#handing > 0) {
      this.window.holdUp();
      this.#held ??= new ByteQueue();
      this.#held.push(bytes);
    } else this.#handOn(bytes);
  }

  #handOn(bytes: Buffer): void {
    const { length } = bytes;
    this.deliver(bytes);
    this.connection.flow.giveBack(this, length);
  }

  /** The peer's side ends. False: its content is not as long as announced. */
  receiveEnd(trailers: HeaderMap | null): boolean {
    if (this.announced > 0) return false;
    this.remoteEnded = true;
    if (this.#held !== null && this.#held.length > 0) {
      this.#endHeld = true;
      this.#trailersHeld = trailers;
    } else this.deliverEnd(trailers);
    this.connection.closeIfEnded(this);
    return true;
  }

  /** All has come from the peer, and some of it has not been handed on. */
  protected get holdsEnd(): boolean {
    return this.#endHeld;
  }

  /** Whether what is held is still good when the peer or the connection ends the stream. */
  get isWhole(): boolean {
    return false;
  }

  /** Nothing more can be sent; what is held is handed on as its reader takes it. */
  stopSending(): void {
    this.localEnded = true;
    this.#pending?.clear();
    this.#endPending = false;
  }

  /** Nothing of this stream is to be sent or handed on any more. */
  dispose(): void {
    this.closed = true;
    this.#pending?.clear();
    this.#endPending = false;
    const held = this.#held;
    if (held !== null && held.length > 0) {
      this.connection.flow.giveBack(null, held.length - this.#handing);
      held.clear();
    }
    this.#endHeld = false;
  }

  /** Gives the stream up and tells the peer why, unless both sides have ended. */
  protected reset(code: number): void {
    if (!this.closed) this.connection.resetStream(this, code);
  }
}
