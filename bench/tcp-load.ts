/** Callers that speak TCP and nothing above it: bulk transfers, connections one after another. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { ThroughputResult } from "./load.ts";
import { LOAD_CORE } from "./processes.ts";

const run = promisify(execFile);

async function client(...args: readonly (string | number)[]): Promise<unknown> {
  const file = path.join(import.meta.dirname, "tcp-client.ts");
  const { stdout } = await run("taskset", ["-c", String(LOAD_CORE), process.execPath, file, ...args.map(String)]);
  return JSON.parse(stdout);
}

/** Moves `bytes` over as many connections at once. Throws if a byte is missing. */
export async function moveBytes(
  port: number,
  way: "upload" | "download",
  bytes: number,
  connections: number,
): Promise<void> {
  await client(way, port, bytes, connections);
}

/** Callers that connect, exchange 16 bytes for one and close, again and again. */
export async function openAndClose(port: number, seconds: number, callers: number): Promise<ThroughputResult> {
  return (await client("connect", port, seconds, callers)) as ThroughputResult;
}
