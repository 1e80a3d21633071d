/** Processes of the benchmark that are asked and answer: the API server's and the sidecars'. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { LOAD_CORE } from "../processes.ts";

export class Helper<To extends { readonly kind: string }, From extends { readonly kind: string }> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (message: From) => void>();
  #ended: string | null = null;

  constructor(file: string, args: readonly string[] = []) {
    const program = path.join(import.meta.dirname, file);
    this.#child = spawn("taskset", ["-c", String(LOAD_CORE), process.execPath, program, ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message: From) => {
      const waiting = this.#waiting.get(message.kind);
      this.#waiting.delete(message.kind);
      waiting?.(message);
    });
    this.#child.once("exit", (code) => {
      this.#ended = `${file} has ended (${code})`;
    });
  }

  /** The next message of a kind. Rejects when there is none within `limitMs`. */
  next<K extends From["kind"]>(kind: K, limitMs = 120_000): Promise<Extract<From, { readonly kind: K }>> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(this.#ended ?? `no "${kind}" after ${limitMs} ms`)), limitMs);
      this.#waiting.set(kind, (message) => {
        clearTimeout(late);
        resolve(message as Extract<From, { readonly kind: K }>);
      });
    });
  }

  tell(message: To): void {
    this.#child.send(message);
  }

  ask<K extends From["kind"]>(message: To, kind: K, limitMs?: number): Promise<Extract<From, { readonly kind: K }>> {
    const answer = this.next(kind, limitMs);
    this.tell(message);
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#ended !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}
