/**
 * `npm run test:cluster [-- FILE…]`: the tests of real pods, in the cluster that `KUBECONFIG` names. The image comes into it
 * by the command `OUTRIGGER_LOAD_IMAGE`, for which a shell has the archive's path as `$1` and the image's reference as `$2`
 * (and adds both where it names neither); or it is there already, and `OUTRIGGER_IMAGE` names it.
 * docs/testing-in-a-cluster.md has examples for kind, k3s and others.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { loadArchive, mayLoad } from "../../scripts/load-image.ts";

/** Of one file: it waits for pods again and again. */
const FILE_LIMIT_MS = 900_000;

const root = path.join(import.meta.dirname, "..", "..");
const named = process.argv.slice(2);
const all = globSync("test/cluster/*.test.ts", { cwd: root }).sort(lastIsUninstall);

process.env["OUTRIGGER_IMAGE"] ||= loadedImage() ?? "";
let failed = false;
// Before each file: what it is about shows even where one gets stuck.
const stream = run({
  files: (named.length > 0 ? named : all).map((file) => path.resolve(root, file)),
  concurrency: 1,
  timeout: FILE_LIMIT_MS,
});
stream.on("test:fail", () => {
  failed = true;
});
const report = stream.compose(new spec());
report.pipe(process.stdout, { end: false });
await finished(report, { writable: false });
process.exitCode = failed ? 1 : 0;

/** Builds the image and has it loaded; null where nobody says how, for which the tests are skipped. */
function loadedImage(): string | null {
  if (!mayLoad() || (process.env["KUBECONFIG"] ?? "") === "") {
    console.error("KUBECONFIG and OUTRIGGER_LOAD_IMAGE say which cluster, and how an image gets into it");
    return null;
  }
  const folder = path.join(root, ".cache", "image");
  const archive = path.join(folder, "outrigger.tar");
  const flags = ["--reference", "localhost/outrigger", "--output", archive];
  execFileSync(process.execPath, [path.join(root, "scripts", "image.ts"), ...flags], { stdio: "inherit" });
  const built = JSON.parse(readFileSync(path.join(folder, "outrigger.json"), "utf8")) as { reference: string };
  loadArchive(archive, built.reference);
  return built.reference;
}

/** In the order of their names, but for the one that takes everything out again. */
function lastIsUninstall(one: string, other: string): number {
  const rank = (file: string) => (file.includes("uninstall") ? 1 : 0);
  return rank(one) - rank(other) || (one < other ? -1 : 1);
}
