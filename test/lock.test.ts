import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { completed, type LockFile, missingOptional, platformOf } from "../scripts/lock.ts";

const root = path.join(import.meta.dirname, "..");
const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")) as LockFile;

test("the lock file holds the packages of every platform, without which npm ci refuses it (npm run lock)", () => {
  assert.deepEqual(missingOptional(lock), []);
});

test("what a mirror left out is put back for its platform only", () => {
  const packages = {
    "": {},
    "node_modules/a": { version: "1.0.0", optionalDependencies: { "a-darwin-aarch64": "1.0.0" } },
  };
  assert.deepEqual(missingOptional({ packages }), [["a-darwin-aarch64", "1.0.0"]]);
  assert.deepEqual(completed({ packages }).packages["node_modules/a-darwin-aarch64"], {
    version: "1.0.0",
    cpu: ["arm64"],
    optional: true,
    os: ["darwin"],
  });
  assert.deepEqual(platformOf("@x/cli-linux-x64-musl"), { os: "linux", cpu: "x64", libc: "musl" });
  assert.throws(() => platformOf("@x/cli"), /for which platform/);
});

test("package.json and lock file agree", () => {
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as Record<string, unknown>;
  const locked = lock.packages[""] as unknown as Record<string, unknown>;
  for (const field of ["version", "dependencies", "devDependencies", "optionalDependencies", "engines", "bin"])
    assert.deepEqual(locked[field], manifest[field], field);
});
