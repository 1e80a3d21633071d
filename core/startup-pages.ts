/**
 * A start runs through much of Node's program that nothing needs afterwards: its snapshot, the compiler, locales, the key
 * exchange of the first certificate. The kernel leaves all of it mapped while memory is plentiful, two fifths of an idle
 * sidecar's resident set. It is let go of once, when the process has become ready; what is used again is mapped again from
 * the page cache, without reading.
 */
import { readFileSync, readlinkSync } from "node:fs";

/** Addresses, of which the second is the first that no longer belongs to it. */
export interface AddressRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The parts of `program` in `/proc/PID/smaps` that can be let go of: read-only, and without a page of the process's own
 * (`Anonymous`: the loader's relocations), which could not be had again.
 */
export function disposableRanges(smaps: string, program: string): readonly AddressRange[] {
  const ranges: AddressRange[] = [];
  for (const [, from = "", to = "", file, fields = ""] of smaps.matchAll(MAPPING)) {
    if (file !== program || !/^Anonymous: +0 kB$/m.test(fields)) continue;
    ranges.push({ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) });
  }
  return ranges;
}

/** Lets go of them; false on systems other than Linux, whose numbers these are, and where `koffi` is not installed. */
export async function releaseStartupPages(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    const { default: koffi } = await import("koffi");
    const madvise = koffi.load(null).func("int madvise(uintptr_t, size_t, int)");
    const program = readlinkSync("/proc/self/exe");
    for (const { from, to } of disposableRanges(readFileSync("/proc/self/smaps", "utf8"), program)) {
      madvise(from, to - from, MADV_DONTNEED);
    }
    return true;
  } catch {
    // Memory is not so dear that anything should fail for it.
    return false;
  }
}

const MADV_DONTNEED = 4;

/** `FROM-TO r-xp OFFSET DEVICE INODE FILE`, private and not writable, and the lines of fields below it (proc(5)). */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +(\S.*)\n((?:\w+: .*\n?)+)/gm;
