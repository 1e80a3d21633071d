/** The suite and the application of its pods, built from the Go modules that `go.mod` here names, once per version. */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { findGo, toolFolder } from "../go-tools.ts";
import { writeArchive } from "../image/archive.ts";
import { layerEntries } from "../image/layer.ts";

const here = import.meta.dirname;
/** Cold, with all that a client of Kubernetes is made of. */
const BUILD_LIMIT_MS = 1_800_000;
const GATEWAY_API = "sigs.k8s.io/gateway-api";

/** Node's names for processors, and Go's, in which images are described. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export interface Suite {
  /** The suite as a program (`go test -c`). */
  readonly program: string;
  /** Files with the definitions that it is for, Gateway API's standard channel. */
  readonly definitions: readonly string[];
  /** Images that its pods ask for. */
  readonly images: readonly string[];
}

/** Throws where Go is missing or can't build. */
export function buildSuite(): Suite {
  const program = built("suite.test", ["test", "-c"], "./suite");
  const definitions = globSync(path.join(moduleFolder(GATEWAY_API), "config", "crd", "standard", "*.yaml"))
    .filter((file) => path.basename(file) !== "kustomization.yaml")
    .sort();
  const manifests = path.join(moduleFolder(`${GATEWAY_API}/conformance`), "mesh", "manifests.yaml");
  const images = [...readFileSync(manifests, "utf8").matchAll(/^\s*image:\s*"?([^\s"]+)"?\s*$/gm)].map(
    ([, reference = ""]) => reference,
  );
  return { program, definitions, images: [...new Set(images)] };
}

/** The archive of an image with the application of the suite's pods, under the name by which they ask for it. */
export async function buildEchoImage(reference: string): Promise<string> {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`there is no image for ${process.arch}`);
  const program = built("echo", ["build"], "./echo");
  const folder = mkdtempSync(path.join(path.dirname(program), "image-"));
  try {
    const bin = path.join(folder, "usr", "local", "bin");
    mkdirSync(bin, { recursive: true });
    execFileSync("cp", [program, path.join(bin, "client")]);
    symlinkSync("client", path.join(bin, "server"));
    const archive = path.join(path.dirname(program), "echo.tar");
    await writeArchive(archive, {
      layer: layerEntries(folder, {}),
      // Not the sidecar's user, whose connections are let pass.
      config: {
        User: "1338:1338",
        Env: ["PATH=/usr/local/bin"],
        Entrypoint: ["/usr/local/bin/server"],
        WorkingDir: "/",
      },
      architecture,
      reference,
      labels: {},
    });
    return archive;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function built(name: string, command: readonly string[], source: string): string {
  const folder = toolFolder(path.relative(path.join(here, "..", ".."), here));
  const file = path.join(folder, name);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const aside = mkdtempSync(path.join(folder, "building-"));
  try {
    console.error(`building ${name}`);
    const output = path.join(aside, name);
    go([...command, "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", output, source]);
    renameSync(output, file);
    return file;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Where Go keeps a module that `go.mod` names; it fetches what is not there. */
function moduleFolder(module: string): string {
  const { Dir } = JSON.parse(go(["mod", "download", "-json", module])) as { readonly Dir: string };
  return Dir;
}

function go(args: readonly string[]): string {
  const program = findGo();
  if (program === null) throw new Error("Go is not installed; Debian has it as golang-go");
  return execFileSync(program, args, {
    cwd: here,
    env: { GOTOOLCHAIN: "auto", ...process.env, CGO_ENABLED: "0" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: BUILD_LIMIT_MS,
  });
}
