/**
 * A process of its own that starts the demo's others, so that nothing of the demo stays behind, however it ends: when
 * the demo is gone, SIGKILL included, the channel to it closes, and whatever is still running is ended.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, rmSync } from "node:fs";
import { self } from "./self.ts";

/** From the demo. `kill` is SIGKILL to a process and all that it started, `end` a SIGTERM to it alone. */
export type Order =
  | { readonly kind: "start"; readonly id: number; readonly args: readonly string[]; readonly logFile: string }
  | { readonly kind: "end" | "kill"; readonly id: number };

/** To the demo: a process has ended, with all that it started. */
export interface Obituary {
  readonly ended: number;
}

/** `outrigger demo-undertaker DIR`, with an IPC channel to the demo. Removes the directory in the end. */
export function runUndertaker(directory: string): void {
  // A terminal that closes tells everybody; this one has work to do then.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
  const running = new Map<number, ChildProcess>();
  const leave = (): void => {
    if (process.connected || running.size > 0) return;
    rmSync(directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
    process.exit(0);
  };
  process.on("message", (order: Order) => {
    if (order.kind === "start") {
      const { id } = order;
      const child = start(order.args, order.logFile);
      running.set(id, child);
      const bury = (): void => {
        if (!running.delete(id)) return;
        // What it started may outlive it by a moment.
        killGroup(child);
        if (process.connected) process.send?.({ ended: id } satisfies Obituary);
        leave();
      };
      // A process that cannot be started has no end to wait for.
      child.once("close", bury).once("error", bury);
      return;
    }
    const child = running.get(order.id);
    if (child === undefined) return;
    if (order.kind === "end") child.kill("SIGTERM");
    else killGroup(child);
  });
  process.on("disconnect", () => {
    for (const child of running.values()) killGroup(child);
    leave();
  });
}

/** Starts `outrigger ARGS` as the leader of a process group. */
function start(args: readonly string[], logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  const [program, ...own] = self(...args);
  const child = spawn(program, own, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  return child;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Ended already.
  }
}
