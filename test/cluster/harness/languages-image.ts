/**
 * An image with programs in other languages than the mesh's own, from what this machine has: CPython, Perl, curl, nginx, and
 * the gRPC project's own programs in Go. It comes into the cluster as Outrigger's own image does.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { goTool } from "../../../scripts/go-tools.ts";
import { writeArchive } from "../../../scripts/image/archive.ts";
import { layerEntries } from "../../../scripts/image/layer.ts";
import { loadArchive, mayLoad } from "../../../scripts/load-image.ts";
import { findTool } from "../../support/tools.ts";

/** Programs with the folders that they need, as Debian has them. Libraries are found by `ldd`. */
const PROGRAMS: readonly { readonly program: string; readonly folders: readonly string[] }[] = [
  { program: "/usr/bin/python3", folders: ["/usr/lib/python3", "/usr/lib/python3.*"] },
  { program: "/usr/bin/perl", folders: ["/usr/lib/*/perl-base"] },
  { program: "/usr/bin/curl", folders: [] },
  { program: "/usr/sbin/nginx", folders: [] },
];

const UNWANTED = /\/(__pycache__|test|tests|idlelib|tkinter|config-3[^/]*|dist-packages)(\/|$)/;

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Why it can't be made here, or null. */
export function whyNoLanguages(): string | null {
  if (!mayLoad()) return "OUTRIGGER_LOAD_IMAGE does not say how an image gets into the cluster";
  for (const { program } of PROGRAMS) if (!existsSync(program)) return `${program} is not installed`;
  if (findTool("ldd") === null) return "ldd is not installed";
  return goTool("grpc-interop-server") === null ? "the gRPC project's programs are not built" : null;
}

/** Builds it and has it loaded; its reference. The programs have their own paths, those in Go are in `/usr/local/bin`. */
export async function languagesImage(): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-languages-"));
  try {
    const root = path.join(folder, "root");
    for (const { program, folders } of PROGRAMS) {
      copyFile(root, program, program);
      for (const pattern of folders) for (const found of globSync(pattern)) copyFolder(root, found);
    }
    for (const tool of ["grpc-interop-server", "grpc-interop-client"] as const) {
      copyFile(root, goTool(tool) ?? "", `/usr/local/bin/${tool}`);
    }
    copyLibraries(root);
    for (const empty of ["tmp", "run", "var/log/nginx", "var/lib/nginx", "etc/nginx"]) {
      mkdirSync(path.join(root, empty), { recursive: true });
    }
    const archive = path.join(folder, "languages.tar");
    const { reference } = await writeArchive(archive, {
      layer: layerEntries(root, { tmp: { mode: 0o1777, owner: 0 } }),
      config: { User: "1000", Env: ["PATH=/usr/local/bin:/usr/bin:/usr/sbin"], Entrypoint: [], WorkingDir: "/" },
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      reference: "localhost/outrigger-test-languages",
      labels: {},
    });
    loadArchive(archive, reference);
    return reference;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function copyFile(root: string, file: string, target: string): void {
  const place = path.join(root, target);
  mkdirSync(path.dirname(place), { recursive: true });
  copyFileSync(realpathSync(file), place);
}

function copyFolder(root: string, folder: string): void {
  cpSync(folder, path.join(root, folder), {
    recursive: true,
    dereference: true,
    filter: (file) => !UNWANTED.test(file) && existsSync(file),
  });
}

/** What programs and the native modules of their folders are linked with. Those in Go are linked with nothing. */
function copyLibraries(root: string): void {
  const programs = PROGRAMS.map(({ program }) => program);
  const modules = globSync("**/*.so", { cwd: root }).map((file) => `/${file}`);
  const listed = execFileSync("ldd", [...programs, ...modules], { encoding: "utf8", maxBuffer: 1 << 24 });
  const named = new Set([...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = ""]) => file));
  for (const file of named) copyFile(root, file, file);
}
