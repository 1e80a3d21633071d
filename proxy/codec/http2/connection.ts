/**
 * One HTTP/2 connection, the same for either side (RFC 9113): settings, header blocks, windows, resets, PING and GOAWAY.
 * What a new stream means is for the sides to say: `server-connection.ts`, `client-connection.ts`.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../../../core/clock.ts";
import type { HeaderMap } from "../../../core/header-map.ts";
import type { TimerWheel } from "../../../core/timer-wheel.ts";
import type { Http2Options } from "../../../model/http.ts";
import { readSocket } from "../socket-reader.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { HeaderBlock } from "./header-block.ts";
import type { HeadWriter } from "./heads.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { Keepalive } from "./keepalive.ts";
import { Outbox } from "./outbox.ts";
import {
  DEFAULT_MAX_FRAME,
  DEFAULT_WINDOW,
  ErrorCode,
  errorName,
  FRAME_HEADER,
  FrameFlag,
  FrameType,
  MAX_WINDOW,
  readUint31,
  writeFrameHeader,
  writeUint32,
} from "./protocol.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { LocalSettings, PeerSettings, readSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import type { Http2Stream } from "./stream.ts";

export interface Http2ConnectionOptions {
  readonly http2: Http2Options;
  /** Bytes of a header list, by RFC 9113's count (section 6.5.2). */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export interface ConnectionTime {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
}

/** Streams that we have reset: what the peer had sent before it knew is no offence of its. */
const MAX_REMEMBERED_RESETS = 1000;

/** A window is given back when this part of it has been used. */
const GIVE_BACK_PART = 2;

export abstract class Http2Connection implements FrameSink {
  readonly socket: Socket;
  readonly outbox: Outbox;
  protected readonly options: Http2ConnectionOptions;
  protected readonly stats: Http2Stats;
  protected readonly time: ConnectionTime;
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly flood: FloodGuard;
  protected readonly peer = new PeerSettings();
  readonly heads: HeadWriter;
  /** The highest stream that the peer has opened. */
  protected lastPeerStream = 0;
  /** The connection is over: nothing is read or written. */
  protected over = false;
  readonly #local: LocalSettings;
  readonly #reader: FrameReader;
  readonly #block: HeaderBlock;
  protected readonly keepalive: Keepalive | null;
  /** The peer has told its settings. */
  protected sawSettings = false;
  #sendWindow = DEFAULT_WINDOW;
  #receiveWindow: number;
  #consumed = 0;
  /** The stream whose DATA is being read; null: nobody wants it. */
  #dataStream: Http2Stream | null = null;
  #dataEnds = false;
  #reading = false;
  /** Streams that are given up unless they end by themselves in what is being read. */
  readonly #abandoned: { readonly stream: Http2Stream; readonly code: number }[] = [];
  readonly #waiting = new Set<Http2Stream>();
  readonly #reset = new Set<number>();
  #goawaySent = -1;

