/**
 * `npm test [-- [--update] FILE…]`: every `*.test.ts` beside the code and in `test/`, with Node's own runner, two files
 * at a time at least. `--update` has tests with golden files write them anew (`UPDATE=1` in their environment). All tests are shown where files are named, else only what failed, what was skipped and why, and one line
 * that sums it up.
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { run } from "node:test";
import { dot, spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GO_TOOLS, goTool } from "./go-tools.ts";

const TIMEOUT_MS = 120_000;

process.exitCode = 1;
process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const { values: flags, positionals: named } = parseArgs({
  options: { update: { type: "boolean", default: false } },
  allowPositionals: true,
});
if (flags.update) process.env["UPDATE"] = "1";
const exclude = ["node_modules/**", "dist/**", ".cache/**"];
const files = named.length > 0 ? named : globSync("**/*.test.ts", { exclude }).sort();

// Beforehand: where they have never been built that takes a minute of two cores, and a test may not take as long.
if (named.length === 0) GO_TOOLS.every((name) => goTool(name) !== null);

const skipped: string[] = [];
const counts = { passed: 0, failed: 0 };
let success = false;
const started = performance.now();
const stream = run({
  files: files.map((file) => path.resolve(file)),
  concurrency: Math.max(2, availableParallelism()),
  timeout: TIMEOUT_MS,
});
stream.on("test:pass", ({ name, skip, details }) => {
  if (details.type === "suite") return;
  if (skip === undefined) counts.passed++;
  else skipped.push(`${name}: ${skip === true ? "no reason given" : skip}`);
});
stream.on("test:fail", ({ details }) => {
  if (details.type !== "suite") counts.failed++;
});
stream.on("test:summary", (summary) => {
  // Those of single files name the file; the last one is about the whole run.
  if (summary.file === undefined) success = summary.success;
});
const report = stream.compose(named.length > 0 ? new spec() : dot);
report.pipe(process.stdout);
report.on("end", summarise);

function summarise(): void {
  console.log();
  for (const line of skipped) console.log(`skipped: ${line}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${counts.passed} passed, ${counts.failed} failed, ${skipped.length} skipped; ${files.length} files in ${seconds} s`,
  );
  // A run in which nothing ran has shown nothing.
  process.exitCode = success && counts.passed > 0 ? 0 : 1;
}
