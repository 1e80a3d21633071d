/** Starting, pinning, measuring and ending the processes of a benchmark. Linux only: figures come from /proc. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** The proxy has a core to itself; load and backend share the other. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

const running = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
  /** What it wrote, for errors. */
  output(): string;
  ended(): boolean;
}

export function start(command: readonly string[], core: number, env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn("taskset", ["-c", String(core), ...command], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  running.add(child);
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-8000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      running.delete(child);
      resolve();
    });
    child.once("error", (error) => {
      text += error.message;
      running.delete(child);
      resolve();
    });
  });
  return {
    pid: child.pid ?? -1,
    output: () => text,
    ended: () => !running.has(child),
    async stop() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 3000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** User and system CPU time of a process and all its threads, microseconds. */
export function cpuMicros(pid: number): number {
  return userMicros(pid) + microsOf(pid, 12);
}

/** User CPU time alone. */
export function userMicros(pid: number): number {
  return microsOf(pid, 11);
}

/** A field of /proc/PID/stat that is a time, counted from the one after the process's name. */
function microsOf(pid: number, field: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[field]) * 1e6) / TICKS_PER_SECOND;
}

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Resident memory, MB (10^6 bytes are not used: these are mebibytes, as `top` shows them). */
export function rssMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kb ?? 0) / 1024;
}

/** Resolves once something listens on the port; the time it took, ms. */
export async function untilListening(port: number, process: Running, limitMs = 20_000): Promise<number> {
  const begin = performance.now();
  while (performance.now() - begin < limitMs) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    // Who listens may be somebody else.
    if (process.ended()) throw new Error(`ended before it listened on port ${port}:\n${process.output()}`);
    if (open) return performance.now() - begin;
    await wait(2);
  }
  throw new Error(`nothing listens on port ${port} after ${limitMs} ms:\n${process.output()}`);
}

/** Where a command is found, or null. */
export function which(command: string): string | null {
  try {
    return execFileSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}
