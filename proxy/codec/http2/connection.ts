/**
 * One HTTP/2 connection, the same for either side (RFC 9113): which frame means what, to which stream, and how streams and
 * the connection end. Header blocks, windows and control frames have modules of their own; what a new stream means is for
 * the sides to say: `server-connection.ts`, `client-connection.ts`.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../../../core/clock.ts";
import type { Random } from "../../../core/random.ts";
import type { TimerWheel } from "../../../core/timer-wheel.ts";
import type { Http2Options } from "../../../model/http.ts";
import { readSocket } from "../socket-reader.ts";
import { type ControlFrameOwner, ControlFrames } from "./control-frames.ts";
import { ControlWriter } from "./control-writer.ts";
import { DataFrames, type DataOwner } from "./data-frames.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FlowControl } from "./flow-control.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { type HeaderBlockOwner, HeaderFrames } from "./header-frames.ts";
import type { HeadWriter } from "./heads.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { Keepalive } from "./keepalive.ts";
import { Outbox } from "./outbox.ts";
import { DEFAULT_MAX_FRAME, ErrorCode, errorName, FrameFlag, FrameType } from "./protocol.ts";
import { firstWindow } from "./receive-window.ts";
import { LocalSettings, type PeerSettings, readSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import { type Http2Stream, StreamEnd } from "./stream.ts";

export interface Http2ConnectionOptions {
  readonly http2: Http2Options;
  /** Bytes of a head's names and values. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  /** What an adaptive window of a stream begins with, bytes. Absent: as is usual for calls. */
  readonly firstWindow?: number;
}

export interface ConnectionTime {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
}

/** More frames than this waiting, and the peer is looked at closely. */
const MANY_UNSENT = 1000;

export abstract class Http2Connection implements FrameSink, HeaderBlockOwner, ControlFrameOwner, DataOwner {
  readonly socket: Socket;
  readonly outbox: Outbox;
  readonly flow: FlowControl;
  readonly heads: HeadWriter;
  protected readonly options: Http2ConnectionOptions;
  protected readonly stats: Http2Stats;
  protected readonly time: ConnectionTime;
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly flood: FloodGuard;
  protected readonly peer: PeerSettings;
  protected readonly keepalive: Keepalive | null;
  /** The highest stream that the peer has opened. */
  protected lastPeerStream = 0;
  /** The connection is over: nothing is read or written. */
  protected over = false;
  /** The peer has told its settings. */
  protected sawSettings = false;
  readonly #control: ControlWriter;
  readonly #local: LocalSettings;
  readonly #reader: FrameReader;
  readonly #headers: HeaderFrames;
  readonly #controls: ControlFrames;
  #reading = false;
  /** What came while earlier bytes were being read. */
  #next: Buffer[] | null = null;
  /** Streams that are given up unless they end by themselves in what is being read. */
  readonly #abandoned: { readonly stream: Http2Stream; readonly code: number }[] = [];

