/** The demo's processes, each with a log file; the undertaker is their parent. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { systemClock } from "../../core/clock.ts";
import { self } from "./self.ts";
import type { Obituary, Order } from "./undertaker.ts";

/** How long a process may take to end by itself. */
const END_MS = 1500;

export interface DemoProcess {
  readonly name: string;
  /** False once it has ended. */
  alive(): boolean;
  /** The last lines that it wrote. */
  logTail(): string;
  /** SIGKILL, to it and all that it started; resolves when it has ended. */
  kill(): Promise<void>;
}

interface Entry {
  readonly process: DemoProcess;
  readonly ended: PromiseWithResolvers<void>;
  alive: boolean;
  /** It ends because it was asked to. */
  asked: boolean;
}

export class Processes {
  /** Log files and everything else of the demo are here; it is removed in the end. */
  readonly directory: string;
  readonly #undertaker: ChildProcess;
  readonly #entries: Entry[] = [];
  #ending = false;

  constructor(directory: string) {
    this.directory = directory;
    const [program, ...args] = self("demo-undertaker", directory);
    // In a group of its own, Ctrl-C in the terminal does not reach it.
    this.#undertaker = spawn(program, args, {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      detached: true,
      env: childEnvironment(),
    });
    this.#undertaker.on("message", ({ ended }: Obituary) => this.#bury(this.#entries[ended]));
    // Somebody has killed it: nobody is left to hear from.
    this.#undertaker.once("exit", () => {
      for (const entry of this.#entries) this.#bury(entry);
    });
  }

  /** Starts `outrigger ARGS`; throws once the end has begun. */
  start(name: string, args: readonly string[]): DemoProcess {
    if (this.#ending) throw new Error("the demo is ending");
    const logFile = path.join(this.directory, `${name}.log`);
    const id = this.#entries.length;
    const entry: Entry = {
      process: {
        name,
        alive: () => entry.alive,
        logTail: () => (existsSync(logFile) ? lastLines(readFileSync(logFile, "utf8")) : ""),
        kill: () => {
          this.#order({ kind: "kill", id }, entry);
          return entry.ended.promise;
        },
      },
      ended: Promise.withResolvers(),
      alive: true,
      asked: false,
    };
    this.#entries.push(entry);
    this.#undertaker.send({ kind: "start", id, args, logFile } satisfies Order);
    return entry.process;
  }

  /** Those that ended without being asked to. */
  get lost(): readonly DemoProcess[] {
    return this.#entries.filter(({ alive, asked }) => !alive && !asked).map(({ process }) => process);
  }

  /** SIGTERM to all, SIGKILL to those that do not follow it; then the directory is removed. */
  async cleanUp(): Promise<void> {
    this.#ending = true;
    const left = [...this.#entries.entries()].filter(([, { alive }]) => alive);
    const late = systemClock.after(END_MS, () => {
      for (const [id, entry] of left) if (entry.alive) this.#order({ kind: "kill", id }, entry);
    });
    for (const [id, entry] of left) this.#order({ kind: "end", id }, entry);
    await Promise.all(left.map(([, { ended }]) => ended.promise));
    late.cancel();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
    if (this.#undertaker.connected) this.#undertaker.disconnect();
  }

  #order(order: Order, entry: Entry): void {
    entry.asked = true;
    if (this.#undertaker.connected) this.#undertaker.send(order);
  }

  #bury(entry: Entry | undefined): void {
    if (!entry) return;
    entry.alive = false;
    entry.ended.resolve();
  }
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-8).join("\n");
}

/** Settings that a user made for real sidecars are not for the demo's. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("OUTRIGGER_")));
}
