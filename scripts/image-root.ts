/**
 * `node scripts/image-root.ts DIR [--iptables]`: the root file system of Outrigger's image in a fresh folder: Node's binary,
 * `dist/`, the packages that it needs at run time, the shared libraries that those name, a list of all that, and nothing
 * else: no shell, no package manager. `--iptables` adds what `outrigger init` calls. Run it on Debian, after `npm ci` and `npm run build`:
 * libraries are those of the machine. The Containerfile runs it, and so can whoever packs images without one.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { billOf, debianFiles, filesOf, licencePlace, uncovered } from "./image/bill.ts";
import { debianPackagesOf } from "./image/debian.ts";

const source = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** The user that sidecars run as, by whom `outrigger init` knows their connections. */
const PROXY_ID = 1337;
/** What is read by people and compilers only. */
const READING_MATTER = "**/*.{map,md,markdown,d.ts,d.cts,d.mts,ts,flow}";

const { values: flags, positionals } = parseArgs({
  options: { iptables: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [target = ""] = positionals;
if (positionals.length !== 1 || existsSync(target)) {
  console.error("usage: node scripts/image-root.ts DIR [--iptables]; DIR must not exist yet");
  process.exit(2);
}

const root = path.resolve(target);
const app = path.join(root, "app");
mkdirSync(app, { recursive: true });
for (const file of ["package.json", "package-lock.json"]) copyFileSync(path.join(source, file), path.join(app, file));
cpSync(path.join(source, "dist"), path.join(app, "dist"), { recursive: true });
copyFileSync(path.join(source, "LICENSE"), path.join(app, "LICENSE"));
execFileSync("npm", ["ci", "--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"], {
  cwd: app,
  stdio: "inherit",
});
const programs = [takeNode(), ...slimPackages(), ...(flags.iptables ? takeIptables() : [])];
takeLibraries(programs);
writeAccounts();
takeLicences();
writeBill();
console.log(`${root}: ${(sizeOf(root) / 1e6).toFixed(0)} MB`);

/** Node as it came from the registry, without symbols that only debuggers read (a quarter of it). */
function takeNode(): string {
  const [found] = globSync(`node_modules/{node-${process.platform}-${process.arch},node-bin-*}/bin/node`, { cwd: app });
  if (found === undefined) throw new Error(`no package brought Node for ${process.platform}-${process.arch}`);
  const node = path.join(root, "usr", "local", "bin", "node");
  mkdirSync(path.dirname(node), { recursive: true });
  renameSync(path.join(app, found), node);
  execFileSync("strip", [node]);
  chmodSync(node, 0o755);
  const brought = path.join(app, path.dirname(path.dirname(found)));
  copyTo("usr/local/share/doc/node/LICENSE", path.join(brought, "LICENSE"));
  rmSync(brought, { recursive: true });
  return node;
}

/** Removes what nothing loads; gives the native modules that are left. */
function slimPackages(): readonly string[] {
  const packages = path.join(app, "node_modules");
  rmSync(path.join(packages, ".bin"), { recursive: true, force: true });
  rmSync(path.join(packages, "@types"), { recursive: true, force: true });
  for (const file of globSync(READING_MATTER, { cwd: packages })) rmSync(path.join(packages, file), { force: true });
  const natives = globSync("@koromix/*/*/koffi.node", { cwd: packages }).map((file) => path.join(packages, file));
  const own = natives.filter((file) => !path.basename(path.dirname(file)).startsWith("musl"));
  for (const file of natives) if (!own.includes(file)) rmSync(path.dirname(file), { recursive: true });
  return own;
}

/** iptables of both kinds with the extensions that it loads, and `ip` for TPROXY's routes. */
function takeIptables(): readonly string[] {
  const sbin = path.join(root, "usr", "sbin");
  mkdirSync(sbin, { recursive: true });
  const taken = ["xtables-nft-multi", "xtables-legacy-multi", "ip"].map((name) => {
    const file = path.join(sbin, name);
    const found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map((dir) => path.join(dir, name)).find(existsSync);
    if (found === undefined) throw new Error(`${name} is not installed (Debian: packages iptables and iproute2)`);
    copyFileSync(realpathSync(found), file);
    return file;
  });
  for (const [ending, program] of [
    ["", "xtables-nft-multi"],
    ["-nft", "xtables-nft-multi"],
    ["-legacy", "xtables-legacy-multi"],
  ]) {
    for (const family of ["iptables", "ip6tables"])
      for (const act of ["", "-save", "-restore"])
        symlinkSync(program ?? "", path.join(sbin, `${family}${ending}${act}`));
  }
  const extensions = globSync("/usr/lib/*/xtables/libx*t_*.so").concat(globSync("/usr/lib/*/xtables/libip*t_*.so"));
  for (const file of extensions) copyAt(file);
  return [...taken, ...extensions];
}

/** Every shared library that the programs name, at its own place. */
function takeLibraries(programs: readonly string[]): void {
  const named = programs.flatMap((program) => {
    const lines = execFileSync("ldd", [program], { encoding: "utf8" });
    return [...lines.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = ""]) => file);
  });
  for (const file of new Set(named)) copyAt(file);
}

function copyAt(file: string): void {
  copyTo(file, file);
  chmodSync(path.join(root, file), 0o755);
}

function copyTo(target: string, file: string): void {
  const place = path.join(root, target);
  mkdirSync(path.dirname(place), { recursive: true });
  copyFileSync(file, place);
}

/** Of the machine's libraries and programs; those of npm's packages lie in their folders, or in `dist/`. */
function takeLicences(): void {
  for (const { name } of debianPackagesOf(debianFiles(root))) {
    const text = `/usr/share/doc/${name}/copyright`;
    if (existsSync(text)) copyTo(licencePlace(name), text);
  }
}

/** What the image is made of, in the image itself. The lock file was read for it, and nothing else reads it there. */
function writeBill(): void {
  const bill = billOf(root);
  rmSync(path.join(app, "package-lock.json"));
  rmSync(path.join(app, "node_modules", ".package-lock.json"), { force: true });
  const unknown = uncovered(bill, filesOf(root));
  if (unknown.length > 0) throw new Error(`of no known part: ${unknown.join(", ")}`);
  writeFileSync(path.join(app, "sbom.cdx.json"), `${JSON.stringify(bill, null, 1)}\n`);
}

/** Who may run here, how names are resolved, and where something may be written. */
function writeAccounts(): void {
  const files: Readonly<Record<string, string>> = {
    "etc/passwd": `root:x:0:0:root:/:/sbin/nologin\noutrigger:x:${PROXY_ID}:${PROXY_ID}:outrigger:/var/lib/outrigger:/sbin/nologin\n`,
    "etc/group": `root:x:0:\noutrigger:x:${PROXY_ID}:\n`,
    "etc/nsswitch.conf": "hosts: files dns\n",
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  const state = path.join(root, "var", "lib", "outrigger");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  if (process.getuid?.() === 0) chownSync(state, PROXY_ID, PROXY_ID);
  mkdirSync(path.join(root, "tmp"));
  chmodSync(path.join(root, "tmp"), 0o1777);
  const { version } = JSON.parse(readFileSync(path.join(app, "package.json"), "utf8")) as { version: string };
  writeFileSync(path.join(root, "etc", "os-release"), `ID=outrigger\nVERSION_ID=${version}\n`);
}

/** Bytes of all files below. */
function sizeOf(folder: string): number {
  return globSync("**", { cwd: folder }).reduce((sum, file) => {
    const stat = statSync(path.join(folder, file), { throwIfNoEntry: false });
    return sum + (stat?.isFile() ? stat.size : 0);
  }, 0);
}
