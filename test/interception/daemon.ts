/** A program that runs beside a test, and what it says. */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const READY_MS = 60_000;
const END_MS = 20_000;
/** How much of what it says is kept. */
const KEPT = 1 << 20;

export class Daemon {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #output = "";
  #closed = false;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.pid = child.pid ?? -1;
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    // What it said last comes after it has ended.
    child.once("close", () => {
      this.#closed = true;
    });
    this.#ended = new Promise((resolve) => {
      child.once("exit", (code) => resolve(code));
      child.once("error", (error) => {
        this.#output += error.message;
        resolve(null);
      });
    });
  }

  /** What it wrote so far, both streams. */
  get output(): string {
    return this.#output;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until it has said something, or until something holds. Rejects with what it said if it ends, or takes long. */
  async until(what: RegExp | (() => boolean | Promise<boolean>), withinMs = READY_MS): Promise<this> {
    const end = performance.now() + withinMs;
    for (;;) {
      if (what instanceof RegExp ? what.test(this.#output) : await what()) return this;
      const wrong = !this.running && this.#closed ? "has ended" : performance.now() > end ? "takes too long" : null;
      if (wrong !== null) throw new Error(`${this.name} ${wrong}, waiting for ${what}:\n${this.#output}`);
      await wait(10);
    }
  }

  /** Waits until somebody in its network listens on a port. */
  untilListening(port: number): Promise<this> {
    const listening = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")} [0-9A-F]+:0000 0A `);
    // Namespaces and mounts change with the process: what it sees is what counts.
    return this.until(() => ["tcp", "tcp6"].some((name) => listening.test(readSockets(this.pid, name))));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Writes to its stdin. */
  tell(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves with the exit code once it has ended, null where a signal has ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Ends it; resolves once it is gone. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.running) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

function readSockets(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/net/${name}`, "latin1");
  } catch {
    // It has just ended.
    return "";
  }
}
