/**
 * `node scripts/conformance/main.ts [--test NAME] [--report FILE] [--runs N] [--keep]`: Gateway API's conformance suite, its
 * mesh profiles, against the cluster that `KUBECONFIG` names, in which Outrigger is installed. `OUTRIGGER_LOAD_IMAGE` says
 * how an image gets into it, as for `npm run test:cluster`: the application of the suite's pods is built here then; without
 * it the cluster pulls the suite's own. `--keep` leaves the suite's pods where they are. Exit status 0: all tests passed.
 */
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { buildEchoImage, buildSuite, type Suite } from "./build.ts";
import { FEATURES, PROFILES } from "./features.ts";
import { allPassed, resultOf, type TestResult, tableOf } from "./results.ts";

const root = path.join(import.meta.dirname, "..", "..");
const LOAD_LIMIT_MS = 300_000;
const APPLY_LIMIT_MS = 120_000;
/** Of one run: each test that fails waits half a minute, and there are about two dozen. */
const RUN_LIMIT = "20m";

const { values: flags } = parseArgs({
  options: {
    test: { type: "string", default: "" },
    report: { type: "string", default: path.join(root, ".cache", "conformance", "report.yaml") },
    runs: { type: "string", default: "1" },
    keep: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if ((process.env["KUBECONFIG"] ?? "") === "") throw new Error("KUBECONFIG names no cluster");
  const suite = buildSuite();
  const command = process.env["OUTRIGGER_LOAD_IMAGE"] ?? "";
  for (const image of command === "" ? [] : suite.images) load(command, await buildEchoImage(image), image);
  install(suite);
  mkdirSync(path.dirname(flags.report), { recursive: true });
  for (let run = 1; run <= Number(flags.runs); run++) {
    const results = await runOnce(suite);
    console.log(tableOf(results));
    if (!allPassed(results)) process.exitCode = 1;
  }
  console.log(`report: ${flags.report}; all that the suite wrote: ${logFile()}`);
}

function load(command: string, archive: string, reference: string): void {
  const script = /\$\{?[12@*]/.test(command) ? command : `${command} "$@"`;
  run("/bin/sh", ["-c", script, "load", archive, reference], LOAD_LIMIT_MS);
}

/** The definitions of the suite's own version: it refuses to run with others. */
function install({ definitions }: Suite): void {
  const files = definitions.flatMap((file) => ["--filename", file]);
  run("kubectl", ["apply", "--server-side", "--force-conflicts", ...files], APPLY_LIMIT_MS);
  const crds = definitions.flatMap((file) => /_(\w+)\.yaml$/.exec(file)?.[1] ?? []);
  const kinds = crds
    .filter((plural) => !plural.startsWith("vap_"))
    .map((plural) => `crd/${plural}.gateway.networking.k8s.io`);
  run("kubectl", ["wait", "--for=condition=Established", "--timeout=60s", ...kinds], APPLY_LIMIT_MS);
}

function run(command: string, args: readonly string[], timeout: number): void {
  const { status, signal, error } = spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"], timeout });
  if (status !== 0) throw new Error(`${command} ended with ${error?.message ?? status ?? signal}`);
}

function logFile(): string {
  return flags.report.replace(/(\.ya?ml)?$/, ".log");
}

/** Runs the suite; its whole output goes to a file. */
async function runOnce({ program }: Suite): Promise<readonly TestResult[]> {
  const { name, version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as Record<string, string>;
  const args = [
    ...["-test.v", "-test.timeout", RUN_LIMIT, "-mesh-name", "outrigger"],
    ...["-conformance-profiles", PROFILES.join(","), "-supported-features", FEATURES.join(",")],
    ...["-namespace-labels", "outrigger.dev/inject=enabled", "-run-test", flags.test],
    ...[`-cleanup-base-resources=${!flags.keep}`, "-report-output", flags.report],
    ...["-organization", "outrigger", "-project", name ?? "", "-version", version ?? ""],
    ...["-url", "https://outrigger.dev", "-contact", "https://outrigger.dev"],
  ];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const log = createWriteStream(logFile());
  child.stdout.pipe(log);
  const results: TestResult[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const result = resultOf(line);
    if (result !== null) results.push(result);
  }
  return results;
}

await main();
