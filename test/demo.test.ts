/** `npm run demo -- --once` as a newcomer runs it: from the bundle, each point shown, nothing left behind. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { requireNamespaces } from "./support/network-namespace.ts";

const ROOT = path.dirname(import.meta.dirname);
const LAUNCHER = path.join(ROOT, "dist", "launcher.js");

/** What the demo uses as the system's directory for temporary files. */
const home = mkdtempSync(path.join(tmpdir(), "demo-test-"));

before(() => {
  const built = spawnSync(process.execPath, [path.join(ROOT, "scripts", "build.ts")], { encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
});
after(() => rmSync(home, { recursive: true, force: true }));

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [LAUNCHER, "demo", ...args], { env: { ...process.env, TMPDIR: home } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, ended, output: () => output };
}

/** Processes that the demo started: their command lines name its directory. */
function leftProcesses(): string[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        // Ended since the directory was read.
        return "";
      }
    })
    .filter((line) => line.includes(home));
}

async function nothingIsLeft(): Promise<void> {
  for (let i = 0; i < 50 && (leftProcesses().length > 0 || readdirSync(home).length > 0); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(leftProcesses(), []);
  assert.deepEqual(readdirSync(home), []);
}

/** The lines of each point, by its number. */
function points(output: string): ReadonlyMap<string, string> {
  const sections = output.split(/\n(?=\d\. )/).slice(1);
  return new Map(sections.map((section) => [section.slice(0, 1), section.split("\n\n")[0] ?? ""]));
}

test("the script shows every point and exits with 0", { timeout: 90_000 }, async () => {
  const demo = start("--once");
  const status = await demo.ended;
  const output = demo.output();
  assert.equal(status, 0, output);
  const shown = points(output);
  const expected: Readonly<Record<string, readonly RegExp[]>> = {
    0: [/✓ of its first 100 calls 0 failed/],
    1: [
      /✓ plain HTTP: refused/,
      /✓ TLS without a client certificate: refused/,
      /✓ .* another CA .*: refused/,
      / 200 OK/,
    ],
    2: [/✓ (9|\d{2}) certificates replaced in 9 sidecars/, /✓ [1-9]\d* calls meanwhile.*: 0 failed/],
    3: [/✓ without retries of errors, .*[1-9]\d* of 500 calls fail/, /✓ with retries, .* of 500 calls fail/],
    4: [/✓ calls that failed with the mesh: 0; without: [1-9]/, /✓ callers felt the outage for .* without the mesh/],
    5: [/✓ of 1000 calls v1 answered \d+ and v2 \d+/, /✓ 0 failed/],
    6: [
      /600 calls on one connection without the mesh were answered by prices-\d 600\n/,
      /✓ 600 calls on one connection .*: prices-1 \d+, prices-2 \d+, prices-3 \d+ /,
      /✓ .* without retries [1-9]\d* of 300 were UNAVAILABLE/,
      /✓ a ResiliencePolicy retries that status: \d of 300/,
      /✓ of a deadline of 2\.0 s the first instance was told \d+ ms, the second 1\d\d\d ms/,
      /✓ the sidecar counted \d+ × OK and [1-9]\d* × UNAVAILABLE of demo\.Prices\/Get/,
    ],
    7: [/✓ [1-9]\d* calls meanwhile: 0 failed/, /✓ an HTTPRoute edited afterwards: .* after/],
  };
  for (const [number, patterns] of Object.entries(expected)) {
    for (const pattern of patterns) assert.match(shown.get(number) ?? "", pattern, output);
  }
  assert.doesNotMatch(output, /✗/);
  assert.match(output, /shop → orders-v1 +\d/);
  assert.match(output, /All of it holds\./);
  await nothingIsLeft();
});

test("the script holds as well where programs have networks of their own", { timeout: 240_000 }, async (t) => {
  if (!requireNamespaces(t, "iptables", "nsenter")) return;
  const demo = start("--once", "--transparent");
  const status = await demo.ended;
  const output = demo.output();
  assert.equal(status, 0, output);
  const shown = points(output);
  assert.match(shown.get("2") ?? "", /✓ (11|1\d|2\d) certificates replaced in 11 sidecars/, output);
  for (const pattern of [
    /✓ 100 connections to journal:7000.*: 0 failed/,
    /✓ balanced by connection: journal-1 [2-7]\d, journal-2 [2-7]\d/,
    /✓ the visitor's sidecar counted 100 opaque connections/,
  ]) {
    assert.match(shown.get("7") ?? "", pattern, output);
  }
  assert.match(shown.get("8") ?? "", /✓ [1-9]\d* calls meanwhile: 0 failed/, output);
  assert.doesNotMatch(output, /✗/);
  await nothingIsLeft();
});

test("a transparent demo without rights says which are missing, and starts nothing", async (t) => {
  if (!requireNamespaces(t, "setpriv")) return;
  const unable = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
  const { status, stdout, stderr } = spawnSync(
    "setpriv",
    [...unable, process.execPath, LAUNCHER, "demo", "--transparent"],
    { env: { ...process.env, TMPDIR: home }, encoding: "utf8" },
  );
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /^outrigger: .* needs root, or the capabilities .* \(without SYS_ADMIN\)\n$/);
  await nothingIsLeft();
});

test("a demo that is killed leaves nothing behind", { timeout: 30_000 }, async () => {
  const demo = start();
  while (!readdirSync(home).some((name) => existsSync(path.join(home, name, "stock-2.log")))) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  demo.child.kill("SIGKILL");
  await demo.ended;
  await nothingIsLeft();
});
