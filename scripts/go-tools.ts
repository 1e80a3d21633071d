/** Builds the programs of `test/h2/tools` (h2spec, gRPC's interop client and server) into `.cache/`, once per version. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const module = path.join(root, "test", "h2", "tools");

/** A cold build fetches modules too. */
const BUILD_LIMIT_MS = 300_000;

const PACKAGES = {
  h2spec: "github.com/summerwind/h2spec/cmd/h2spec",
  "grpc-interop-client": "google.golang.org/grpc/interop/client",
  "grpc-interop-server": "google.golang.org/grpc/interop/server",
} as const;

export type GoTool = keyof typeof PACKAGES;

export const GO_TOOLS = Object.keys(PACKAGES) as readonly GoTool[];

/**
 * Path of the built program. null if this machine can't build it; the reason, a sentence, is written to stderr. The
 * versions are those of `go.mod` and `go.sum`, whose hash names the folder: another version is built anew.
 */
export function goTool(name: GoTool): string | null {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(path.join(module, file)));
  const folder = path.join(root, ".cache", "go-tools", hash.digest("hex").slice(0, 16));
  const file = path.join(folder, name);
  if (isProgram(file)) return file;
  const go = findGo();
  if (go === null) return complain("Go is not installed; Debian has it as golang-go");
  mkdirSync(folder, { recursive: true });
  // Built aside and renamed, so that another process never finds half a program.
  const aside = mkdtempSync(path.join(folder, "building-"));
  try {
    console.error(`building ${PACKAGES[name]} into .cache/go-tools`);
    const built = path.join(aside, name);
    const run = spawnSync(go, ["build", "-mod=readonly", "-trimpath", "-o", built, PACKAGES[name]], {
      cwd: module,
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe"],
      timeout: BUILD_LIMIT_MS,
    });
    if (run.status !== 0) {
      const reason = run.error?.message ?? run.stderr.trim().split("\n").at(-1) ?? "";
      return complain(`Go could not build ${PACKAGES[name]}: ${reason}`);
    }
    renameSync(built, file);
    return file;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Go of the `PATH`, else the newest of those that Debian keeps in `/usr/lib`, else where Go's own archive is unpacked. */
function findGo(): string | null {
  const named = (process.env["PATH"] ?? "").split(path.delimiter).map((dir) => path.join(dir, "go"));
  const debian = list("/usr/lib")
    .filter((name) => /^go-\d/.test(name))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => path.join("/usr/lib", name, "bin", "go"));
  return [...named, ...debian, "/usr/local/go/bin/go"].find(isProgram) ?? null;
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function complain(reason: string): null {
  console.error(reason);
  return null;
}
