/** `outrigger demo`: starts the mesh, plays the script or shows the table, and leaves nothing behind. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf } from "../../core/errors.ts";
import type { DemoFlags } from "../demo-command.ts";
import { showMesh } from "./live.ts";
import { startMesh } from "./mesh.ts";
import { Processes } from "./processes.ts";
import { duration } from "./report.ts";
import { createScreen } from "./screen.ts";
import { playScript } from "./script.ts";

const PLAIN = "four services in eight instances, and a sidecar beside each";
const TRANSPARENT = "five services in ten instances, each in a network of its own that its sidecar looks after";

/** Exit status of a process that Ctrl-C ended: 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Ends the process: with 0, with 1 where a point of the script does not hold, with 130 after Ctrl-C. */
export async function runDemo(flags: DemoFlags): Promise<void> {
  if (flags.transparent) {
    const { mustBePossible } = await import("../run/surroundings.ts");
    await mustBePossible();
  }
  const processes = new Processes(mkdtempSync(path.join(tmpdir(), "outrigger-demo-")));
  let interrupted = false;
  const interrupt = (): void => {
    // Impatience is no reason to leave anything behind: the undertaker does what is left undone.
    if (interrupted) process.exit(EXIT_INTERRUPTED);
    interrupted = true;
    void processes.cleanUp().finally(() => process.exit(EXIT_INTERRUPTED));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  // Whoever read the output has gone.
  process.stdout.on("error", interrupt);
  const write = (text: string): void => {
    if (!interrupted) process.stdout.write(text);
  };

  let status = 1;
  try {
    status = await play(flags, processes, write, () => interrupted);
  } catch (error) {
    write(`\nThe demo failed: ${messageOf(error)}\n`);
  }
  if (interrupted) return;
  for (const lost of processes.lost) write(`${lost.name} ended while it was needed:\n${lost.logTail()}\n`);
  await processes.cleanUp();
  process.exit(status);
}

async function play(
  flags: DemoFlags,
  processes: Processes,
  write: (text: string) => void,
  interrupted: () => boolean,
): Promise<number> {
  const transparent = flags.transparent === true;
  write(`Starting a control plane, ${transparent ? TRANSPARENT : PLAIN} …\n`);
  const mesh = await startMesh(processes, transparent);
  write(`The mesh is ready after ${duration(mesh.startMs)}.\n`);
  if (flags.once === true) {
    const failed = await playScript(mesh, (line) => write(`${line}\n`));
    write(failed.length === 0 ? "\nAll of it holds.\n" : `\nThis does not hold: ${failed.join("; ")}\n`);
    return failed.length === 0 ? 0 : 1;
  }
  write("\n");
  const terminal = process.stdout.isTTY && process.env["TERM"] !== "dumb";
  await showMesh(mesh, createScreen(write, terminal), interrupted);
  return 0;
}
