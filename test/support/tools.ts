/**
 * Programs that tests start and that a machine may lack. Where one is missing a test is skipped, by the program's name;
 * under `CI=true` that is a failure, because there `.ci/run` has installed them all.
 */
import { accessSync, constants } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";

/** Where `name` is on the `PATH`, null if it is not. */
export function findTool(name: string): string | null {
  for (const dir of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const file = path.join(dir, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here: the next directory.
    }
  }
  return null;
}

/**
 * Whether the test can go on: `if (!requireTool(t, "openssl")) return;`. Throws under `CI=true` where the tool is
 * missing.
 */
export function requireTool(t: TestContext, name: string): boolean {
  return findTool(name) !== null || skip(t, `${name} is not installed`);
}

/** Skips the test for a reason that lies in the machine, and under `CI=true` throws it. Always false. */
export function skip(t: TestContext, reason: string): false {
  if (process.env["CI"] === "true") throw new Error(`${reason}, and under CI=true nothing may be missing`);
  t.skip(reason);
  return false;
}
