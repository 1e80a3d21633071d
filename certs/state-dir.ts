/** Secrets on disk: directories of mode 0700, files of mode 0600, replaced whole, and one sentence when that fails. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import path from "node:path";
import { codeOf, messageOf, UserError } from "../core/errors.ts";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  ENOTDIR: "part of the path is not a directory",
  EISDIR: "it is a directory",
  ENOENT: "it does not exist",
};

/** "cannot <doing> <file>: <why>", as a UserError. */
export function fileError(doing: string, file: string, error: unknown): UserError {
  const why = REASONS[codeOf(error) ?? ""] ?? messageOf(error);
  return new UserError([{ message: `cannot ${doing}: ${why}`, file }]);
}

/** Creates `dir` (and what is missing above it) with mode 0700, or checks that an existing one is the caller's alone. */
export function ensurePrivateDir(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError("create the directory", dir, error);
  }
  const stat = fs.statSync(dir);
  refuseForeign(dir, stat);
  if ((stat.mode & 0o077) !== 0) {
    throw new UserError([{ message: `${modeOf(stat)} lets others in; it must be 0700: chmod 700 ${dir}`, file: dir }]);
  }
}

/** Reads a file that nobody else may read or write; `what` names its content in errors. */
export function readPrivateFile(file: string, what: string): string {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch (error) {
    throw fileError(`read the ${what}`, file, error);
  }
  try {
    const stat = fs.fstatSync(descriptor);
    refuseForeign(file, stat);
    if ((stat.mode & 0o077) !== 0) {
      const message = `the ${what} has ${modeOf(stat)}, so others can use it; it must be 0600: chmod 600 ${file}`;
      throw new UserError([{ message, file }]);
    }
    return fs.readFileSync(descriptor, "utf8");
  } catch (error) {
    throw error instanceof UserError ? error : fileError(`read the ${what}`, file, error);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Writes the file whole or not at all: a crash leaves the old content or the new, both on disk. */
export function writePrivateFile(file: string, content: string, what: string): void {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString("hex")}`);
  try {
    const descriptor = fs.openSync(temporary, "wx", 0o600);
    try {
      fs.writeFileSync(descriptor, content);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw fileError(`write the ${what}`, file, error);
  }
}

/** Removes a file; it is no error if it is gone already. */
export function removeFile(file: string, what: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch (error) {
    throw fileError(`remove the ${what}`, file, error);
  }
}

function refuseForeign(file: string, stat: fs.Stats): void {
  const user = process.getuid?.();
  if (user !== undefined && stat.uid !== user) {
    throw new UserError([{ message: `belongs to user ${stat.uid}, not to user ${user} who runs this process`, file }]);
  }
}

function modeOf(stat: fs.Stats): string {
  return `mode 0${(stat.mode & 0o777).toString(8)}`;
}
