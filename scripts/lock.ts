/**
 * `npm run lock`: writes `package-lock.json` anew after a change of `package.json`. A registry mirror may lack packages
 * for platforms that are not its own; npm then leaves them out, and `npm ci` refuses the file everywhere. They are put
 * back by name and version, as optional packages of their platform, without the hash that only the registry knows.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface LockFile {
  readonly packages: Record<string, LockedPackage>;
}

const CPUS: Readonly<Record<string, string>> = { aarch64: "arm64", armv7: "arm" };

/** Optional dependencies that packages of the file have and that the file does not hold: name and version. */
export function missingOptional({ packages }: LockFile): readonly (readonly [name: string, version: string])[] {
  return Object.entries(packages).flatMap(([holder, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies).filter(
      ([name]) => !packages[`node_modules/${name}`] && !packages[`${holder}/node_modules/${name}`],
    ),
  );
}

/** `@biomejs/cli-linux-x64-musl` runs where? Throws for a name that does not say. */
export function platformOf(name: string): { readonly os: string; readonly cpu: string; readonly libc?: string } {
  const match = /(android|darwin|freebsd|linux|win32)-(x64|arm64|aarch64|armv7|arm|ia32)(?:-(musl))?$/.exec(name);
  if (!match) throw new Error(`${name}: for which platform?`);
  const [, os = "", cpu = "", libc] = match;
  return { os, cpu: CPUS[cpu] ?? cpu, ...(libc === undefined ? {} : { libc }) };
}

/** `lock` with what is missing, in npm's order. */
export function completed(lock: LockFile): LockFile {
  const added = missingOptional(lock).map(([name, version]) => {
    const { os, cpu, libc } = platformOf(name);
    const dev = Object.values(lock.packages).every((holder) => holder.dev || !holder.optionalDependencies?.[name]);
    const where = { cpu: [cpu], os: [os], ...(libc ? { libc: [libc] } : {}) };
    const entry = { version, ...where, ...(dev ? { dev } : {}), optional: true };
    return [`node_modules/${name}`, entry] as const;
  });
  const packages = [...Object.entries(lock.packages), ...added].sort(([a], [b]) => a.localeCompare(b, "en"));
  return { ...lock, packages: Object.fromEntries(packages) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  execFileSync("npm", ["install", "--package-lock-only", "--ignore-scripts"], { stdio: "inherit" });
  const lock = JSON.parse(readFileSync(file, "utf8")) as LockFile;
  writeFileSync(file, `${JSON.stringify(completed(lock), null, 2)}\n`);
}