  constructor(
    socket: Socket,
    options: Http2ConnectionOptions,
    decoder: HpackDecoder,
    heads: (outbox: Outbox) => HeadWriter,
    peer: PeerSettings,
    stats: Http2Stats,
    time: ConnectionTime,
  ) {
    const { http2 } = options;
    this.socket = socket;
    this.options = options;
    this.peer = peer;
    this.stats = stats;
    this.time = time;
    this.outbox = new Outbox(socket);
    this.heads = heads(this.outbox);
    this.flood = new FloodGuard(http2, stats, time.clock);
    this.#control = new ControlWriter(this.outbox, stats);
    const first = options.firstWindow ?? firstWindow(http2.initialStreamWindowSize);
    this.flow = new FlowControl(http2, first, this.outbox, this.#control, this.flood, time.clock);
    this.#local = new LocalSettings(http2, first, decoder);
    this.#headers = new HeaderFrames(this, this.flood, options.maxHeadBytes);
    this.#controls = new ControlFrames(this, this.flood, this.flow);
    this.#reader = new FrameReader(this, new DataFrames(this, this.flood, this.flow));
    this.keepalive = http2.keepalive === null ? null : new Keepalive(http2.keepalive, time.wheel, time.random, this);
  }

  /**
   * Begins to write, and to read unless bytes are fed by somebody else; the subclass is complete now. `preface`: what goes
   * before everything.
   */
  protected start(settings: readonly (readonly [number, number])[], preface: string, fed: boolean): void {
    const { socket, outbox, stats } = this;
    const { clock } = this.time;
    stats.connections_total++;
    stats.connections_active++;
    if (preface !== "") {
      const buf = outbox.reserve(preface.length);
      buf.latin1Write(preface, outbox.at);
      outbox.advance(outbox.at + preface.length);
    }
    this.#local.write(outbox, settings);
    this.flow.start();
    if (!fed) {
      readSocket(socket, (bytes) => {
        clock.refresh();
        this.feed(bytes);
      });
    }
    socket.on("end", () => {
      clock.refresh();
      this.#onEnded("the peer closed the connection");
    });
    socket.on("drain", () => {
      outbox.unsent = 0;
      this.flow.pump();
    });
    socket.on("error", (error: Error) => this.#onEnded(error.message));
    socket.on("close", () => {
      clock.refresh();
      this.#onEnded("the connection was cut");
      stats.connections_active--;
      this.onSocketClosed();
    });
  }

  /** What the peer's streams start with. */
  get peerInitialWindow(): number {
    return this.peer.initialWindow;
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  get readsNoMore(): boolean {
    return this.over;
  }

  /** The socket is behind: nothing should be added. */
  get blocked(): boolean {
    return this.outbox.blocked;
  }

  /** A frame of a stream that does not exist yet; false: it has failed the connection. */
  protected abstract openByPeer(streamId: number): boolean;
  /** Decodes a header block; false: COMPRESSION_ERROR. `stream` is null where nobody wants it. */
  protected abstract decodeBlock(buf: Buffer, start: number, end: number, stream: Http2Stream | null): boolean;
  abstract onGoaway(lastStream: number, code: number, debug: string): void;
  /** The peer's limits have changed, or a stream has ended. */
  protected abstract onCapacity(): void;
  protected abstract onStreamGone(stream: Http2Stream): void;
  /** The connection is of no more use; streams have been told. */
  protected abstract onOver(): void;
  protected abstract onSocketClosed(): void;
  /** Whether a stream of that id can't have been opened yet. */
  abstract isIdle(streamId: number): boolean;

  /** Bytes from the peer. */
  feed(bytes: Buffer): void {
    if (this.#reading) {
      // A write to a TLS socket may bring more in the middle of this. First things first.
      this.#next ??= [];
      this.#next.push(Buffer.from(bytes));
      return;
    }
    this.keepalive?.onActivity();
    this.#reading = true;
    this.#reader.feed(bytes, 0);
    while (this.#next !== null) {
      const next = this.#next;
      this.#next = null;
      for (const more of next) this.#reader.feed(more, 0);
    }
    this.#reading = false;
    if (this.#abandoned.length === 0) return;
    for (const { stream, code } of this.#abandoned.splice(0)) {
      if (!stream.remoteEnded || !stream.localEnded) this.resetStream(stream, code);
    }
  }

  // Frames that come.

  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean {
    if (!this.sawSettings) {
      // RFC 9113, section 3.4: SETTINGS come first, from either side.
      if (type !== FrameType.settings || (flags & FrameFlag.ack) !== 0) {
        this.fail(ErrorCode.protocolError, "the first frame is not SETTINGS");
        return false;
      }
    }
    if (this.#headers.interruptedBy(type === FrameType.continuation, streamId)) {
      this.fail(ErrorCode.protocolError, "a header block is interrupted by another frame");
      return false;
    }
    if (length > DEFAULT_MAX_FRAME) {
      this.fail(ErrorCode.frameSizeError, "a frame is longer than SETTINGS_MAX_FRAME_SIZE allows");
      return false;
    }
    return true;
  }

  onFrame(type: number, flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    if (type === FrameType.headers) this.#headers.onHeaders(flags, streamId, buf, start, end);
    else if (type === FrameType.continuation) this.#headers.onContinuation(flags, streamId, buf, start, end);
    else this.#controls.onFrame(type, flags, streamId, buf, start, end);
  }

  findStream(streamId: number): Http2Stream | undefined {
    return this.streams.get(streamId);
  }

  onBlockStart(streamId: number): boolean {
    return this.streams.has(streamId) || !this.isIdle(streamId) || this.openByPeer(streamId);
  }

  /** A stream's header block comes in parts, which takes as long as the peer likes. */
  onBlockOpen(_streamId: number): void {}

  onBlock(streamId: number, endStream: boolean, refusal: number, buf: Buffer, start: number, end: number): void {
    const stream = this.streams.get(streamId) ?? null;
    // Even blocks that nobody wants change the table that later ones are read with.
    if (!this.decodeBlock(buf, start, end, stream)) {
      this.fail(ErrorCode.compressionError, "a header block can't be decoded");
      return;
    }
    if (stream === null) {
      if (!this.#control.hasReset(streamId)) {
        this.fail(ErrorCode.streamClosed, "HEADERS for a stream that has ended");
      }
    } else if (stream.remoteEnded) {
      this.fail(ErrorCode.streamClosed, "HEADERS after END_STREAM");
    } else if (refusal !== 0) this.streamError(stream, refusal, "a stream depends on itself");
    else stream.onHeaders(endStream);
  }

  onLateData(streamId: number): void {
    // What was on its way when we reset the stream is no offence.
    if (!this.#control.hasReset(streamId)) this.writeReset(streamId, ErrorCode.streamClosed);
  }

  onReadError(code: number, message: string): void {
    this.fail(code, message);
  }

  onRstStream(stream: Http2Stream | undefined, code: number): void {
    const premature = stream !== undefined && !stream.localEnded;
    if (stream !== undefined) {
      this.stats.rx_reset++;
      if (stream.isWhole) {
        stream.stopSending();
        this.#remove(stream);
      } else {
        this.dropStream(stream);
        stream.onReset(StreamEnd.reset, code, `the peer reset the stream: ${errorName(code)}`);
      }
    }
    this.onPeerReset(premature);
  }

  /** An RST_STREAM came; `premature`: its stream had not been answered. */
  protected onPeerReset(_premature: boolean): void {}

  onSettingsAck(): void {
    this.#local.onAcknowledged();
  }

  onSettings(buf: Buffer, start: number, end: number): void {
    this.sawSettings = true;
    const before = this.peer.initialWindow;
    const refused = readSettings(buf, start, end, this.peer);
    if (refused !== null) {
      this.fail(refused.code, refused.message);
      return;
    }
    this.heads.setTableSize(this.peer.headerTableSize);
    this.#control.settingsAck();
    if (!this.flow.changeInitial(this.streams.values(), this.peer.initialWindow - before)) {
      this.fail(ErrorCode.flowControlError, "SETTINGS make a stream's window too large");
      return;
    }
    this.onCapacity();
  }

  onPing(buf: Buffer, start: number): void {
    this.#control.pingAck(buf, start);
    this.#checkUnsent();
  }

  /** The peer does not answer. */
  onKeepaliveTimeout(): void {
    this.stats.keepalive_timeout++;
    this.fail(ErrorCode.noError, "the peer does not answer PING");
    // What such a peer has not taken would keep the socket for ever.
    this.socket.destroy();
  }

  floods(offence: string): boolean {
    if (offence === "") return false;
    this.fail(ErrorCode.enhanceYourCalm, offence);
    return true;
  }

  #checkUnsent(): void {
    if (this.outbox.unsent > MANY_UNSENT && this.blocked) this.floods(this.flood.onUnsent(this.outbox.unsent));
  }

  // Frames that go.

  writeEmptyEnd(stream: Http2Stream): void {
    this.outbox.frame(FrameType.data, FrameFlag.endStream, stream.id, 0);
  }

  /** Ends a stream, which need not exist here, by a frame alone. */
  writeReset(streamId: number, code: number): void {
    if (this.over) return;
    this.#control.reset(streamId, code);
    this.#checkUnsent();
  }

  ping(number: number): void {
    if (!this.over) this.#control.ping(number);
  }

  protected writeGoaway(lastStream: number, code: number, debug: string): void {
    this.#control.goaway(lastStream, code, debug);
  }

  // Ends.

  /** Registers a stream that either side has opened. */
  protected register(stream: Http2Stream): void {
    this.streams.set(stream.id, stream);
    this.stats.streams_active++;
    this.stats.streams_total++;
    this.flood.streams++;
  }

  /** Both sides have ended: the stream is gone. */
  closeIfEnded(stream: Http2Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || this.streams.get(stream.id) !== stream) return;
    this.#remove(stream);
  }

  #remove(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return;
    this.flow.forget(stream);
    this.stats.streams_active--;
    this.onStreamGone(stream);
  }

  /** Takes a stream out; whoever has it is told by the caller. */
  protected dropStream(stream: Http2Stream): void {
    stream.dispose();
    this.#remove(stream);
  }

  /** Ends a stream whose owner is done with it, unless the peer's end of it comes in the bytes that are being read. */
  resetUnlessEnded(stream: Http2Stream, code: number): void {
    if (!this.#reading) this.resetStream(stream, code);
    else this.#abandoned.push({ stream, code });
  }

  /** Ends a stream of ours without a word to its owner, who knows. */
  resetStream(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    if (!stream.localEnded || !stream.remoteEnded) this.writeReset(stream.id, code);
    this.dropStream(stream);
  }

  /** The peer broke the protocol on a stream: it is reset, and its owner told. */
  streamError(stream: Http2Stream, code: number, detail: string): void {
    if (stream.closed) return;
    this.writeReset(stream.id, code);
    this.dropStream(stream);
    stream.onReset(StreamEnd.error, code, detail);
    this.onStreamError();
  }

  /** A stream was reset because of what the peer did. */
  protected onStreamError(): void {}

  /** A message is malformed (RFC 9113, section 8.1.1): its stream ends, and without Envoy's override the connection. */
  messageError(stream: Http2Stream, detail: string): void {
    this.stats.rx_messaging_error++;
    if (this.options.http2.streamErrorOnInvalidMessage) this.streamError(stream, ErrorCode.protocolError, detail);
    else this.fail(ErrorCode.protocolError, detail);
  }

  /** The peer broke the protocol: the connection ends. */
  fail(code: number, message: string): void {
    if (this.over) return;
    if (code !== ErrorCode.noError && code !== ErrorCode.enhanceYourCalm) this.stats.protocol_errors++;
    this.writeGoaway(this.lastPeerStream, code, message);
    const end = code === ErrorCode.noError ? StreamEnd.closed : StreamEnd.failed;
    this.#end(`${errorName(code)}: ${message}`, end, code);
    this.outbox.flush();
    this.closeSocket();
  }

  /** Closes in order once nothing is under way. */
  protected finish(): void {
    if (this.over) return;
    this.#end("", StreamEnd.closed, ErrorCode.noError);
    this.outbox.flush();
    this.closeSocket();
  }

  /** Everything has been written: the socket is closed. */
  protected abstract closeSocket(): void;

  #onEnded(detail: string): void {
    if (this.over) return;
    this.#end(detail, StreamEnd.closed, ErrorCode.noError);
    this.socket.end();
    this.socket.destroySoon();
  }

  /** No more frames: streams that are open are told. */
  #end(detail: string, end: StreamEnd, code: number): void {
    this.over = true;
    this.keepalive?.stop();
    this.flow.close();
    const open = [...this.streams.values()];
    this.streams.clear();
    this.stats.streams_active -= open.length;
    for (const stream of open) {
      if (stream.isWhole) stream.stopSending();
      else {
        stream.dispose();
        stream.onReset(end, code, detail);
      }
    }
    this.onOver();
  }
}
