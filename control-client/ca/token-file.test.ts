import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { rootsFile, tokenFile } from "./token-file.ts";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-token-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));
const file = path.join(dir, "token");

test("a token is read each time, as the kubelet replaces it", () => {
  const token = tokenFile(file);
  fs.writeFileSync(file, "eyJ.first.x\n");
  assert.equal(token(), "eyJ.first.x");
  // As a projected volume does: a new directory, and one link that is moved to it.
  fs.writeFileSync(path.join(dir, "next"), "eyJ.second.x");
  fs.renameSync(path.join(dir, "next"), file);
  assert.equal(token(), "eyJ.second.x");
});

test("what is missing or no token is told by file", () => {
  const token = tokenFile(file);
  fs.rmSync(file);
  assert.throws(token, { message: new RegExp(`cannot be read from ${file}: there is no such file`) });
  fs.writeFileSync(file, " \n");
  assert.throws(token, /is empty/);
  fs.writeFileSync(file, "two words");
  assert.throws(token, /holds no token/);
});

test("roots are PEM", () => {
  const roots = rootsFile(file);
  fs.writeFileSync(file, "nothing");
  assert.throws(roots, /holds no certificate/);
  fs.writeFileSync(file, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----");
  assert.match(roots(), /^-----BEGIN[\s\S]*-----\n$/);
});
