/** The client side of HTTP/2 on one upstream connection: requests become streams, for the pool that owns it to hand out. */
import type { Socket } from "node:net";
import { nextConnectionId } from "../connection-id.ts";
import { localAddressOf } from "../local-address.ts";
import { Http2ClientStream } from "./client-stream.ts";
import { type ConnectionTime, Http2Connection, type Http2ConnectionOptions } from "./connection.ts";
import type { HeadWriter, ResponseReader } from "./heads.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { HpackWriter } from "./hpack-writer.ts";
import type { Outbox } from "./outbox.ts";
import { ErrorCode, errorName, MAX_STREAM_ID, PREFACE, Setting } from "./protocol.ts";
import { ResponseFields } from "./response-fields.ts";
import { ResponseText } from "./response-text.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import { type Http2Stream, StreamEnd } from "./stream.ts";
import { TextWriter } from "./text-writer.ts";

/** The pool that owns the connection. */
export interface Http2Owner {
  /** More streams may be opened than before: one has ended, or the peer's limit has changed. */
  onCapacity(connection: Http2ClientConnection): void;
  /** The connection takes no new streams any more; those that are open go on. */
  onDraining(connection: Http2ClientConnection): void;
  /** The connection is gone. */
  onClosed(connection: Http2ClientConnection): void;
}

export class Http2ClientConnection extends Http2Connection {
  /** Requests sent on this connection so far. */
  requests = 0;
  /** Monotonic ms of the last time that its last stream ended; the pool's. */
  idleSince = 0;
  readonly id = nextConnectionId();
  /** How many streams may be opened before the peer has said how many. */
  untoldStreams = 100;
  readonly fields: ResponseReader;
  readonly #owner: Http2Owner;
  #nextId = 1;
  /** Streams that were handed out and whose heads have not been sent. */
  #promised = 0;
  #draining = false;
  #localAddress: string | null = null;
  #gone = false;

  /** `text`: both sides have agreed to send the heads of HTTP/1 as they are. */
  constructor(
    socket: Socket,
    options: Http2ConnectionOptions,
    text: boolean,
    owner: Http2Owner,
    stats: Http2Stats,
    time: ConnectionTime,
  ) {
    const decoder = new HpackDecoder(4096);
    const heads = (outbox: Outbox): HeadWriter => (text ? new TextWriter(outbox) : new HpackWriter(outbox));
    super(socket, options, decoder, heads, new PeerSettings(0), stats, time);
    this.#owner = owner;
    this.fields = text ? new ResponseText(options) : new ResponseFields(options, decoder);
    const settings: [number, number][] = [
      [Setting.enablePush, 0],
      [Setting.maxConcurrentStreams, options.http2.maxConcurrentStreams],
    ];
    this.start(settings, PREFACE, false);
  }

  /** Asked of the system once. */
  get localAddress(): string {
    this.#localAddress ??= localAddressOf(this.socket);
    return this.#localAddress;
  }

  /** How many more streams may be opened now. */
  get capacity(): number {
    if (this.#draining || this.over || this.#nextId > MAX_STREAM_ID) return 0;
    const theirs = this.sawSettings ? this.peer.maxConcurrentStreams : this.untoldStreams;
    return Math.min(theirs, this.options.http2.maxConcurrentStreams) - this.streams.size - this.#promised;
  }

  /** How many streams the peer allows; -1: it has not said yet. */
  get announcedStreams(): number {
    return this.sawSettings ? this.peer.maxConcurrentStreams : -1;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Promises a stream; there must be capacity. */
  open(): Http2ClientStream {
    this.#promised++;
    return new Http2ClientStream(this, ++this.requests);
  }

  /** The stream's head is about to be sent. False: the connection is over. */
  activate(stream: Http2ClientStream): boolean {
    if (stream.closed) return false;
    this.#promised--;
    this.keepalive?.onNewStream();
    stream.id = this.#nextId;
    this.#nextId += 2;
    stream.sendWindow = this.peerInitialWindow;
    this.register(stream);
    return true;
  }

  /** A promised stream is not wanted. */
  forgo(stream: Http2ClientStream): void {
    if (stream.closed) return;
    stream.dispose();
    this.#promised--;
    this.requests--;
    this.onStreamGone();
  }

  /** Opens no more streams; the connection ends with its last. */
  retire(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.activeStreams === 0) this.finish();
  }

  override get activeStreams(): number {
    return this.streams.size + this.#promised;
  }

  isIdle(streamId: number): boolean {
    // Servers open none: push is off.
    return streamId % 2 === 0 || streamId >= this.#nextId;
  }

  protected openByPeer(): boolean {
    this.fail(ErrorCode.protocolError, "HEADERS for a stream that was never opened");
    return false;
  }

  protected decodeBlock(buf: Buffer, start: number, end: number, stream: Http2Stream | null): boolean {
    if (stream instanceof Http2ClientStream) stream.beginBlock();
    else this.fields.begin(null, null);
    return this.fields.read(buf, start, end);
  }

  /** RFC 9113, section 6.8: streams above the last one that the peer names were not processed. */
  onGoaway(lastStream: number, code: number, debug: string): void {
    const first = !this.#draining;
    this.#draining = true;
    if (first) this.#owner.onDraining(this);
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastStream) continue;
      this.dropStream(stream);
      const why = debug === "" ? "" : ` (${debug})`;
      stream.onReset(StreamEnd.reset, ErrorCode.refusedStream, `the peer goes away: ${errorName(code)}${why}`);
    }
    if (this.activeStreams === 0) this.finish();
  }

  protected onCapacity(): void {
    if (!this.#draining && !this.over) this.#owner.onCapacity(this);
  }

  protected onStreamGone(): void {
    if (this.over) return;
    if (!this.#draining) this.#owner.onCapacity(this);
    else if (this.activeStreams === 0) this.finish();
  }

  protected closeSocket(): void {
    this.socket.end();
    this.socket.destroySoon();
  }

  protected onOver(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#owner.onDraining(this);
  }

  protected onSocketClosed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#owner.onClosed(this);
  }
}
