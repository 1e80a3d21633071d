/**
 * The image's bill of materials (CycloneDX 1.6): what is in it, which version, from where, and which files are of it. No
 * file of the image is without its part, so that a scanner of vulnerabilities misses none.
 */
import { globSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import { type DebianFile, type DebianPackage, debianPackagesOf } from "./debian.ts";

/** One part. Paths are relative to the image's root; that of a folder stands for all below it. */
export interface Component {
  readonly type: "application" | "library";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly evidence: { readonly occurrences: readonly { readonly location: string }[] };
}

export interface Bill {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
}

/** Packages of a lock file by their folder: `node_modules/koffi`. */
type Lock = Readonly<Record<string, LockedPackage>>;

/** The package that brings Node, and what is left of it in the image. */
const NODE_PACKAGE = /^node_modules\/node-(bin-)?(linux|darwin)-/;
const NODE_PLACES = ["usr/local/bin/node", "usr/local/share/doc/node"];

const BUNDLE = "app/dist/outrigger.cjs";

/**
 * The bill of the root file system `root`, whose `app/` holds the installed packages beside the `package-lock.json` that
 * they are of, and in `dist/packages.json` the folders of those that are in the bundle. Throws where a file is of no part.
 */
export function billOf(root: string): Bill {
  const app = path.join(root, "app");
  const lock = (JSON.parse(readFileSync(path.join(app, "package-lock.json"), "utf8")) as { packages: Lock }).packages;
  const bundled = JSON.parse(readFileSync(path.join(app, "dist", "packages.json"), "utf8")) as readonly string[];
  const files = filesOf(root);
  const places = new Map<string, readonly string[]>();
  for (const folder of Object.keys(lock)) {
    if (folder === "") continue;
    const at = [
      ...(files.some((file) => file.startsWith(`app/${folder}/`)) ? [`app/${folder}`] : []),
      ...(bundled.includes(folder) ? [BUNDLE] : []),
      ...(NODE_PACKAGE.test(folder) ? NODE_PLACES.filter((place) => covers(place, files)) : []),
    ];
    if (at.length > 0 && (!NODE_PACKAGE.test(folder) || isOwnNode(folder))) places.set(folder, at);
  }
  const missing = bundled.filter((folder) => !places.has(folder));
  if (missing.length > 0) throw new Error(`in the bundle, but not in package-lock.json: ${missing.join(", ")}`);
  const npm = [...places].map(([folder, at]) => npmComponent(folder, lock[folder] as LockedPackage, at));
  const debian = debianPackagesOf(debianFiles(root));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: npmComponent("node_modules/outrigger", lock[""] as LockedPackage, ownPlaces(files)) },
    components: [...merged(npm), ...debian.map((one) => debianComponent(one, files))].sort((a, b) =>
      a.purl < b.purl ? -1 : 1,
    ),
  };
}

/** What was copied from packages of the machine: all that is neither Node, nor ours, nor a text about them. */
export function debianFiles(root: string): readonly DebianFile[] {
  return filesOf(root)
    .filter((file) => !/^(app|etc|usr\/local)\/|^usr\/share\/doc\//.test(file))
    .map((file) => ({ file, original: original(root, file) }));
}

/** A link of the image's is of the package that its target came with. */
function original(root: string, file: string): string {
  const place = path.join(root, file);
  return lstatSync(place).isSymbolicLink() ? path.posix.join(path.posix.dirname(file), readlinkSync(place)) : file;
}

/** Where the image has the licences of a Debian package. */
export function licencePlace(name: string): string {
  return `usr/share/doc/${name}/copyright`;
}

/** Every file and link of the root file system, relative to it. */
export function filesOf(root: string): readonly string[] {
  return globSync("**", { cwd: root })
    .filter((file) => !lstatSync(path.join(root, file)).isDirectory())
    .sort();
}

/** Of no part: the part that is a file, or the folder that it is in. */
export function uncovered({ metadata, components }: Bill, files: readonly string[]): readonly string[] {
  const places = [metadata.component, ...components].flatMap(locations);
  return files.filter((file) => !places.some((place) => covers(place, [file])));
}

function covers(place: string, files: readonly string[]): boolean {
  return files.some((file) => file === place || file.startsWith(`${place}/`));
}

function locations({ evidence }: Component): readonly string[] {
  return evidence.occurrences.map(({ location }) => location);
}

/** Packages for other platforms are in the lock file, too. */
function isOwnNode(folder: string): boolean {
  return folder.endsWith(`-${process.platform}-${process.arch}`);
}

/** What this project itself makes. */
function ownPlaces(files: readonly string[]): readonly string[] {
  return files.filter((file) => /^(etc\/|app\/[^/]+$|app\/dist\/|app\/node_modules\/\.)/.test(file));
}

function npmComponent(
  folder: string,
  { version, license, integrity }: LockedPackage,
  at: readonly string[],
): Component {
  const name = folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const [, digest] = /^sha512-(\S+)/.exec(integrity ?? "") ?? [];
  return {
    type: NODE_PACKAGE.test(folder) || name === "outrigger" ? "application" : "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(digest !== undefined && {
      hashes: [{ alg: "SHA-512" as const, content: Buffer.from(digest, "base64").toString("hex") }],
    }),
    evidence: { occurrences: at.map((location) => ({ location })) },
  };
}

/** The same version in two folders is one part. */
function merged(components: readonly Component[]): readonly Component[] {
  const byPurl = Map.groupBy(components, ({ purl }) => purl);
  return [...byPurl.values()].map((same) => {
    const at = new Set(same.flatMap(locations));
    return { ...(same[0] as Component), evidence: { occurrences: [...at].map((location) => ({ location })) } };
  });
}

function debianComponent(
  { name, version, architecture, distribution, files }: DebianPackage,
  all: readonly string[],
): Component {
  const encoded = encodeURIComponent(version);
  const purl = `pkg:deb/${distribution.id}/${encodeURIComponent(name)}@${encoded}?arch=${architecture}&distro=${distribution.id}-${distribution.version}`;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    evidence: {
      occurrences: [...files, licencePlace(name)]
        .filter((file) => all.includes(file))
        .map((location) => ({ location })),
    },
  };
}
