/** One end of a connection: does what its script says, and notes what came and how it ended. */
import type net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { TcpStep } from "./case.ts";

/** For what a script waits for. */
const STEP_LIMIT_MS = 4000;

const LONGEST_SHOWN = 60;

export class TcpPeer {
  readonly #socket: net.Socket;
  /** What is reset where the socket is one of TLS. */
  readonly #raw: net.Socket;
  readonly notes: string[] = [];
  #received = "";
  #awaited = 0;
  #echo = false;
  #ended = false;
  #closed = false;
  #own = "";
  #error = "";
  #wake: () => void = () => undefined;

  constructor(socket: net.Socket, raw: net.Socket) {
    this.#socket = socket;
    this.#raw = raw;
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      if (this.#echo) socket.write(chunk);
      this.#wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    for (const each of new Set([socket, raw])) {
      each.on("error", (error: NodeJS.ErrnoException) => {
        this.#error ||= error.code ?? error.message;
        this.#wake();
      });
    }
    raw.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  async run(steps: readonly TcpStep[]): Promise<void> {
    for (const step of steps) {
      if (this.#closed) return;
      if ("send" in step)
        this.#socket.write(typeof step.send === "string" ? Buffer.from(step.send, "latin1") : step.send);
      else if ("bytes" in step) {
        this.#awaited += step.bytes;
        const whole = await this.#until(() => this.#received.length >= this.#awaited);
        if (!whole && !this.#closed) this.notes.push(`waited for ${this.#awaited} bytes`);
      } else if ("until" in step) {
        const came = await this.#until(() => this.#closed || (step.until === "end" && this.#ended));
        if (!came && !this.#closed) this.notes.push(`waited for the ${step.until === "end" ? "end" : "close"}`);
      } else if ("waitMs" in step) await wait(step.waitMs);
      else if ("echo" in step) {
        this.#echo = true;
        if (this.#received !== "") this.#socket.write(Buffer.from(this.#received, "latin1"));
      } else if ("deafMs" in step) {
        this.#socket.pause();
        await wait(step.deafMs);
        this.#socket.resume();
      } else this.#end(step.end);
    }
  }

  /** Waits for the connection's end, and ends with the other side; what is open after that long is ended. */
  async finish(limitMs: number): Promise<void> {
    await this.#until(() => this.#ended || this.#closed, limitMs);
    if (this.#ended && this.#own === "") {
      this.#own = "after the other";
      this.#socket.end();
    }
    await this.#until(() => this.#closed, limitMs);
  }

  /** What was received, and how the connection ended for this end. */
  report(): string[] {
    return [...this.notes, `received ${shown(this.#received)}`, this.#outcome()];
  }

  destroy(): void {
    this.#raw.destroy();
  }

  #end(how: "half" | "close" | "reset" | "cut"): void {
    this.#own = how;
    if (how === "half") this.#socket.end();
    else if (how === "close") this.#socket.destroy();
    else if (how === "cut") this.#raw.end();
    else this.#raw.resetAndDestroy();
  }

  #outcome(): string {
    if (this.#own === "close" || this.#own === "reset" || this.#own === "cut") return this.#own;
    if (this.#error !== "") return this.#ended ? `ended, then ${this.#error}` : this.#error;
    if (this.#ended) return this.#closed ? "ended" : "ended, still open";
    return this.#closed ? "closed" : "still open";
  }

  /** False if the time is up, or the connection over, before it is so. */
  async #until(done: () => boolean, limitMs = STEP_LIMIT_MS): Promise<boolean> {
    const deadline = performance.now() + limitMs;
    while (!done()) {
      const left = deadline - performance.now();
      if (left <= 0 || this.#closed) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
    return true;
  }
}

function shown(text: string): string {
  if (text.length <= LONGEST_SHOWN) return JSON.stringify(text);
  return `${text.length} bytes from ${JSON.stringify(text.slice(0, 8))}`;
}
