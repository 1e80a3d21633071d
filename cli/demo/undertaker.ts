/**
 * A process of its own that sees to it that nothing of the demo stays behind, however the demo ends, SIGKILL included:
 * it is told which process groups were started, and when its standard input ends it ends those that are left.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { self } from "./self.ts";

/** `outrigger demo-undertaker DIR`. Reads `+PID` and `-PID`, a line each. */
export function runUndertaker(directory: string): void {
  // A terminal that closes tells everybody; this one has work to do then.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
  const groups = new Set<number>();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const pid = Number(line.slice(1));
    if (line.startsWith("+")) groups.add(pid);
    else groups.delete(pid);
  });
  lines.on("close", () => {
    for (const pid of groups) killGroup(pid);
    rmSync(directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
    process.exit(0);
  });
}

/** SIGKILL to a process group; one that is gone is no error. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Ended already.
  }
}

export class Undertaker {
  readonly #child: ChildProcess;

  constructor(directory: string) {
    const [program, ...args] = self("demo-undertaker", directory);
    this.#child = spawn(program, args, { stdio: ["pipe", "ignore", "ignore"], detached: true });
    // Writing to one that somebody has killed is no reason for the demo to fail.
    this.#child.stdin?.on("error", () => undefined);
    this.#child.unref();
  }

  started(pid: number): void {
    this.#child.stdin?.write(`+${pid}\n`);
  }

  ended(pid: number): void {
    this.#child.stdin?.write(`-${pid}\n`);
  }

  /** Nothing is left to do: it may go. */
  dismiss(): void {
    this.#child.stdin?.end();
  }
}
