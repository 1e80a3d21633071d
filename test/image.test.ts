/** What `scripts/image-root.ts` puts together runs by itself: in a root file system without anything of this machine's. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { type Bill, filesOf, uncovered } from "../scripts/image/bill.ts";
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

  const bill = JSON.parse(readFileSync(path.join(root, "app", "sbom.cdx.json"), "utf8")) as Bill;
  assert.deepEqual(
    uncovered(
      bill,
      filesOf(root).filter((file) => file !== "app/sbom.cdx.json"),
    ),
    [],
  );
  const part = (name: string) => bill.components.find((one) => one.name === name);
  const at = (name: string) => part(name)?.evidence.occurrences.map(({ location }) => location);
  assert.equal(`v${part(`node-${process.platform}-${process.arch}`)?.version}`, process.version);
  assert.deepEqual(at("opossum"), ["app/dist/outrigger.cjs"]);
  assert.deepEqual(at("koffi"), ["app/node_modules/koffi"]);
  assert.ok(at("iptables")?.includes("usr/sbin/ip6tables-restore"));
  assert.match(part("libc6")?.purl ?? "", /^pkg:deb\/\w+\/libc6@[^?]+\?arch=\w+&distro=\w+-\d+$/);
  for (const { name, hashes } of bill.components.filter(({ purl }) => purl.startsWith("pkg:npm/"))) {
    assert.match(hashes?.[0]?.content ?? "", /^[0-9a-f]{128}$/, name);
  }
});
