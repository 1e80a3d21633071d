/** What `scripts/image-root.ts` puts together runs by itself: in a root file system without anything of this machine's. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { findTool, requireTool, skip } from "./support/tools.ts";

const source = path.dirname(import.meta.dirname);

/** The file system with everything; null where it can't be made or run here, for which the test is skipped. */
function imageRoot(t: TestContext): string | null {
  for (const tool of ["chroot", "strip", "ldd", "npm"]) if (!requireTool(t, tool)) return null;
  if (process.getuid?.() !== 0 && !skip(t, "chroot is for root")) return null;
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-image-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = path.join(folder, "root");
  execFileSync("node", ["scripts/build.ts"], { cwd: source });
  const run = spawnSync("node", ["scripts/image-root.ts", root, "--iptables"], { cwd: source, encoding: "utf8" });
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/.test(run.stderr)) {
    skip(t, "npm cannot reach its registry");
    return null;
  }
  assert.equal(run.status, 0, run.stderr);
  return root;
}

test("the image has what it runs and nothing else", (t) => {
  const root = imageRoot(t);
  if (root === null) return;
  const chroot = findTool("chroot") ?? "";
  // As the Containerfile sets it.
  const env = { PATH: "/usr/local/bin:/usr/sbin" };
  const inside = (...command: readonly string[]) => {
    const run = spawnSync(chroot, ["--userspec=1337:1337", root, ...command], { encoding: "utf8", env });
    assert.equal(run.status, 0, `${command.join(" ")}: ${run.stderr}`);
    return run.stdout;
  };
  const outrigger = ["/usr/local/bin/node", "/app/dist/launcher.js"];
  assert.match(inside(...outrigger, "--version"), /^\d+\.\d+\.\d+/);
  assert.match(inside(...outrigger, "init", "--dry-run"), /OUTRIGGER_REDIRECT/);
  // Native code, and what is loaded only where tracing is on.
  const load = (name: string) => inside("/usr/local/bin/node", "-p", `typeof require("/app/node_modules/${name}")`);
  assert.equal(load("koffi").trim(), "object");
  assert.equal(load("@opentelemetry/exporter-trace-otlp-grpc").trim(), "object");
  for (const program of ["iptables", "iptables-restore", "ip6tables-save", "iptables-legacy"])
    assert.match(inside(`/usr/sbin/${program}`, "--version"), /tables.* v\d/);
  inside("/usr/sbin/ip", "-V");

  for (const absent of ["bin/sh", "usr/bin", "usr/bin/env", "app/node_modules/esbuild", "app/node_modules/typescript"])
    assert.ok(!existsSync(path.join(root, absent)), absent);
  assert.deepEqual(globSync("app/**/*.ts", { cwd: root }), []);
});
