/** The called side of a connection whose streams are opaque connections. */
import type { Socket } from "node:net";
import { WheelTimer } from "../../../core/timer-wheel.ts";
import { type ConnectionTime, Http2Connection } from "./connection.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { OPAQUE_OPTIONS, writeOpaqueHead } from "./opaque-protocol.ts";
import { type OpaqueOpening, OpaqueStream } from "./opaque-stream.ts";
import { Preface } from "./preface.ts";
import { ErrorCode, MAX_STREAM_ID, Setting } from "./protocol.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import type { Http2Stream } from "./stream.ts";
import { TextWriter } from "./text-writer.ts";

/** Who serves the streams. */
export interface OpaqueServerOwner {
  /** Whether streams are taken now; those that are refused go elsewhere. */
  readonly takesStreams: boolean;
  onStream(stream: OpaqueStream): void;
  /** The socket is closed; streams have been told. Never from inside the constructor. */
  onClosed(): void;
}

/** How long a connection that ends waits for its peer to read what was written, ms. */
const CLOSE_DELAY_MS = 1000;

export class OpaqueServerConnection extends Http2Connection implements OpaqueOpening {
  readonly #owner: OpaqueServerOwner;
  readonly #preface = new Preface();
  /** 0: serving; 1: the peer was asked to open no more; 2: what it opens is refused. */
  #draining = 0;
  readonly #drainTimer = new WheelTimer(() => this.#refuseMore());
  #closeTimer: WheelTimer | null = null;

  constructor(socket: Socket, owner: OpaqueServerOwner, stats: Http2Stats, time: ConnectionTime) {
    const decoder = new HpackDecoder(0);
    super(socket, OPAQUE_OPTIONS, decoder, (outbox) => new TextWriter(outbox), new PeerSettings(1), stats, time);
    this.#owner = owner;
    this.start([[Setting.maxConcurrentStreams, OPAQUE_OPTIONS.http2.maxConcurrentStreams]], "", false);
  }

  override feed(bytes: Buffer): void {
    const rest = this.#preface.take(bytes);
    if (rest === null) this.fail(ErrorCode.protocolError, "the connection does not begin with the preface of HTTP/2");
    else if (rest.length > 0) super.feed(rest);
  }

  /**
   * Asks the peer to open no more streams. Those that it opens all the same are taken for `graceMs`, then refused; the
   * connection ends with its last stream.
   */
  drain(graceMs: number): void {
    if (this.#draining === 2 || this.over) return;
    if (graceMs <= 0) {
      this.#refuseMore();
      return;
    }
    if (this.#draining === 0) {
      this.#draining = 1;
      this.writeGoaway(MAX_STREAM_ID, ErrorCode.noError, "");
    } else if (this.#drainTimer.deadline - this.time.wheel.now() <= graceMs) return;
    this.time.wheel.arm(this.#drainTimer, graceMs);
  }

  #refuseMore(): void {
    if (this.#draining === 2 || this.over) return;
    this.#draining = 2;
    this.time.wheel.cancel(this.#drainTimer);
    this.writeGoaway(this.lastPeerStream, ErrorCode.noError, "");
    if (this.streams.size === 0) this.finish();
  }

  isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.lastPeerStream;
  }

  protected openByPeer(streamId: number): boolean {
    if (streamId % 2 === 0) {
      this.fail(ErrorCode.protocolError, "a client's stream has an even number");
      return false;
    }
    this.lastPeerStream = streamId;
    const full = this.streams.size >= OPAQUE_OPTIONS.http2.maxConcurrentStreams;
    if (this.#draining === 2 || full || !this.#owner.takesStreams) this.writeReset(streamId, ErrorCode.refusedStream);
    else this.register(new OpaqueStream(streamId, this, this));
    return true;
  }

  onOpen(stream: OpaqueStream): void {
    writeOpaqueHead(this.outbox, stream.id);
    this.#owner.onStream(stream);
  }

  /** Its caller has given it up before its head had come whole. */
  onRefused(): void {}

  /** Whatever fields a newer peer sends, none means anything here. */
  protected decodeBlock(): boolean {
    return true;
  }

  /** A server is told nothing by its client's GOAWAY that it would act upon. */
  onGoaway(): void {}

  protected onCapacity(): void {}

  protected onStreamGone(_stream: Http2Stream): void {
    if (this.#draining === 2 && this.streams.size === 0 && !this.over) this.finish();
  }

  protected closeSocket(): void {
    const { socket } = this;
    socket.end();
    this.#closeTimer ??= this.time.wheel.after(CLOSE_DELAY_MS, () => socket.destroy());
  }

  protected onOver(): void {
    this.time.wheel.cancel(this.#drainTimer);
  }

  protected onSocketClosed(): void {
    if (this.#closeTimer !== null) this.time.wheel.cancel(this.#closeTimer);
    this.#owner.onClosed();
  }
}
