import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { requireTool } from "../../test/support/tools.ts";
import { type TarEntry, tarChunks } from "./tar.ts";

function archiveOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...tarChunks(entries)]);
}

function bytes(text: string): TarEntry["what"] {
  return { kind: "bytes", bytes: Buffer.from(text) };
}

test("tar unpacks what was packed: long names, names of other letters, links, rights", (t) => {
  if (!requireTool(t, "tar")) return;
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-tar-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "file");
  writeFileSync(file, "x".repeat(3_000_000));
  const long = `${"folder/".repeat(20)}${"n".repeat(90)}`;
  const entries: readonly TarEntry[] = [
    { path: "empty", mode: 0o600, what: bytes("") },
    { path: "large", mode: 0o755, what: { kind: "file", file, size: 3_000_000 } },
    { path: "tmp", mode: 0o1777, what: { kind: "directory" } },
    { path: "größe", mode: 0o644, what: bytes("größer") },
    { path: "link", mode: 0o777, what: { kind: "symlink", target: "large" } },
    { path: "far", mode: 0o777, what: { kind: "symlink", target: `/${long}` } },
    { path: long, mode: 0o644, what: bytes("deep") },
  ];
  const out = path.join(folder, "out");
  const input = archiveOf(entries);
  const run = spawnSync("sh", ["-c", 'mkdir "$0" && tar -xpf - -C "$0"', out], {
    input,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  assert.equal(run.status, 0, String(run.stderr));
  const text = (name: string) => readFileSync(path.join(out, name), "utf8");
  assert.equal(text("empty"), "");
  assert.equal(text("large"), readFileSync(file, "utf8"));
  assert.equal(text("größe"), "größer");
  assert.equal(text(long), "deep");
  assert.equal(readlinkSync(path.join(out, "link")), "large");
  assert.equal(readlinkSync(path.join(out, "far")), `/${long}`);
  const mode = (name: string) => lstatSync(path.join(out, name)).mode & 0o7777;
  assert.deepEqual([mode("empty"), mode("large"), mode("tmp")], [0o600, 0o755, 0o1777]);
});

test("every archive is whole blocks, and its headers' checksums hold", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.stringMatching(/^[a-z/é]{1,300}$/), fc.string()), { maxLength: 5 }), (files) => {
      const archive = archiveOf(files.map(([name, text]) => ({ path: name, mode: 0o644, what: bytes(text) })));
      assert.equal(archive.length % 512, 0);
      let at = 0;
      let found = 0;
      while (archive[at] !== 0) {
        const header = Buffer.from(archive.subarray(at, at + 512));
        const sum = Number.parseInt(header.toString("latin1", 148, 154), 8);
        header.fill(" ", 148, 156);
        assert.equal(
          header.reduce((total, byte) => total + byte, 0),
          sum,
        );
        if (header.toString("latin1", 156, 157) !== "x") found++;
        at += 512 + Math.ceil(Number.parseInt(header.toString("latin1", 124, 135), 8) / 512) * 512;
      }
      assert.equal(found, files.length);
      assert.equal(archive.length - at, 1024);
    }),
  );
});

test("a file that has become shorter is an error, not a damaged archive", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-tar-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "file");
  writeFileSync(file, "12345");
  const entry: TarEntry = { path: "file", mode: 0o644, what: { kind: "file", file, size: 6 } };
  assert.throws(() => archiveOf([entry]), /shorter/);
});
