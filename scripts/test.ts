/**
 * `npm test [-- [--update] FILE…]`: every `*.test.ts` beside the code and in `test/`, with Node's own runner, two files
 * at a time at least. `--update` has tests with golden files write them anew (`UPDATE=1` in their environment). All tests
 * are shown where files are named, else only what failed, what was skipped and why, and one line that sums it up.
 *
 * Many tests run beside one another on the machine that they share with real servers: under `CI` the files in which
 * something failed run once more, alone. What fails then, too, fails the run; what passes then is named in the last lines,
 * as a test that depends on the speed of the machine and wants to be mended.
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { dot, spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GO_TOOLS, goTool } from "./go-tools.ts";
import { kubeApiParts } from "./kube-api.ts";

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
if (named.length === 0) {
  GO_TOOLS.every((name) => goTool(name) !== null);
  kubeApiParts();
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** As the runner sees it: a file that breaks outside of a test fails, too. */
  readonly success: boolean;
  readonly failedFiles: readonly string[];
  /** `name: reason`. */
  readonly skipped: readonly string[];
}

const started = performance.now();
const alone = process.env["CI"] === "true" && named.length === 0;
const first = await runTests(files, Math.max(2, availableParallelism()));
const again = alone && first.failedFiles.length > 0 ? await runTests(first.failedFiles, 1) : null;
console.log();
for (const line of first.skipped) console.log(`skipped: ${line}`);
for (const file of first.failedFiles) {
  if (again !== null && !again.failedFiles.includes(file)) console.log(`passed only when it ran alone: ${file}`);
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(
  `${first.passed} passed, ${first.failed} failed, ${first.skipped.length} skipped; ${files.length} files in ${seconds} s`,
);
// A run in which nothing ran has shown nothing.
process.exitCode = first.passed > 0 && (first.success || again?.success === true) ? 0 : 1;

async function runTests(paths: readonly string[], concurrency: number): Promise<Outcome> {
  const outcome = { passed: 0, failed: 0, success: false, skipped: [] as string[] };
  const failedFiles = new Set<string>();
  const stream = run({ files: paths.map((file) => path.resolve(file)), concurrency, timeout: TIMEOUT_MS });
  stream.on("test:pass", ({ name, skip, details }) => {
    // A suite counts where it was skipped as a whole: its tests are not heard of then.
    if (details.type === "suite" && skip === undefined) return;
    if (skip === undefined) outcome.passed++;
    else outcome.skipped.push(`${name}: ${skip === true ? "no reason given" : skip}`);
  });
  stream.on("test:fail", ({ file, details }) => {
    if (details.type !== "suite") outcome.failed++;
    if (file !== undefined) failedFiles.add(path.relative(process.cwd(), file));
  });
  stream.on("test:summary", (summary) => {
    // Those of single files name the file; the last one is about the whole run.
    if (summary.file === undefined) outcome.success = summary.success;
  });
  const report = stream.compose(named.length > 0 ? new spec() : dot);
  report.pipe(process.stdout, { end: false });
  await finished(report, { writable: false });
  return { ...outcome, failedFiles: [...failedFiles] };
}