  constructor(
    socket: Socket,
    options: Http2ConnectionOptions,
    decoder: HpackDecoder,
    heads: (outbox: Outbox) => HeadWriter,
    stats: Http2Stats,
    time: ConnectionTime,
  ) {
    const { http2 } = options;
    this.socket = socket;
    this.options = options;
    this.stats = stats;
    this.time = time;
    this.outbox = new Outbox(socket);
    this.heads = heads(this.outbox);
    this.flood = new FloodGuard(http2, stats, time.clock);
    this.#receiveWindow = http2.initialConnectionWindowSize;
    this.#local = new LocalSettings(http2, decoder);
    this.#block = new HeaderBlock(options.maxHeadBytes);
    this.#reader = new FrameReader(this);
    this.keepalive = http2.keepalive === null ? null : new Keepalive(http2.keepalive, time.wheel, this);
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
    const more = this.#receiveWindow - DEFAULT_WINDOW;
    if (more > 0) this.#writeWindowUpdate(0, more);
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
      this.#pump();
    });
    socket.on("error", (error: Error) => this.#onEnded(error.message));
    socket.on("close", () => {
      clock.refresh();
      this.#onEnded("the connection was cut");
      stats.connections_active--;
      this.onSocketClosed();
    });
  }

  /** The window of a new stream of this connection. */
  newWindow(): ReceiveWindow {
    return new ReceiveWindow(this.options.http2.initialStreamWindowSize, this.time.clock.now());
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
  protected abstract onGoaway(lastStream: number, code: number, debug: string): void;
  /** The peer's limits have changed, or a stream has ended. */
  protected abstract onCapacity(): void;
  protected abstract onStreamGone(stream: Http2Stream): void;
  /** The connection is of no more use; streams have been told. */
  protected abstract onOver(): void;
  protected abstract onSocketClosed(): void;
  /** Whether a stream of that id can't have been opened yet. */
  protected abstract isIdle(streamId: number): boolean;

  /** Bytes from the peer. */
  feed(bytes: Buffer): void {
    this.keepalive?.onActivity();
    this.#reading = true;
    this.#reader.feed(bytes, 0);
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
    if (this.#block.open && (type !== FrameType.continuation || streamId !== this.#block.streamId)) {
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
    switch (type) {
      case FrameType.headers:
        this.#onHeaders(flags, streamId, buf, start, end);
        break;
      case FrameType.continuation:
        this.#onContinuation(flags, streamId, buf, start, end);
        break;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, buf, start, end);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, buf, start, end);
        break;
      case FrameType.settings:
        this.#onSettings(flags, streamId, buf, start, end);
        break;
      case FrameType.ping:
        this.#onPing(flags, streamId, buf, start, end);
        break;
      case FrameType.goaway:
        if (streamId !== 0) this.fail(ErrorCode.protocolError, "GOAWAY is for a stream");
        else if (end - start < 8) this.fail(ErrorCode.frameSizeError, "GOAWAY is too short");
        else {
          const code = buf.readUInt32BE(start + 4);
          this.onGoaway(readUint31(buf, start), code, buf.toString("latin1", start + 8, Math.min(end, start + 136)));
        }
        break;
      case FrameType.priority:
        this.#onPriority(streamId, buf, start, end);
        break;
      case FrameType.pushPromise:
        this.fail(ErrorCode.protocolError, "PUSH_PROMISE was not allowed");
        break;
      default:
        // RFC 9113, section 5.5: frames of unknown types are ignored.
        break;
    }
  }

  #onHeaders(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if (streamId === 0) {
      this.fail(ErrorCode.protocolError, "HEADERS are for no stream");
      return;
    }
    if ((flags & FrameFlag.padded) !== 0) {
      if (from === to) {
        this.fail(ErrorCode.frameSizeError, "padded HEADERS have no payload");
        return;
      }
      to -= buf[from++] as number;
    }
    let dependsOnItself = false;
    if ((flags & FrameFlag.priority) !== 0) {
      if (to - from < 5) {
        this.fail(ErrorCode.frameSizeError, "HEADERS are too short for their priority");
        return;
      }
      dependsOnItself = readUint31(buf, from) === streamId;
      from += 5;
    }
    if (to < from) {
      this.fail(ErrorCode.protocolError, "the padding of HEADERS is longer than their payload");
      return;
    }
    const endStream = (flags & FrameFlag.endStream) !== 0;
    this.flood.onHeaders();
    if (this.#floods(this.flood.onPayload(end === start && !endStream))) return;
    const stream = this.streams.get(streamId);
    if (stream === undefined && this.isIdle(streamId) && !this.openByPeer(streamId)) return;
    this.#block.begin(streamId, endStream, dependsOnItself ? ErrorCode.protocolError : 0);
    this.#blockPart(flags, buf, from, to);
  }

  #onContinuation(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    if (!this.#block.open || this.#block.streamId !== streamId) {
      this.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
      return;
    }
    const last = (flags & FrameFlag.endHeaders) !== 0;
    if (this.#floods(this.flood.onContinuation() || this.flood.onPayload(start === end && !last))) return;
    this.#blockPart(flags, buf, start, end);
  }

  #blockPart(flags: number, buf: Buffer, start: number, end: number): void {
    const block = this.#block;
    if ((flags & FrameFlag.endHeaders) === 0) {
      if (!block.add(buf, start, end)) {
        this.stats.header_overflow++;
        this.fail(ErrorCode.enhanceYourCalm, "a header block is too long");
      }
      return;
    }
    if (block.length === 0) {
      this.#onBlock(buf, start, end);
      return;
    }
    if (!block.add(buf, start, end)) {
      this.stats.header_overflow++;
      this.fail(ErrorCode.enhanceYourCalm, "a header block is too long");
      return;
    }
    const whole = block.take();
    this.#onBlock(whole, 0, whole.length);
  }

  #onBlock(buf: Buffer, start: number, end: number): void {
    const { streamId, endStream, refusal } = this.#block;
    this.#block.close();
    const stream = this.streams.get(streamId) ?? null;
    // Even blocks that nobody wants change the table that later ones are read with.
    if (!this.decodeBlock(buf, start, end, stream)) {
      this.fail(ErrorCode.compressionError, "a header block can't be decoded");
      return;
    }
    if (stream === null) {
      if (!this.#reset.has(streamId)) this.fail(ErrorCode.streamClosed, "HEADERS for a stream that has ended");
    } else if (stream.remoteEnded) {
      this.fail(ErrorCode.streamClosed, "HEADERS after END_STREAM");
    } else if (refusal !== 0) this.streamError(stream, refusal, "a stream depends on itself");
    else stream.onHeaders(endStream);
  }

  onDataStart(flags: number, streamId: number, length: number): void {
    const endStream = (flags & FrameFlag.endStream) !== 0;
    this.#dataEnds = endStream;
    this.#dataStream = null;
    if (streamId === 0) {
      this.fail(ErrorCode.protocolError, "DATA are for no stream");
      return;
    }
    if (this.#floods(this.flood.onPayload(length === 0 && !endStream))) return;
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      this.fail(ErrorCode.flowControlError, "DATA beyond the connection's window");
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.remoteEnded) {
      if (this.isIdle(streamId)) this.fail(ErrorCode.protocolError, "DATA for a stream that was never opened");
      else if (stream !== undefined) this.streamError(stream, ErrorCode.streamClosed, "DATA after END_STREAM");
      else if (!this.#reset.has(streamId)) this.writeReset(streamId, ErrorCode.streamClosed);
      return;
    }
    stream.window.left -= length;
    if (stream.window.left < 0) {
      this.streamError(stream, ErrorCode.flowControlError, "DATA beyond the stream's window");
      return;
    }
    this.#dataStream = stream;
  }

  onData(bytes: Buffer): void {
    const stream = this.#dataStream;
    const { length } = bytes;
    if (stream === null || stream.closed) {
      this.giveBack(null, length);
      return;
    }
    if (stream.announced >= 0) {
      stream.announced -= length;
      if (stream.announced < 0) {
        stream.announced = 0;
        this.giveBack(null, length);
        this.streamError(stream, ErrorCode.protocolError, "the content is longer than its content-length");
        return;
      }
    }
    stream.receive(bytes);
  }

  onDataEnd(padding: number): void {
    const stream = this.#dataStream;
    this.#dataStream = null;
    if (padding > 0) this.giveBack(stream, padding);
    if (this.#dataEnds && stream !== null && !stream.closed && !stream.receiveEnd(null)) {
      this.streamError(stream, ErrorCode.protocolError, "the content is shorter than its content-length");
    }
  }

  onReadError(code: number, message: string): void {
    this.fail(code, message);
  }

  #onPriority(streamId: number, buf: Buffer, start: number, end: number): void {
    if (streamId === 0) this.fail(ErrorCode.protocolError, "PRIORITY is for no stream");
    else if (end - start !== 5)
      this.#idOrStreamError(streamId, ErrorCode.frameSizeError, "PRIORITY has a wrong length");
    else if (readUint31(buf, start) === streamId) {
      this.#idOrStreamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    } else this.#floods(this.flood.onPriority());
  }

  /** A stream error for a stream that may not exist. */
  #idOrStreamError(streamId: number, code: number, message: string): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.streamError(stream, code, message);
    else if (this.isIdle(streamId)) this.fail(code, message);
    else this.writeReset(streamId, code);
  }

  #onRstStream(streamId: number, buf: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(ErrorCode.frameSizeError, "RST_STREAM has a wrong length");
      return;
    }
    if (streamId === 0 || this.isIdle(streamId)) {
      this.fail(ErrorCode.protocolError, "RST_STREAM for a stream that was never opened");
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    const code = buf.readUInt32BE(start);
    this.stats.rx_reset++;
    const premature = !stream.localEnded;
    this.#remove(stream);
    stream.dispose();
    stream.onReset(code, false, `the peer reset the stream: ${errorName(code)}`);
    if (premature) this.#floods(this.flood.onPrematureReset());
  }

  #onSettings(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    this.sawSettings = true;
    if (streamId !== 0) {
      this.fail(ErrorCode.protocolError, "SETTINGS are for a stream");
      return;
    }
    if ((flags & FrameFlag.ack) !== 0) {
      if (end !== start) this.fail(ErrorCode.frameSizeError, "an acknowledgement of SETTINGS has a payload");
      else this.#local.onAcknowledged();
      return;
    }
    if (this.#floods(this.flood.onControl())) return;
    const before = this.peer.initialWindow;
    const refused = readSettings(buf, start, end, this.peer);
    if (refused !== null) {
      this.fail(refused.code, refused.message);
      return;
    }
    this.heads.setTableSize(this.peer.headerTableSize);
    this.outbox.frame(FrameType.settings, FrameFlag.ack, 0, 0);
    const change = this.peer.initialWindow - before;
    if (change !== 0) {
      for (const stream of this.streams.values()) {
        stream.sendWindow += change;
        if (stream.sendWindow > MAX_WINDOW) {
          this.fail(ErrorCode.flowControlError, "SETTINGS make a stream's window too large");
          return;
        }
        if (change > 0 && stream.hasPending) this.#waiting.add(stream);
      }
      if (change > 0) this.#pump();
    }
    this.onCapacity();
  }

  #onPing(flags: number, streamId: number, buf: Buffer, start: number, end: number): void {
    if (streamId !== 0) this.fail(ErrorCode.protocolError, "PING is for a stream");
    else if (end - start !== 8) this.fail(ErrorCode.frameSizeError, "PING has a wrong length");
    else if ((flags & FrameFlag.ack) === 0 && !this.#floods(this.flood.onControl())) {
      const out = this.outbox.frame(FrameType.ping, FrameFlag.ack, 0, 8);
      buf.copy(out.buf, out.at, start, end);
      this.#checkUnsent();
    }
  }

  /** The peer does not answer. */
  onKeepaliveTimeout(): void {
    this.stats.keepalive_timeout++;
    this.fail(ErrorCode.noError, "the peer does not answer PING");
  }

  #onWindowUpdate(streamId: number, buf: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(ErrorCode.frameSizeError, "WINDOW_UPDATE has a wrong length");
      return;
    }
    if (this.#floods(this.flood.onWindowUpdate())) return;
    const increment = readUint31(buf, start);
    if (streamId === 0) {
      this.#sendWindow += increment;
      if (increment === 0) this.fail(ErrorCode.protocolError, "WINDOW_UPDATE of nothing");
      else if (this.#sendWindow > MAX_WINDOW) this.fail(ErrorCode.flowControlError, "the window became too large");
      else this.#pump();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.fail(ErrorCode.protocolError, "WINDOW_UPDATE for a stream never opened");
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.streamError(stream, ErrorCode.protocolError, "WINDOW_UPDATE of nothing");
    else if (stream.sendWindow > MAX_WINDOW) {
      this.streamError(stream, ErrorCode.flowControlError, "the stream's window became too large");
    } else if (stream.hasPending) {
      this.#waiting.add(stream);
      this.#pump();
    }
  }

  #floods(offence: string): boolean {
    if (offence === "") return false;
    this.fail(ErrorCode.enhanceYourCalm, offence);
    return true;
  }

  #checkUnsent(): void {
    if (this.outbox.unsent > 1000 && this.blocked) this.#floods(this.flood.onUnsent(this.outbox.unsent));
  }

  // Frames that go.

  /**
   * Writes content of a stream as far as the windows and the socket allow, at most one frame with `once`. Returns the
   * offset up to which it was written.
   */
  writeData(stream: Http2Stream, bytes: Buffer, start: number, once = false): number {
    const { outbox } = this;
    let pos = start;
    while (pos < bytes.length && !outbox.blocked) {
      const size = Math.min(bytes.length - pos, DEFAULT_MAX_FRAME, this.#sendWindow, stream.sendWindow);
      if (size <= 0) break;
      const buf = outbox.reserve(FRAME_HEADER + size);
      const { at } = outbox;
      writeFrameHeader(buf, at, size, FrameType.data, 0, stream.id);
      bytes.copy(buf, at + FRAME_HEADER, pos, pos + size);
      outbox.advance(at + FRAME_HEADER + size);
      stream.wrote(outbox.generation, at);
      this.flood.dataSent++;
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      pos += size;
      if (once) break;
    }
    return pos;
  }

  writeEmptyEnd(stream: Http2Stream): void {
    this.outbox.frame(FrameType.data, FrameFlag.endStream, stream.id, 0);
  }

  writeTrailers(stream: Http2Stream, trailers: HeaderMap): void {
    this.heads.writeTrailers(stream.id, trailers);
  }

  /** The stream has more to send and is told when it can. */
  awaitRoom(stream: Http2Stream): void {
    this.#waiting.add(stream);
  }

  /** One frame of each stream in turn, until the windows or the socket are full. */
  #pump(): void {
    const waiting = this.#waiting;
    let moved = true;
    while (moved && waiting.size > 0) {
      moved = false;
      for (const stream of [...waiting]) {
        if (this.outbox.blocked) return;
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

  /** Content has been handed on: its room is the peer's again, in large pieces. `stream`: null if it is gone. */
  giveBack(stream: Http2Stream | null, bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed * GIVE_BACK_PART >= this.options.http2.initialConnectionWindowSize && !this.over) {
      this.#receiveWindow += this.#consumed;
      this.#writeWindowUpdate(0, this.#consumed);
      this.#consumed = 0;
    }
    if (stream === null || stream.remoteEnded || stream.closed) return;
    const increment = stream.window.passOn(bytes, this.time.clock.now());
    if (increment > 0) this.#writeWindowUpdate(stream.id, increment);
  }

  #writeWindowUpdate(streamId: number, increment: number): void {
    const { buf, at } = this.outbox.frame(FrameType.windowUpdate, 0, streamId, 4);
    writeUint32(buf, at, increment);
  }

  /** Ends a stream, which need not exist here, by a frame alone. */
  protected writeReset(streamId: number, code: number): void {
    if (this.over) return;
    const { buf, at } = this.outbox.frame(FrameType.rstStream, 0, streamId, 4);
    writeUint32(buf, at, code);
    this.stats.tx_reset++;
    this.#reset.add(streamId);
    if (this.#reset.size > MAX_REMEMBERED_RESETS) {
      for (const oldest of this.#reset) {
        this.#reset.delete(oldest);
        break;
      }
    }
    this.#checkUnsent();
  }

  ping(number: number): void {
    if (this.over) return;
    const { buf, at } = this.outbox.frame(FrameType.ping, 0, 0, 8);
    writeUint32(buf, at, 0);
    writeUint32(buf, at + 4, number);
  }

  protected writeGoaway(lastStream: number, code: number, debug: string): void {
    if (this.#goawaySent >= 0 && lastStream > this.#goawaySent) return;
    this.#goawaySent = lastStream;
    const text = Buffer.from(debug, "latin1");
    const { buf, at } = this.outbox.frame(FrameType.goaway, 0, 0, 8 + text.length);
    writeUint32(buf, at, lastStream);
    writeUint32(buf, at + 4, code);
    text.copy(buf, at + 8);
    this.stats.goaway_sent++;
  }

  // Ends.

  /** Both sides have ended: the stream is gone. */
  closeIfEnded(stream: Http2Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || this.streams.get(stream.id) !== stream) return;
    this.#remove(stream);
  }

  #remove(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return;
    this.#waiting.delete(stream);
    this.stats.streams_active--;
    this.onStreamGone(stream);
  }

  /** Takes a stream out that the peer knows nothing of. */
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
    stream.dispose();
    this.#remove(stream);
  }

  /** The peer broke the protocol on a stream: it is reset, and its owner told. */
  streamError(stream: Http2Stream, code: number, detail: string): void {
    if (stream.closed) return;
    this.writeReset(stream.id, code);
    stream.dispose();
    this.#remove(stream);
    stream.onReset(code, false, detail);
  }

  /** A message is malformed (RFC 9113, section 8.1.1): its stream ends, and without Envoy's override the connection. */
  messageError(stream: Http2Stream, detail: string): void {
    this.stats.rx_messaging_error++;
    if (this.options.http2.streamErrorOnInvalidMessage) this.streamError(stream, ErrorCode.protocolError, detail);
    else this.fail(ErrorCode.protocolError, detail);
  }

  /** The peer broke the protocol: the connection ends. */
  fail(code: number, message: string): void {
    if (this.over) return;
    this.writeGoaway(this.lastPeerStream, code, message);
    this.#end(`${errorName(code)}: ${message}`, ErrorCode.protocolError);
    this.outbox.flush();
    this.closeSocket();
  }

  /** Closes in order once nothing is under way. */
  protected finish(): void {
    if (this.over) return;
    this.#end("", ErrorCode.noError);
    this.outbox.flush();
    this.closeSocket();
  }

  /** Everything has been written: the socket is closed. */
  protected abstract closeSocket(): void;

  #onEnded(detail: string): void {
    if (this.over) return;
    this.#end(detail, ErrorCode.noError);
    this.socket.end();
    this.socket.destroySoon();
  }

  /** No more frames: streams that are open are told. `code`: what the connection failed of on our side, if it did. */
  #end(detail: string, code: number): void {
    this.over = true;
    this.keepalive?.stop();
    const open = [...this.streams.values()];
    this.streams.clear();
    this.#waiting.clear();
    this.stats.streams_active -= open.length;
    for (const stream of open) {
      stream.dispose();
      stream.onReset(code, true, detail);
    }
    this.onOver();
  }

  /** Registers a stream that either side has opened. */
  protected register(stream: Http2Stream): void {
    this.streams.set(stream.id, stream);
    this.stats.streams_active++;
    this.stats.streams_total++;
    this.flood.streams++;
  }
}
