/** `outrigger demo`: starts the mesh, plays the script or shows the table, and leaves nothing behind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf, UserError } from "../../core/errors.ts";
import type { DemoFlags } from "../demo-command.ts";
import { showMesh } from "./live.ts";
import { startMesh } from "./mesh.ts";
import { Processes } from "./processes.ts";
import { duration } from "./report.ts";
import { createScreen } from "./screen.ts";
import { playScript } from "./script.ts";

/** Exit status of a process that Ctrl-C ended: 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Exits with 1 where a point of the script does not hold, with 130 after Ctrl-C. */
export async function runDemo(flags: DemoFlags): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), "outrigger-demo-"));
  const processes = new Processes(directory);
  const cleanUp = async (): Promise<void> => {
    await processes.endAll();
    rmSync(directory, { recursive: true, force: true });
  };
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // The undertaker does what is left undone.
      if (interrupted) process.exit(EXIT_INTERRUPTED);
      interrupted = true;
      void cleanUp().finally(() => process.exit(EXIT_INTERRUPTED));
    });
  }
  const write = (line: string): void => {
    if (!interrupted) process.stdout.write(`${line}\n`);
  };
  try {
    write("Starting a control plane, three services in five instances, and a sidecar beside each …");
    const mesh = await startMesh(directory, processes);
    write(`The mesh answers after ${duration(mesh.startMs)}.`);
    if (flags.once === true) {
      const failed = await playScript(mesh, write);
      process.exitCode = failed.length === 0 ? 0 : 1;
      write(failed.length === 0 ? "All of it holds." : `This does not hold: ${failed.join("; ")}`);
    } else {
      const terminal = process.stdout.isTTY && process.env["TERM"] !== "dumb";
      const screen = createScreen((text) => process.stdout.write(text), terminal);
      await showMesh(mesh, screen, () => interrupted);
    }
  } catch (error) {
    if (!interrupted) throw new UserError(`the demo failed: ${messageOf(error)}`);
  } finally {
    if (!interrupted) {
      for (const lost of processes.lost) write(`${lost.name} ended while it was needed:\n${lost.logTail()}`);
    }
    if (!interrupted) await cleanUp();
  }
  process.exit();
}
