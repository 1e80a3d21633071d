/** One direction of an opaque connection: bytes as they come, an end as an end, and no more waiting than the limit. */
import type { Socket } from "node:net";
import { readSocket, writeTransient } from "../codec/socket-reader.ts";

/** What a pump's connection wants to know. */
export interface PumpOwner {
  /** Bytes have come, and were handed on. */
  onMoved(pump: Pump, bytes: Buffer): void;
  /** The target does not keep up: reading stops until it has taken all. */
  onPaused(pump: Pump): void;
  onResumed(pump: Pump): void;
  onEnd(pump: Pump): void;
}

export class Pump {
  readonly from: Socket;
  readonly to: Socket;
  readonly #owner: PumpOwner;
  readonly #limit: number;
  /** The source has sent its last byte. */
  ended = false;
  #paused = false;

  /** `limit`: bytes that may wait to be written before reading stops. */
  constructor(from: Socket, to: Socket, limit: number, owner: PumpOwner) {
    this.from = from;
    this.to = to;
    this.#limit = limit;
    this.#owner = owner;
  }

  /** Begins to read. `early` are bytes that were read before. */
  start(early: Buffer | null): void {
    const { from, to } = this;
    from.on("end", () => {
      this.ended = true;
      this.#owner.onEnd(this);
      if (!to.destroyed) to.end();
    });
    to.on("drain", () => this.#resume());
    if (early !== null) this.#pass(early);
    readSocket(from, (bytes) => this.#pass(bytes));
    if (this.#paused) from.pause();
  }

  #pass(bytes: Buffer): void {
    const { to } = this;
    if (to.destroyed || to.writableEnded) return;
    writeTransient(to, bytes);
    this.#owner.onMoved(this, bytes);
    if (this.#paused || to.writableLength <= this.#limit) return;
    this.#paused = true;
    this.from.pause();
    this.#owner.onPaused(this);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.from.destroyed) this.from.resume();
    this.#owner.onResumed(this);
  }
}
