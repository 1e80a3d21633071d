/** How an image gets into the cluster: by the command that `OUTRIGGER_LOAD_IMAGE` says. */
import { spawnSync } from "node:child_process";

const LIMIT_MS = 300_000;

export function mayLoad(): boolean {
  return (process.env["OUTRIGGER_LOAD_IMAGE"] ?? "") !== "";
}

/** Runs the command, in which `$1` is the archive and `$2` the reference; where it names neither, both are added. */
export function loadArchive(archive: string, reference: string): void {
  const command = process.env["OUTRIGGER_LOAD_IMAGE"] ?? "";
  const script = /\$\{?[12@*]/.test(command) ? command : `${command} "$@"`;
  const load = spawnSync("/bin/sh", ["-c", script, "load", archive, reference], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: LIMIT_MS,
  });
  if (load.status !== 0) throw new Error(`OUTRIGGER_LOAD_IMAGE ended with ${load.status ?? load.signal}`);
}
