/** An end of an opaque connection that the test moves by hand. */
import { Socket } from "node:net";
import type { ByteEnd } from "../../codec/byte-end.ts";

export class ManualEnd implements ByteEnd {
  readonly socket = new Socket();
  destroyed = false;
  broken = false;
  ended = false;
  waiting = false;
  readonly copies: boolean;
  readonly shared: boolean;
  readonly fleeting = false;
  readonly fullPiece: number;
  /** Whether it takes one write and then wants to be waited for. */
  isSlow = false;
  readonly written: Buffer[] = [];
  /** How our direction has ended. */
  ending: "end" | "destroy" | "reset" | null = null;
  #onBytes: (bytes: Buffer) => void = () => undefined;
  #onEnd = (): void => undefined;
  #onWritten = (): void => undefined;
  #onClosed = (): void => undefined;

  /** `fullPiece` as of a stream; Infinity: as of a socket. */
  constructor(fullPiece = Infinity) {
    this.fullPiece = fullPiece;
    this.copies = fullPiece !== Infinity;
    this.shared = this.copies;
  }

  read(onBytes: (bytes: Buffer) => void, onEnd: () => void): void {
    this.#onBytes = onBytes;
    this.#onEnd = onEnd;
  }

  pause(): void {}

  resume(): void {}

  write(bytes: Buffer, onWritten: () => void): void {
    if (this.ending !== null) throw new Error("a write after the end");
    this.written.push(Buffer.from(bytes));
    this.#onWritten = onWritten;
    this.waiting = this.isSlow;
  }

  end(): void {
    this.ending ??= "end";
  }

  destroy(): void {
    this.ending = "destroy";
  }

  destroySoon(): void {
    this.ending ??= "end";
  }

  reset(): void {
    this.ending = "reset";
  }

  watch(onClosed: () => void): void {
    this.#onClosed = onClosed;
  }

  /** The peer sends. */
  bring(bytes: Buffer): void {
    this.#onBytes(bytes);
  }

  /** The peer ends its direction. */
  bringEnd(): void {
    this.ended = true;
    this.#onEnd();
  }

  /** What was written has left. */
  drain(): void {
    this.waiting = false;
    this.#onWritten();
  }

  /** Nothing goes or comes any more. */
  close(): void {
    this.destroyed = true;
    this.#onClosed();
  }
}
