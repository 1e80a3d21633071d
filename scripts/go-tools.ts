/**
 * Builds the programs that tests need and that are written in Go into `.cache/`, once per version: those of `test/h2/tools`
 * (h2spec, gRPC's interop client and server), of `test/charts/tools` (Helm, and the API server's judgement of CRDs) and of
 * `test/kube-api/tools` (an API server with its store).
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

/** A cold build fetches modules too, and compiles some two thousand packages, on machines that may have more to do. */
const BUILD_LIMIT_MS = 1_800_000;

const H2 = path.join("test", "h2", "tools");
const CHARTS = path.join("test", "charts", "tools");
const KUBE = path.join("test", "kube-api", "tools");

interface Tool {
  /** Folder of the module whose `go.mod` says the version. */
  readonly module: string;
  readonly package: string;
  /** Minutes of two cores: built only where somebody asks for all tools, as under `CI=true`. */
  readonly large?: boolean;
  /** What the linker is told, given the module's `go.mod`. */
  readonly linker?: (goMod: string) => string;
}

const TOOLS = {
  h2spec: { module: H2, package: "github.com/summerwind/h2spec/cmd/h2spec" },
  "grpc-interop-client": { module: H2, package: "google.golang.org/grpc/interop/client" },
  "grpc-interop-server": { module: H2, package: "google.golang.org/grpc/interop/server" },
  helm: { module: CHARTS, package: "helm.sh/helm/v3/cmd/helm", large: true },
  crdcheck: { module: CHARTS, package: "./crdcheck", large: true },
  etcd: { module: path.join(KUBE, "etcd"), package: "go.etcd.io/etcd/server/v3", large: true, linker: () => "-s -w" },
  "kube-apiserver": {
    module: path.join(KUBE, "kubernetes"),
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    large: true,
    linker: kubernetesLinker,
  },
} as const satisfies Readonly<Record<string, Tool>>;

export type GoTool = keyof typeof TOOLS;

export const GO_TOOLS = Object.keys(TOOLS) as readonly GoTool[];

/** Programs of Kubernetes are told their version, which they otherwise take for 0.0.0; and none needs its symbols. */
function kubernetesLinker(goMod: string): string {
  const [, version = "", major = "", minor = ""] =
    /^require k8s\.io\/kubernetes (v(\d+)\.(\d+)\S*)$/m.exec(goMod) ?? [];
  if (version === "") throw new Error("go.mod does not say which Kubernetes it requires");
  const facts = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean", gitCommit: "module" };
  return ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
    .flatMap((target) => Object.entries(facts).map(([name, value]) => `-X ${target}.${name}=${value}`))
    .reduce((flags, flag) => `${flags} ${flag}`, "-s -w");
}

/** Where what is built of a module is kept: its versions and sources, by their hash, name the folder. */
export function toolFolder(module: string): string {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum", ...globSync("*/*.go", { cwd: path.join(root, module) }).sort()])
    hash.update(readFileSync(path.join(root, module, file)));
  return path.join(root, ".cache", "go-tools", hash.digest("hex").slice(0, 16));
}

/**
 * Path of the built program. null if this machine can't build it, or it is a large one that is not there yet and not `all`
 * are wanted; the reason, a sentence, is written to stderr. The versions are those of `go.mod` and `go.sum`, whose hash
 * (with that of sources of our own) names the folder: another version is built anew.
 */
export function goTool(name: GoTool, all = process.env["CI"] === "true"): string | null {
  const tool: Tool = TOOLS[name];
  const module = path.join(root, tool.module);
  const folder = toolFolder(tool.module);
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
    const linker =
      tool.linker === undefined ? [] : [`-ldflags=${tool.linker(readFileSync(path.join(module, "go.mod"), "utf8"))}`];
    const args = ["build", "-mod=readonly", "-trimpath", ...linker, "-o", built, tool.package];
    const run = spawnSync(go, args, {
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
export function findGo(): string | null {
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

export function complain(reason: string): null {
  console.error(reason);
  return null;
}

if (import.meta.main) process.exitCode = GO_TOOLS.every((name) => goTool(name, true) !== null) ? 0 : 1;
