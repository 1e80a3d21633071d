/**
 * Builds the programs that tests need and that are written in Go into `.cache/`, once per version: those of `test/h2/tools`
 * (h2spec, gRPC's interop client and server) and of `test/charts/tools` (Helm, and the API server's judgement of CRDs).
 * `node scripts/go-tools.ts` builds all of them.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** A cold build fetches modules too, and Helm's are a thousand packages. */
const BUILD_LIMIT_MS = 900_000;

const H2 = path.join("test", "h2", "tools");
const CHARTS = path.join("test", "charts", "tools");

interface Tool {
  /** Folder of the module whose `go.mod` says the version. */
  readonly module: string;
  readonly package: string;
  /** Minutes of two cores: built only where somebody asks for all tools, as under `CI=true`. */
  readonly large?: boolean;
}

const TOOLS = {
  h2spec: { module: H2, package: "github.com/summerwind/h2spec/cmd/h2spec" },
  "grpc-interop-client": { module: H2, package: "google.golang.org/grpc/interop/client" },
  "grpc-interop-server": { module: H2, package: "google.golang.org/grpc/interop/server" },
  helm: { module: CHARTS, package: "helm.sh/helm/v3/cmd/helm", large: true },
  crdcheck: { module: CHARTS, package: "./crdcheck", large: true },
} as const satisfies Readonly<Record<string, Tool>>;

export type GoTool = keyof typeof TOOLS;

export const GO_TOOLS = Object.keys(TOOLS) as readonly GoTool[];

/**
 * Path of the built program. null if this machine can't build it, or it is a large one that is not there yet and not `all`
 * are wanted; the reason, a sentence, is written to stderr. The versions are those of `go.mod` and `go.sum`, whose hash
 * (with that of sources of our own) names the folder: another version is built anew.
 */
export function goTool(name: GoTool, all = process.env["CI"] === "true"): string | null {
  const tool: Tool = TOOLS[name];
  const module = path.join(root, tool.module);
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum", ...globSync("*/*.go", { cwd: module }).sort()])
    hash.update(readFileSync(path.join(module, file)));
  const folder = path.join(root, ".cache", "go-tools", hash.digest("hex").slice(0, 16));
  const file = path.join(folder, name);
  if (isProgram(file)) return file;
  if (tool.large === true && !all) return complain(`${name} is not built yet: node scripts/go-tools.ts does it`);
  const go = findGo();
  if (go === null) return complain("Go is not installed; Debian has it as golang-go");
  mkdirSync(folder, { recursive: true });
  // Built aside and renamed, so that another process never finds half a program.
  const aside = mkdtempSync(path.join(folder, "building-"));
  try {
    console.error(`building ${tool.package} into .cache/go-tools`);
    const built = path.join(aside, name);
    const run = spawnSync(go, ["build", "-mod=readonly", "-trimpath", "-o", built, tool.package], {
      cwd: module,
      // An older Go fetches the one that the module asks for, where it can.
      env: { GOTOOLCHAIN: "auto", ...process.env },
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe"],
      timeout: BUILD_LIMIT_MS,
    });
    if (run.status !== 0) {
      const reason = run.error?.message ?? run.stderr.trim().split("\n").at(-1) ?? "";
      return complain(`Go could not build ${tool.package}: ${reason}`);
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

if (import.meta.main) process.exitCode = GO_TOOLS.every((name) => goTool(name, true) !== null) ? 0 : 1;
