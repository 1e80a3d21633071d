/**
 * The windows of one connection, both ways (RFC 9113, sections 5.2 and 6.9): what of its streams' content may leave now,
 * who waits for his turn, and when the peer gets room again.
 */
import type { EventClock } from "../../../core/clock.ts";
import type { Http2Options } from "../../../model/http.ts";
import type { ControlWriter } from "./control-writer.ts";
import type { FloodGuard } from "./flood-guard.ts";
import type { Outbox } from "./outbox.ts";
import {
  DEFAULT_MAX_FRAME,
  DEFAULT_WINDOW,
  FRAME_HEADER,
  FrameType,
  MAX_WINDOW,
  writeFrameHeader,
} from "./protocol.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { Http2Stream } from "./stream.ts";

/** The connection's window is given back when this part of it has been used. */
const GIVE_BACK_PART = 2;

export class FlowControl {
  readonly #streamWindow: number;
  readonly #firstWindow: number;
  readonly #connectionWindow: number;
  readonly #clock: EventClock;
  readonly #outbox: Outbox;
  readonly #control: ControlWriter;
  readonly #flood: FloodGuard;
  #sendWindow = DEFAULT_WINDOW;
  #receiveWindow: number;
  /** Content handed on, whose room on the connection has not been given back. */
  #consumed = 0;
  /** Streams that wait for windows or the socket. */
  readonly #waiting = new Set<Http2Stream>();
  #pumping = false;
  #closed = false;

  /** `firstWindow`: what streams begin with, as SETTINGS say. */
  constructor(
    options: Http2Options,
    firstWindow: number,
    outbox: Outbox,
    control: ControlWriter,
    flood: FloodGuard,
    clock: EventClock,
  ) {
    this.#firstWindow = firstWindow;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#control = control;
    this.#flood = flood;
    this.#streamWindow = options.initialStreamWindowSize;
    this.#connectionWindow = options.initialConnectionWindowSize;
    this.#receiveWindow = Math.max(DEFAULT_WINDOW, options.initialConnectionWindowSize);
  }

  /** Grants what the connection may have beyond the default; SETTINGS cannot (RFC 9113, section 6.9.2). */
  start(): void {
    const more = this.#receiveWindow - DEFAULT_WINDOW;
    if (more > 0) this.#control.windowUpdate(0, more);
  }

  // What is sent.

  /**
   * Writes content of a stream as far as the windows and the socket allow, at most one frame with `once`. Returns how many
   * bytes were written.
   */
  writeData(stream: Http2Stream, bytes: Buffer, once = false): number {
    const outbox = this.#outbox;
    let pos = 0;
    while (pos < bytes.length && !outbox.blocked) {
      const most = Math.min(bytes.length - pos, DEFAULT_MAX_FRAME);
      const buf = outbox.reserve(FRAME_HEADER + most);
      // To reserve may write, which may read: windows and the stream are only now what they are.
      const size = Math.min(most, this.#sendWindow, stream.sendWindow);
      if (size <= 0 || stream.closed) break;
      const { at } = outbox;
      writeFrameHeader(buf, at, size, FrameType.data, 0, stream.id);
      bytes.copy(buf, at + FRAME_HEADER, pos, pos + size);
      outbox.advance(at + FRAME_HEADER + size);
      stream.wrote(outbox.generation, at);
      this.#flood.dataSent++;
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      pos += size;
      if (once) break;
    }
    return pos;
  }

  /** The stream has more to send and is told when it can. */
  awaitRoom(stream: Http2Stream): void {
    this.#waiting.add(stream);
  }

  /** The stream is gone. */
  forget(stream: Http2Stream): void {
    this.#waiting.delete(stream);
  }

  /** The peer gives the connection room. False: more than a window can be. */
  grow(increment: number): boolean {
    this.#sendWindow += increment;
    if (this.#sendWindow > MAX_WINDOW) return false;
    this.pump();
    return true;
  }

  /** The peer gives a stream room. False: more than a window can be. */
  growStream(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) return false;
    if (stream.hasPending) {
      this.#waiting.add(stream);
      this.pump();
    }
    return true;
  }

  /** SETTINGS change the windows of all streams, below zero if they must (RFC 9113, section 6.9.2). False: beyond the limit. */
  changeInitial(streams: Iterable<Http2Stream>, change: number): boolean {
    if (change === 0) return true;
    for (const stream of streams) {
      stream.sendWindow += change;
      if (stream.sendWindow > MAX_WINDOW) return false;
      if (change > 0 && stream.hasPending) this.#waiting.add(stream);
    }
    if (change > 0) this.pump();
    return true;
  }

  /** One frame of each stream in turn, until the windows or the socket are full. */
  pump(): void {
    // What is read in the middle of a write may give room: whoever is at it goes on with it.
    if (this.#pumping) return;
    this.#pumping = true;
    this.#pumpWaiting();
    this.#pumping = false;
  }

  #pumpWaiting(): void {
    const waiting = this.#waiting;
    let moved = true;
    while (moved && waiting.size > 0) {
      moved = false;
      for (const stream of [...waiting]) {
        if (this.#outbox.blocked) return;
        if (stream.closed) waiting.delete(stream);
        else if (stream.hasPending && stream.sendWindow <= 0) {
          // Its own WINDOW_UPDATE brings it back.
          waiting.delete(stream);
        } else if (!stream.hasPending || this.#sendWindow > 0) {
          moved = true;
          // First: the writer that goes on may have to wait again.
          waiting.delete(stream);
          if (!stream.pump()) waiting.add(stream);
        }
      }
    }
  }

  // What comes.

  /** What a new stream grants the peer. */
  newWindow(): ReceiveWindow {
    return new ReceiveWindow(this.#streamWindow, this.#clock.now(), this.#firstWindow);
  }

  /** DATA with so many bytes, padding included, have come. False: beyond the connection's window. */
  take(bytes: number): boolean {
    this.#receiveWindow -= bytes;
    return this.#receiveWindow >= 0;
  }

  /** Content has been handed on: its room is the peer's again, in large pieces. `stream`: null if it is gone. */
  giveBack(stream: Http2Stream | null, bytes: number): void {
    if (this.#closed) return;
    this.#consumed += bytes;
    if (this.#consumed * GIVE_BACK_PART >= this.#connectionWindow) {
      this.#receiveWindow += this.#consumed;
      this.#control.windowUpdate(0, this.#consumed);
      this.#consumed = 0;
    }
    if (stream === null || stream.remoteEnded || stream.closed) return;
    const increment = stream.window.passOn(bytes, this.#clock.now());
    if (increment > 0) this.#control.windowUpdate(stream.id, increment);
  }

  /** The connection is over: nobody waits, and no room is given. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }
}
