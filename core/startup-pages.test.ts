import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { disposableRanges, releaseStartupPages } from "./startup-pages.ts";

const SMAPS = `00400000-00900000 r--p 00000000 fe:00 1234                               /usr/local/bin/node
Size:               5120 kB
Rss:                4280 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
00900000-02900000 r-xp 00500000 fe:00 1234                               /usr/local/bin/node
Rss:               26552 kB
Anonymous:             0 kB
02900000-02910000 r--p 02500000 fe:00 1234                               /usr/local/bin/node
Rss:                  56 kB
Anonymous:            24 kB
02910000-02920000 rw-p 02510000 fe:00 1234                               /usr/local/bin/node
Rss:                  56 kB
Anonymous:             0 kB
10000000-20000000 rw-p 00000000 00:00 0                                  [heap]
Rss:                9296 kB
Anonymous:          9296 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 99                         /lib/libc.so.6
Rss:                   4 kB
Anonymous:             0 kB
7f0000001000-7f0000002000 r--p 00000000 00:00 0 
Rss:                   4 kB
Anonymous:             0 kB
`;

test("what is the program's, read-only and as it is in its file, can be had again", () => {
  assert.deepEqual(disposableRanges(SMAPS, "/usr/local/bin/node"), [
    { from: 0x400000, to: 0x900000 },
    { from: 0x900000, to: 0x2900000 },
  ]);
  assert.deepEqual(disposableRanges("", "/usr/local/bin/node"), []);
});

test("the process is smaller for it, and goes on", async (t) => {
  const mapped = () => {
    const smaps = readFileSync("/proc/self/smaps", "utf8");
    const program = readlinkSync("/proc/self/exe");
    const parts = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter((part) => part.split("\n")[0]?.endsWith(program));
    return parts.reduce((sum, part) => sum + Number(/^Rss: +(\d+)/m.exec(part)?.[1]), 0);
  };
  if (process.platform !== "linux") {
    t.skip("/proc is Linux's");
    return;
  }
  const before = mapped();
  if (!(await releaseStartupPages())) {
    t.skip("koffi is not installed");
    return;
  }
  const after = mapped();
  assert.ok(after < before * 0.75, `${before} kB before, ${after} kB after`);
  // Code that was let go of is there again when it is called.
  assert.equal(createHash("sha256").update("abc").digest("hex").slice(0, 8), "ba7816bf");
  assert.ok(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
  assert.equal(new Intl.NumberFormat("de").format(1234.5), "1.234,5");
});
