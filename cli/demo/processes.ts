/** The demo's child processes: each the leader of its own group, with a log file, and ended with all that it started. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { systemClock } from "../../core/clock.ts";
import { self } from "./self.ts";
import { killGroup, Undertaker } from "./undertaker.ts";

/** How long a process may take to end by itself. */
const END_MS = 1500;

export interface DemoProcess {
  readonly name: string;
  readonly pid: number;
  /** False once it has ended. */
  alive(): boolean;
  /** The last lines that it wrote. */
  logTail(): string;
  /** SIGKILL, to it and all that it started; resolves when it has ended. */
  kill(): Promise<void>;
}

export class Processes {
  /** Log files and everything else of the demo are here; it is removed in the end. */
  readonly directory: string;
  readonly #undertaker: Undertaker;
  readonly #running = new Map<DemoProcess, ChildProcess>();
  readonly #lost: DemoProcess[] = [];
  #ending = false;
  readonly #killed = new Set<DemoProcess>();

  constructor(directory: string) {
    this.directory = directory;
    this.#undertaker = new Undertaker(directory);
  }

  /** Starts `outrigger ARGS`; throws once the end has begun. */
  start(name: string, args: readonly string[]): DemoProcess {
    if (this.#ending) throw new Error("the demo is ending");
    const logFile = path.join(this.directory, `${name}.log`);
    const log = openSync(logFile, "a");
    const [program, ...own] = self(...args);
    const child = spawn(program, own, { stdio: ["ignore", log, log], detached: true, env: childEnvironment() });
    closeSync(log);
    const { pid } = child;
    if (pid === undefined) throw new Error(`${name} cannot be started`);
    this.#undertaker.started(pid);
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const started: DemoProcess = {
      name,
      pid,
      alive: () => child.exitCode === null && child.signalCode === null,
      logTail: () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-8).join("\n"),
      kill: () => {
        this.#killed.add(started);
        killGroup(pid);
        return ended;
      },
    };
    this.#running.set(started, child);
    void ended.then(() => {
      this.#running.delete(started);
      if (!this.#ending && !this.#killed.has(started)) this.#lost.push(started);
      // What it started may outlive it by a moment.
      killGroup(pid);
      this.#undertaker.ended(pid);
    });
    return started;
  }

  /** Those that ended without being asked to. */
  get lost(): readonly DemoProcess[] {
    return this.#lost;
  }

  /** Ends all of them and removes the directory. */
  async cleanUp(): Promise<void> {
    await this.#endAll();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
    this.#undertaker.dismiss();
  }

  /** SIGTERM to all, SIGKILL to those that do not follow it. */
  async #endAll(): Promise<void> {
    this.#ending = true;
    const all = [...this.#running];
    await Promise.all(
      all.map(
        ([{ pid }, child]) =>
          new Promise<void>((resolve) => {
            child.once("exit", () => resolve());
            systemClock.after(END_MS, () => killGroup(pid));
            child.kill("SIGTERM");
          }),
      ),
    );
  }
}

/** Settings that a user made for real sidecars are not for the demo's. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("OUTRIGGER_")));
}
