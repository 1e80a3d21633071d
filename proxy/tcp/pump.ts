/**
 * One direction of an opaque connection: bytes as they come, an end as an end. What was read is written before more is
 * read, so that no more waits here than one read, and memory is the same few blocks for all connections.
 */
import { BLOCK_SIZE, releaseBlock, takeBlock } from "../codec/blocks.ts";
import type { ByteEnd } from "../codec/byte-end.ts";

/** What a pump's connection wants to know. */
export interface PumpOwner {
  /** Bytes have come for which there is no target yet. */
  onHeld(pump: Pump): void;
  /** Bytes have come; they are handed on when this returns. */
  onMoved(pump: Pump, bytes: Buffer): void;
  /** The source has ended, and all that it sent was handed on. */
  onEnd(pump: Pump): void;
}

/** Bytes that wait to be written, in a block of their own. */
interface Held {
  readonly block: Buffer;
  length: number;
}

export class Pump {
  readonly from: ByteEnd;
  /** null: what comes is held. */
  #to: ByteEnd | null = null;
  readonly #owner: PumpOwner;
  readonly #fullPiece: number;
  #toCopies = false;
  /** What comes may be given to the target where it lies. */
  #direct = false;
  /** The source has sent its last byte. */
  ended = false;
  /** A write is under way, and its bytes are not ours to change. */
  #busy = false;
  #stopped = false;
  /** What comes next, the first is full unless it is the last. */
  readonly #held: Held[] = [];
  #writing: Buffer | null = null;
  #collecting = false;

  constructor(from: ByteEnd, owner: PumpOwner) {
    this.from = from;
    this.#owner = owner;
    this.#fullPiece = from.fullPiece;
  }

  /** Something has come, and waits to be handed on. */
  get holds(): boolean {
    return this.#held.length > 0;
  }

  /** Begins to read; without a target nothing is read after the first bytes. */
  read(): void {
    // An end that comes with no bytes before it is told at once, whoever may be listening.
    if (this.from.ended) {
      this.#onEnd();
      return;
    }
    this.from.read(
      (bytes) => this.#onBytes(bytes),
      () => this.#onEnd(),
    );
    if (this.#stopped) this.from.pause();
  }

  /** Hands on to `to`, first what was read before: `head`, null for nothing, then what is held. */
  connect(to: ByteEnd, head: Buffer | null): void {
    this.#to = to;
    this.#toCopies = to.copies;
    this.#direct = to.copies && !(to.shared && this.from.fleeting);
    if (head !== null) this.#take(head);
    this.#pass();
  }

  /** Gives back what it holds; nothing is read after this. */
  abandon(): void {
    for (const { block } of this.#held.splice(0)) releaseBlock(block);
    this.#stop();
  }

  #onEnd(): void {
    this.ended = true;
    this.#pass();
  }

  readonly #onWritten = (): void => {
    if (!this.#busy || this.#to?.waiting === true) return;
    this.#busy = false;
    if (this.#writing !== null) {
      releaseBlock(this.#writing);
      this.#writing = null;
    }
    this.#pass();
  };

  #onBytes(bytes: Buffer): void {
    const to = this.#to;
    if (to === null) {
      this.#take(bytes);
      this.#stop();
      this.#owner.onHeld(this);
      return;
    }
    if (to.destroyed) return;
    if (this.#direct && !this.#busy && this.#held.length === 0) {
      this.#owner.onMoved(this, bytes);
      this.#write(to, bytes);
      if (this.#busy) this.#stop();
      return;
    }
    this.#take(bytes);
    if (this.#busy) this.#stop();
    else if (bytes.length < this.#fullPiece || (this.#held[0]?.length ?? 0) === BLOCK_SIZE) this.#pass();
    else if (!this.#collecting) {
      this.#collecting = true;
      setImmediate(this.#passCollected);
    }
  }

  readonly #passCollected = (): void => {
    this.#collecting = false;
    if (!this.#busy) this.#pass();
  };

  /** Copies bytes to where they may stay. */
  #take(bytes: Buffer): void {
    this.#owner.onMoved(this, bytes);
    let at = 0;
    while (at < bytes.length) {
      let last = this.#held.at(-1);
      if (last === undefined || last.length === BLOCK_SIZE) {
        last = { block: takeBlock(), length: 0 };
        this.#held.push(last);
      }
      const count = bytes.copy(last.block, last.length, at);
      last.length += count;
      at += count;
    }
  }

  /** Writes what is held, as far as the target takes it; then its end, or the source is read again. */
  #pass(): void {
    const to = this.#to;
    if (to === null || this.#busy || to.destroyed) return;
    while (this.#held.length > 0) {
      const { block, length } = this.#held.shift() as Held;
      this.#write(to, block.subarray(0, length));
      if (!this.#busy || this.#toCopies) releaseBlock(block);
      else this.#writing = block;
      if (this.#busy) {
        this.#stop();
        return;
      }
    }
    if (this.ended) {
      this.#owner.onEnd(this);
      to.end();
    } else this.#resume();
  }

  #write(to: ByteEnd, bytes: Buffer): void {
    to.write(bytes, this.#onWritten);
    this.#busy = to.waiting;
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.from.pause();
  }

  #resume(): void {
    if (!this.#stopped || this.from.destroyed) return;
    this.#stopped = false;
    this.from.resume();
  }
}
