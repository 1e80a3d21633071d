/** An image's layer: the files of a folder in one order, with the owners and rights that they are to have. */
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { TarEntry } from "./tar.ts";

/** What the rights of a file on this machine don't say: of whom it is, and who may enter. */
export type Rights = Readonly<Record<string, { readonly mode: number; readonly owner: number }>>;

/**
 * Everything below `root`, parents before children, names in the order of their bytes. Who made the folder, when, and
 * under which umask does not show: files are 0644, or 0755 where they can be run, folders 0755, all of them root's,
 * unless `rights` says otherwise of a path.
 */
export function layerEntries(root: string, rights: Rights): readonly TarEntry[] {
  const entries: TarEntry[] = [];
  const visit = (folder: string): void => {
    for (const name of readdirSync(path.join(root, folder)).sort(byBytes)) {
      const relative = path.posix.join(folder, name);
      const entry = entryOf(root, relative, rights[relative]);
      entries.push(entry);
      if (entry.what.kind === "directory") visit(relative);
    }
  };
  visit("");
  return entries;
}

/** Bytes of all files. */
export function unpackedSize(entries: readonly TarEntry[]): number {
  return entries.reduce((sum, { what }) => sum + (what.kind === "file" ? what.size : 0), 0);
}

function entryOf(root: string, relative: string, own: { mode: number; owner: number } | undefined): TarEntry {
  const file = path.join(root, relative);
  const stat = lstatSync(file);
  if (stat.isSymbolicLink()) {
    return { path: relative, mode: 0o777, what: { kind: "symlink", target: readlinkSync(file) } };
  }
  const directory = stat.isDirectory();
  if (!directory && !stat.isFile()) throw new Error(`${relative} is neither file, folder nor link`);
  const mode = directory || (stat.mode & 0o111) !== 0 ? 0o755 : 0o644;
  const what = directory ? ({ kind: "directory" } as const) : ({ kind: "file", file, size: stat.size } as const);
  return { path: relative, mode, ...own, what };
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
