/** Starting a proxy, either one, on a bootstrap file, and ending it. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export type Side = "envoy" | "outrigger";

const MAIN = path.join(fileURLToPath(new URL("../../..", import.meta.url)), "cli", "main.ts");
const START_LIMIT_MS = 20_000;

export interface RunningProxy {
  /** Of the process. */
  readonly pid: number;
  /** What it wrote, for errors. */
  output(): string;
  readonly exited: () => boolean;
  stop(): Promise<void>;
}

/** How a proxy's process is set apart. */
export interface Apart {
  /** The process's, by which rules know its connections. */
  readonly group?: number;
  /** In a network namespace of its own, in which nothing is up. */
  readonly network?: boolean;
}

/** `nodeFlags`: for the Node that runs Outrigger. */
export function startProxy(
  side: Side,
  envoy: string,
  bootstrap: string,
  nodeFlags: readonly string[] = [],
  { group, network = false }: Apart = {},
): RunningProxy {
  const flush = ["--file-flush-interval-msec", "20", "--log-level", "warning"];
  const as = group === undefined ? {} : { gid: group };
  const line =
    side === "envoy"
      ? [envoy, "-c", bootstrap, "--concurrency", "1", "--disable-hot-restart", ...flush]
      : [process.execPath, ...nodeFlags, MAIN, "proxy", "-c", bootstrap, "--drain-time-s", "0", ...flush];
  const [program = "", ...args] = network ? ["unshare", "--net", ...line] : line;
  const child = spawn(program, args, as);
  let text = "";
  let over = false;
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-6000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      over = true;
      resolve();
    };
    child.once("exit", end);
    child.once("error", (error) => {
      text += error.message;
      end();
    });
  });
  return {
    pid: child.pid ?? 0,
    output: () => text,
    exited: () => over,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Resolves once all ports accept connections. Throws with the proxy's own words if it ends before. */
export async function untilReady(side: Side, proxy: RunningProxy, ports: readonly number[]): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (proxy.exited()) throw new Error(`${side} ended at once:\n${proxy.output()}`);
      if (performance.now() > deadline) throw new Error(`${side} does not listen on ${port}:\n${proxy.output()}`);
      await wait(20);
    }
  }
}

/** Resolves once something listens on all ports, without connecting to them. Throws like `untilReady`. */
export async function untilListening(side: Side, proxy: RunningProxy, ports: readonly number[]): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  for (let missing = ports; missing.length > 0; ) {
    const listening = listeningPorts();
    missing = missing.filter((port) => !listening.has(port));
    if (missing.length === 0) return;
    if (proxy.exited()) throw new Error(`${side} ended at once:\n${proxy.output()}`);
    if (performance.now() > deadline) throw new Error(`${side} does not listen on ${missing}:\n${proxy.output()}`);
    await wait(20);
  }
}

/** The kernel's list of sockets: ports are hexadecimal, and state 0A is LISTEN. */
function listeningPorts(): Set<number> {
  const sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFileSync(file, "utf8")).join("");
  const lines = sockets.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm);
  return new Set(Array.from(lines, ([, port = ""]) => Number.parseInt(port, 16)));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
