/**
 * Tar archives that are the same bytes for the same content, whatever wrote the files: POSIX ustar, with a pax header
 * where a path does not fit (POSIX.1-2017, pax). Times are zero, owners numbers alone.
 */
import { closeSync, openSync, readSync } from "node:fs";

export interface TarEntry {
  /** Relative, without `./` and without a slash at the end. */
  readonly path: string;
  readonly mode: number;
  /** User and group; 0 where none is given. */
  readonly owner?: number;
  readonly what:
    | { readonly kind: "directory" }
    | { readonly kind: "symlink"; readonly target: string }
    | { readonly kind: "bytes"; readonly bytes: Buffer }
    /** A file of this machine, which has to be of that size, bytes. */
    | { readonly kind: "file"; readonly file: string; readonly size: number };
}

const BLOCK = 512;
const CHUNK = 1 << 20;
const NAME_LENGTH = 100;
/** 11 octal digits: what is larger would need an extension. */
const LARGEST = 8 ** 11 - 1;

const TYPES = { directory: "5", symlink: "2", bytes: "0", file: "0", pax: "x" } as const;

/** The archive, in pieces of at most a MiB. Throws where a file is not as long as its entry says. */
export function* tarChunks(entries: Iterable<TarEntry>): Generator<Buffer> {
  for (const entry of entries) {
    const { what } = entry;
    const path = what.kind === "directory" ? `${entry.path}/` : entry.path;
    const link = what.kind === "symlink" ? what.target : "";
    const size = what.kind === "file" ? what.size : what.kind === "bytes" ? what.bytes.length : 0;
    const long = [...paxRecord("path", path), ...paxRecord("linkpath", link)];
    if (long.length > 0) {
      const records = Buffer.from(long.join(""));
      yield header({ path: "pax", link: "", type: TYPES.pax, mode: 0o644, owner: 0, size: records.length });
      yield* padded([records], records.length);
    }
    yield header({ path, link, type: TYPES[what.kind], mode: entry.mode, owner: entry.owner ?? 0, size });
    if (what.kind === "bytes") yield* padded([what.bytes], size);
    if (what.kind === "file") yield* padded(fileChunks(what.file, size), size);
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** A record for a field that is too long for its header, or has letters that only pax says the encoding of. */
function paxRecord(key: string, value: string): readonly string[] {
  if (value.length <= NAME_LENGTH && /^[\x20-\x7e]*$/.test(value)) return [];
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  // The length counts its own digits.
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return [`${length} ${key}=${value}\n`];
}

interface Header {
  readonly path: string;
  readonly link: string;
  readonly type: string;
  readonly mode: number;
  readonly owner: number;
  readonly size: number;
}

function header({ path, link, type, mode, owner, size }: Header): Buffer {
  if (size > LARGEST) throw new Error(`${path} is too large for a tar archive`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  block.write(path.slice(0, NAME_LENGTH), 0, NAME_LENGTH, "latin1");
  block.write(octal(mode, 7), 100);
  block.write(octal(owner, 7), 108);
  block.write(octal(owner, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  // The checksum is taken with spaces in its own place.
  block.write(" ".repeat(8), 148);
  block.write(type, 156);
  block.write(link.slice(0, NAME_LENGTH), 157, NAME_LENGTH, "latin1");
  block.write("ustar\0" + "00", 257);
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return block;
}

function* padded(chunks: Iterable<Buffer>, size: number): Generator<Buffer> {
  yield* chunks;
  if (size % BLOCK > 0) yield Buffer.alloc(BLOCK - (size % BLOCK));
}

function* fileChunks(file: string, size: number): Generator<Buffer> {
  const handle = openSync(file, "r");
  try {
    let left = size;
    while (left > 0) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, left));
      const read = readSync(handle, chunk);
      if (read === 0) throw new Error(`${file} has become shorter while it was read`);
      left -= read;
      yield chunk.subarray(0, read);
    }
  } finally {
    closeSync(handle);
  }
}
