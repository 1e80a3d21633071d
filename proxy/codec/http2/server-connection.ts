/** The server side of HTTP/2 on one accepted connection: streams become requests, and the connection ends in two steps. */
import type { Socket } from "node:net";
import { type TimerWheel, WheelTimer } from "../../../core/timer-wheel.ts";
import { Flag } from "../../../model/flags.ts";
import type { RequestHeadLimits } from "../http1/request-head.ts";
import type { DownstreamHandler, ServerConnection, ServerHandler, ServerTimes } from "../stream.ts";
import { type ConnectionTime, Http2Connection, type Http2ConnectionOptions } from "./connection.ts";
import type { HeadWriter, RequestReader } from "./heads.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { HpackWriter } from "./hpack-writer.ts";
import type { Outbox } from "./outbox.ts";
import { Preface } from "./preface.ts";
import { ErrorCode, MAX_STREAM_ID, Setting } from "./protocol.ts";
import { RequestFields } from "./request-fields.ts";
import { RequestText } from "./request-text.ts";
import { Http2ServerStream } from "./server-stream.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import type { Http2Stream } from "./stream.ts";
import { TextWriter } from "./text-writer.ts";

export interface Http2ServerOptions extends Http2ConnectionOptions, ServerTimes {
  readonly underscores: "allow" | "reject_request" | "drop_header";
  /** For a header block that comes in parts, ms; 0: no limit. */
  readonly headTimeoutMs: number;
  /** Not null between two sidecars that have agreed to send the heads of HTTP/1 as they are. */
  readonly text: RequestHeadLimits | null;
}

const MESSAGE = { flag: Flag.DPE, details: "http2.violation.of.messaging.rule" };
/** Envoy's flags and details for each `Malformed`. */
const REFUSALS: readonly { readonly flag: number; readonly details: string }[] = [
  MESSAGE,
  { flag: Flag.DPE, details: "http2.invalid.header.field" },
  { flag: Flag.DR, details: "http2.header_list_size_too_large" },
  { flag: Flag.DR, details: "http2.too_many_headers" },
  { flag: Flag.DR, details: "http2.unexpected_underscore" },
  MESSAGE,
];

export class Http2ServerConnection extends Http2Connection implements ServerConnection {
  readonly handler: ServerHandler;
  readonly serverOptions: Http2ServerOptions;
  readonly fields: RequestReader;
  readonly wheel: TimerWheel;
  readonly #preface = new Preface();
  /** 0: serving; 1: the peer was asked to open no more; 2: what it opens is refused. */
  #draining = 0;
  #opened = 0;
  #gone = false;
  #idleSince: number;
  readonly #idleTimer: WheelTimer;
  readonly #durationTimer: WheelTimer;
  readonly #drainTimer: WheelTimer;
  #closeTimer: WheelTimer | null = null;

