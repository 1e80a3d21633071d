/** Which Debian package brought a file: what dpkg of the machine says that the image's libraries were copied from. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly distribution: { readonly id: string; readonly version: string };
  /** Those of the image that were asked for. */
  readonly files: readonly string[];
}

/** A file of the image, and what it is a copy of, both relative to `/`. */
export interface DebianFile {
  readonly file: string;
  readonly original: string;
}

const SHOWN = ["Package", "Version", "Architecture"].map((field) => `\${${field}}`).join(" ");

/** The packages that the originals are of. Throws where one is of no package. */
export function debianPackagesOf(files: readonly DebianFile[]): readonly DebianPackage[] {
  if (files.length === 0) return [];
  const names = new Map(files.map(({ original }) => [original, namesOf(`/${original}`)]));
  const owners = ownersOf([...names.values()].flat());
  const byPackage = Map.groupBy(files, ({ original }) => {
    const owner = names.get(original)?.flatMap((name) => owners.get(name) ?? [])[0];
    if (owner === undefined) throw new Error(`/${original} is of no Debian package`);
    return owner;
  });
  const distribution = distributionOf(readFileSync("/etc/os-release", "utf8"));
  return [...byPackage].map(([owner, own]) => {
    const [name = "", version = "", architecture = ""] = dpkgQuery(["--show", "--showformat", SHOWN, owner]).split(" ");
    return { name, version, architecture, distribution, files: own.map(({ file }) => file) };
  });
}

/** What dpkg may know the file as: `/lib` and `/usr/lib` are one folder, and a name may be a link to the file. */
function namesOf(file: string): readonly string[] {
  const known = existsSync(file) ? [file, realpathSync(file)] : [file];
  const both = known.flatMap((name) => (name.startsWith("/usr/") ? [name, name.slice(4)] : [name, `/usr${name}`]));
  return [...new Set(both)];
}

function ownersOf(names: readonly string[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const line of dpkgQuery(["--search", "--", ...names]).split("\n")) {
    const [, packages = "", name = ""] = /^([^ ].*?): (\/.*)$/.exec(line) ?? [];
    const [first] = packages.split(", ");
    if (first !== undefined && first !== "" && !packages.startsWith("diversion by")) owners.set(name, first);
  }
  return owners;
}

/** Names that are not found are no failure: dpkg-query tells of the others. */
function dpkgQuery(args: readonly string[]): string {
  const { error, stdout } = spawnSync("dpkg-query", args, { encoding: "utf8", maxBuffer: 1 << 24 });
  if (error !== undefined) throw new Error(`dpkg-query: ${error.message}; the image is made on Debian`);
  return stdout;
}

function distributionOf(text: string): DebianPackage["distribution"] {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1] ?? "unknown";
  return { id: field("ID"), version: field("VERSION_ID") };
}
