/** Writes the frames that carry no content: resets, windows, PING and GOAWAY; and remembers which streams it has reset. */
import type { Outbox } from "./outbox.ts";
import { FrameFlag, FrameType, writeUint32 } from "./protocol.ts";
import type { Http2Stats } from "./stats.ts";

/** Streams that we have reset: what the peer had sent before it knew is no offence of its. */
const MAX_REMEMBERED_RESETS = 1000;

export class ControlWriter {
  readonly #outbox: Outbox;
  readonly #stats: Http2Stats;
  readonly #reset = new Set<number>();
  /** The last stream of the latest GOAWAY; -1: none was sent. */
  #goawaySent = -1;

  constructor(outbox: Outbox, stats: Http2Stats) {
    this.#outbox = outbox;
    this.#stats = stats;
  }

  /** Gives the peer room; `streamId` 0: on the connection. */
  windowUpdate(streamId: number, increment: number): void {
    const { buf, at } = this.#outbox.frame(FrameType.windowUpdate, 0, streamId, 4);
    writeUint32(buf, at, increment);
  }

  /** RST_STREAM. */
  reset(streamId: number, code: number): void {
    const { buf, at } = this.#outbox.frame(FrameType.rstStream, 0, streamId, 4);
    writeUint32(buf, at, code);
    this.#stats.tx_reset++;
    const remembered = this.#reset;
    remembered.add(streamId);
    if (remembered.size <= MAX_REMEMBERED_RESETS) return;
    for (const oldest of remembered) {
      remembered.delete(oldest);
      break;
    }
  }

  /** Whether a stream was reset by us, lately. */
  hasReset(streamId: number): boolean {
    return this.#reset.has(streamId);
  }

  ping(number: number): void {
    const { buf, at } = this.#outbox.frame(FrameType.ping, 0, 0, 8);
    writeUint32(buf, at, 0);
    writeUint32(buf, at + 4, number);
  }

  /** Answers the PING whose payload is `source[start, start + 8)`. */
  pingAck(source: Buffer, start: number): void {
    const { buf, at } = this.#outbox.frame(FrameType.ping, FrameFlag.ack, 0, 8);
    source.copy(buf, at, start, start + 8);
  }

  settingsAck(): void {
    this.#outbox.frame(FrameType.settings, FrameFlag.ack, 0, 0);
  }

  /** Nothing if an earlier GOAWAY named a lower stream: the number never grows (RFC 9113, section 6.8). */
  goaway(lastStream: number, code: number, debug: string): void {
    if (this.#goawaySent >= 0 && lastStream > this.#goawaySent) return;
    this.#goawaySent = lastStream;
    const text = Buffer.from(debug, "latin1");
    const { buf, at } = this.#outbox.frame(FrameType.goaway, 0, 0, 8 + text.length);
    writeUint32(buf, at, lastStream);
    writeUint32(buf, at + 4, code);
    text.copy(buf, at + 8);
    this.#stats.goaway_sent++;
  }
}
