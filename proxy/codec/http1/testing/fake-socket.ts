/** A socket whose peer the test plays: what it takes, when, and what it sends. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

export class FakeSocket extends Duplex {
  /** All that was taken, latin1. */
  taken = "";
  /** While set, nothing is taken. */
  stalled = false;
  #held: (() => void)[] = [];

  constructor() {
    super({ allowHalfOpen: true, highWaterMark: 1000 });
    this.on("error", () => undefined);
  }

  /** As what it stands for. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  setNoDelay(): this {
    return this;
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** The peer takes the next write. */
  accept(): void {
    this.#held.shift()?.();
  }

  /** The peer sends something. */
  send(text: string): void {
    this.push(Buffer.from(text, "latin1"));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const take = (): void => {
      this.taken += chunk.toString("latin1");
      done();
    };
    if (this.stalled) this.#held.push(take);
    else take();
  }
}

/** Lets streams tell what has happened to them. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