  constructor(
    socket: Socket,
    options: Http2ServerOptions,
    handler: ServerHandler,
    stats: Http2Stats,
    time: ConnectionTime,
    fed = false,
  ) {
    const decoder = new HpackDecoder(4096);
    const { text } = options;
    const heads = (outbox: Outbox): HeadWriter => (text ? new TextWriter(outbox) : new HpackWriter(outbox));
    super(socket, options, decoder, heads, new PeerSettings(1), stats, time);
    const { wheel } = time;
    this.handler = handler;
    this.serverOptions = options;
    this.wheel = wheel;
    const { maxHeadBytes, maxFields, underscores } = options;
    const { allowConnect } = options.http2;
    this.fields = text
      ? new RequestText(text, maxHeadBytes)
      : new RequestFields({ maxHeadBytes, maxFields, underscores, allowConnect }, decoder);
    this.#idleTimer = new WheelTimer(() => this.#onIdle());
    this.#durationTimer = new WheelTimer(() => this.drain(options.drainMs));
    this.#drainTimer = new WheelTimer(() => this.#refuseMore());
    this.#idleSince = wheel.now();
    const settings: [number, number][] = [[Setting.maxConcurrentStreams, options.http2.maxConcurrentStreams]];
    if (options.http2.allowConnect) settings.push([Setting.enableConnectProtocol, 1]);
    this.start(settings, "", fed);
    this.#armIdle();
    if (options.maxDurationMs > 0) wheel.arm(this.#durationTimer, options.maxDurationMs);
  }

  get idle(): boolean {
    return this.streams.size === 0;
  }

  override feed(bytes: Buffer): void {
    const rest = this.#preface.take(bytes);
    if (rest === null) this.fail(ErrorCode.protocolError, "the connection does not begin with the preface of HTTP/2");
    else if (rest.length > 0) super.feed(rest);
  }

  /**
   * Asks the peer to open no more streams; those that it opens all the same are still served. After `graceMs` more are
   * refused, and the connection ends with its last stream (RFC 9113, section 6.8). Asked again, the shorter time holds.
   */
  drain(graceMs: number): void {
    if (this.#draining === 2 || this.over) return;
    const due = Math.max(1, graceMs);
    if (this.#draining === 1) {
      if (this.#drainTimer.deadline - this.wheel.now() <= due) return;
    } else {
      this.#draining = 1;
      this.writeGoaway(MAX_STREAM_ID, ErrorCode.noError, "");
    }
    this.wheel.arm(this.#drainTimer, due);
  }

  #refuseMore(): void {
    if (this.#draining === 2 || this.over) return;
    this.#draining = 2;
    this.wheel.cancel(this.#drainTimer);
    this.writeGoaway(this.lastPeerStream, ErrorCode.noError, "");
    if (this.streams.size === 0) this.finish();
  }

  isIdle(streamId: number): boolean {
    // We open none.
    return streamId % 2 === 0 || streamId > this.lastPeerStream;
  }

  protected openByPeer(streamId: number): boolean {
    if (streamId % 2 === 0) {
      this.fail(ErrorCode.protocolError, "a client's stream has an even number");
      return false;
    }
    this.lastPeerStream = streamId;
    if (this.#draining === 2 || this.streams.size >= this.options.http2.maxConcurrentStreams) {
      this.writeReset(streamId, ErrorCode.refusedStream);
      return true;
    }
    const { head, handler } = this.handler.nextRequest();
    this.register(new Http2ServerStream(streamId, this, head, handler));
    this.#opened++;
    const { maxRequests } = this.serverOptions;
    if (maxRequests > 0 && this.#opened >= maxRequests && this.#draining === 0) {
      // As in Envoy: this was the last, and no more are waited for.
      this.#draining = 2;
      this.writeGoaway(MAX_STREAM_ID, ErrorCode.noError, "");
    }
    return true;
  }

  protected decodeBlock(buf: Buffer, start: number, end: number, stream: Http2Stream | null): boolean {
    if (stream instanceof Http2ServerStream) stream.begin();
    else this.fields.begin(null, null);
    return this.fields.read(buf, start, end);
  }

  override onBlockOpen(streamId: number): void {
    const stream = this.streams.get(streamId);
    if (stream instanceof Http2ServerStream) stream.onBlockOpen();
  }

  protected override onPeerReset(premature: boolean): void {
    // A sidecar that gives up what its own callers gave up is no attacker.
    const tooFast = this.serverOptions.text === null ? this.flood.onReset() : "";
    this.floods(tooFast || (premature ? this.flood.onPrematureReset() : ""));
  }

  /** Who breaks the rules on stream after stream makes us do what a flood of RST_STREAM would. */
  protected override onStreamError(): void {
    this.floods(this.flood.onPrematureReset());
  }

  /** Envoy's words for what calls under way are told when the connection fails. */
  failureDetails = "codec_error:The_user_callback_function_failed";

  /** A request is not taken. `verdict` is a `Malformed`. */
  refuse(stream: Http2ServerStream, handler: DownstreamHandler, verdict: number, detail: string): void {
    const refusal = REFUSALS[verdict] ?? MESSAGE;
    this.handler.onRefused(handler, { ...refusal, sentence: detail });
    if (refusal.flag === Flag.DPE) this.messageError(stream, detail);
    else this.streamError(stream, ErrorCode.internalError, detail);
  }

  /** Trailers are not taken: the request that they end is under way. */
  refuseTrailers(stream: Http2ServerStream, verdict: number, detail: string): void {
    const { flag, details } = REFUSALS[verdict] ?? MESSAGE;
    stream.giveUp(flag, details);
    if (flag === Flag.DPE) this.messageError(stream, detail);
    else this.streamError(stream, ErrorCode.internalError, detail);
  }

  /** A server is told nothing by its client's GOAWAY that it would act upon. */
  onGoaway(): void {}

  protected onCapacity(): void {}

  protected onStreamGone(): void {
    if (this.streams.size > 0 || this.over) return;
    if (this.#draining === 2) this.finish();
    else this.#armIdle();
  }

  #armIdle(): void {
    this.#idleSince = this.wheel.now();
    const { idleTimeoutMs } = this.serverOptions;
    if (idleTimeoutMs > 0 && !this.#idleTimer.armed) this.wheel.arm(this.#idleTimer, idleTimeoutMs);
  }

  /** The timer is not armed anew for each stream: when it fires it looks when the last one ended. */
  #onIdle(): void {
    if (this.streams.size > 0) return;
    const left = this.#idleSince + this.serverOptions.idleTimeoutMs - this.wheel.now();
    if (left > 1) this.wheel.arm(this.#idleTimer, left);
    else this.drain(this.serverOptions.drainMs);
  }

  /** What the peer still sends is read for a while: a reset would destroy what it has not read (Envoy's close delay). */
  protected closeSocket(): void {
    const { socket } = this;
    const { closeDelayMs } = this.serverOptions;
    socket.end();
    if (closeDelayMs <= 0) socket.destroySoon();
    else if (this.#closeTimer === null) this.#closeTimer = this.wheel.after(closeDelayMs, () => socket.destroy());
  }

  protected onOver(): void {
    this.wheel.cancel(this.#idleTimer);
    this.wheel.cancel(this.#durationTimer);
    this.wheel.cancel(this.#drainTimer);
  }

  protected onSocketClosed(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#closeTimer !== null) this.wheel.cancel(this.#closeTimer);
    this.handler.onClose();
  }
}
