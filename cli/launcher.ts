#!/usr/bin/env node
/**
 * The `outrigger` command as installed: starts the bundle with the Node that came with the package and with the flags
 * that the data plane was measured with. It must run on whatever Node the machine has, so it uses only old APIs.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, constants } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Half of the tail latency of the default for 20 MB more (docs/decisions/0003-young-generation.md). */
const FLAGS = ["--max-semi-space-size=16", "--disable-warning=ExperimentalWarning"];
/** What it was measured and tested with, and the oldest that has all that the bundle uses. */
const WANTED_MAJOR = 26;
const LEAST_MAJOR = 24;

/** The Node that runs this if it is new enough, else the one that the optional dependencies brought. */
function findNode(): string {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= WANTED_MAJOR) return process.execPath;
  const require = createRequire(import.meta.url);
  for (const name of [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]) {
    try {
      const candidate = path.join(path.dirname(require.resolve(`${name}/package.json`)), "bin", "node");
      if (existsSync(candidate)) return candidate;
    } catch {
      // Not installed for this platform: the next name, then the message below.
    }
  }
  if (major >= LEAST_MAJOR) return process.execPath;
  console.error(
    `outrigger: Node ${LEAST_MAJOR} or newer is needed, this is ${process.version}, and the package brought none for this platform`,
  );
  process.exit(1);
}

const node = findNode();
const main = path.join(path.dirname(fileURLToPath(import.meta.url)), "outrigger.cjs");
// Helpers of the collector on the one core that there is would only keep the proxy itself waiting for its turn.
const gc = availableParallelism() === 1 ? ["--single-threaded-gc"] : [];
const args = [...FLAGS, ...gc, main, ...process.argv.slice(2)];

// In place of this process where that can be had: one process less, and signals need no passing on.
if (typeof process.execve === "function" && node === process.execPath) {
  process.execve(node, [node, ...args], process.env as Record<string, string>);
} else {
  const child = spawn(node, args, { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself, and a second SIGINT would cut its drain short.
  const passedOn = process.stdin.isTTY ? [] : (["SIGINT"] as const);
  if (process.stdin.isTTY) process.on("SIGINT", () => undefined);
  for (const signal of [...passedOn, "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const)
    process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`outrigger: cannot run ${node}: ${error.message}`);
    process.exit(126);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
}
