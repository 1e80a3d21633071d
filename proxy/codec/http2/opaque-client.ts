/** The calling side of a connection whose streams are opaque connections. */
import type { Socket } from "node:net";
import { type ConnectionTime, Http2Connection } from "./connection.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { OPAQUE_OPTIONS, writeOpaqueHead } from "./opaque-protocol.ts";
import { type OpaqueOpening, OpaqueStream } from "./opaque-stream.ts";
import { ErrorCode, errorName, MAX_STREAM_ID, PREFACE, Setting } from "./protocol.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stats } from "./stats.ts";
import { StreamEnd } from "./stream.ts";
import { TextWriter } from "./text-writer.ts";

/** Who hands out its streams. */
export interface OpaqueClientOwner {
  /** A stream has ended, or the peer has said how many it takes. */
  onCapacity(connection: OpaqueClientConnection): void;
  /** It takes no new streams any more; those that are open go on. */
  onDraining(connection: OpaqueClientConnection): void;
  onClosed(connection: OpaqueClientConnection): void;
}

export class OpaqueClientConnection extends Http2Connection {
  /** Monotonic ms of the last time that its last stream ended; the owner's. */
  idleSince = 0;
  readonly #owner: OpaqueClientOwner;
  #nextId = 1;
  #draining = false;

  constructor(socket: Socket, owner: OpaqueClientOwner, stats: Http2Stats, time: ConnectionTime) {
    const decoder = new HpackDecoder(0);
    super(socket, OPAQUE_OPTIONS, decoder, (outbox) => new TextWriter(outbox), new PeerSettings(0), stats, time);
    this.#owner = owner;
    this.start([[Setting.enablePush, 0]], PREFACE, false);
  }

  /** How many more streams may be opened now. */
  get capacity(): number {
    if (this.#draining || this.over || this.#nextId > MAX_STREAM_ID) return 0;
    const most = OPAQUE_OPTIONS.http2.maxConcurrentStreams;
    return Math.min(most, this.peer.maxConcurrentStreams) - this.streams.size;
  }

  /** Whether the peer has spoken: it is one that shares connections. */
  get proven(): boolean {
    return this.sawSettings;
  }

  /** Opens a stream; there must be capacity. */
  open(opening: OpaqueOpening): OpaqueStream {
    const stream = new OpaqueStream(this.#nextId, this, opening);
    this.#nextId += 2;
    this.register(stream);
    writeOpaqueHead(this.outbox, stream.id);
    return stream;
  }

  /** Opens no more streams; the connection ends with its last. */
  retire(): void {
    if (this.#draining) return;
    this.#drain();
    if (this.streams.size === 0) this.finish();
  }

  #drain(): void {
    this.#draining = true;
    this.#owner.onDraining(this);
  }

  isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId >= this.#nextId;
  }

  protected openByPeer(): boolean {
    this.fail(ErrorCode.protocolError, "HEADERS for a stream that was never opened");
    return false;
  }

  /** Whatever fields a newer peer sends, none means anything here. */
  protected decodeBlock(): boolean {
    return true;
  }

  /** RFC 9113, section 6.8: streams above the last one that the peer names were not processed. */
  onGoaway(lastStream: number, code: number, debug: string): void {
    if (!this.#draining) this.#drain();
    const why = debug === "" ? "" : ` (${debug})`;
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastStream) continue;
      this.dropStream(stream);
      stream.onReset(StreamEnd.reset, ErrorCode.refusedStream, `the peer goes away: ${errorName(code)}${why}`);
    }
    if (this.streams.size === 0) this.finish();
  }

  protected onCapacity(): void {
    if (!this.#draining && !this.over) this.#owner.onCapacity(this);
  }

  protected onStreamGone(): void {
    if (this.over) return;
    if (!this.#draining) this.#owner.onCapacity(this);
    else if (this.streams.size === 0) this.finish();
  }

  protected closeSocket(): void {
    this.socket.end();
    this.socket.destroySoon();
  }

  protected onOver(): void {
    if (!this.#draining) this.#drain();
  }

  protected onSocketClosed(): void {
    this.#owner.onClosed(this);
  }
}
