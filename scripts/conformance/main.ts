/**
 * `node scripts/conformance/main.ts [--test NAME] [--report FILE] [--runs N] [--label NAME=VALUE,…] [--keep]`: Gateway API's
 * conformance suite, its mesh profiles, against the cluster that `KUBECONFIG` names, in which Outrigger is installed.
 * `OUTRIGGER_LOAD_IMAGE` says how an image gets into it, as for `npm run test:cluster`: the application of the suite's pods
 * is built here then; without it the cluster pulls the suite's own. `--label` is what the suite's namespaces ask for sidecars
 * by; `--keep` leaves its pods where they are. Exit status 0: all tests passed.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { loadArchive, mayLoad } from "../load-image.ts";
import { buildEchoImage, buildSuite, type Suite } from "./build.ts";
import { FEATURES, PROFILES } from "./features.ts";
import { allPassed, resultOf, type TestResult, tableOf } from "./results.ts";

const root = path.join(import.meta.dirname, "..", "..");
const APPLY_LIMIT_MS = 120_000;
const DELETE_LIMIT_MS = 180_000;
/** Of one run: each test that fails waits half a minute, and there are about two dozen. */
const RUN_LIMIT = "20m";

const { values: flags } = parseArgs({
  options: {
    test: { type: "string", default: "" },
    report: { type: "string", default: path.join(root, ".cache", "conformance", "report.yaml") },
    runs: { type: "string", default: "1" },
    label: { type: "string", default: "outrigger.dev/inject=enabled" },
    keep: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if ((process.env["KUBECONFIG"] ?? "") === "") throw new Error("KUBECONFIG names no cluster");
  const suite = buildSuite();
  for (const image of mayLoad() ? suite.images : []) loadArchive(await buildEchoImage(image), image);
  install(suite);
  mkdirSync(path.dirname(flags.report), { recursive: true });
  for (let run = 1; run <= Number(flags.runs); run++) {
    // What an earlier run left, or is still being deleted.
    const left = ["delete", "namespace", "--selector", "gateway-conformance", "--ignore-not-found", "--timeout=150s"];
    command("kubectl", left, DELETE_LIMIT_MS);
    const log = flags.report.replace(/(\.ya?ml)?$/, `.${run}.log`);
    const { results, status } = await runOnce(suite, log);
    console.log(tableOf(results));
    console.log(`report: ${flags.report}; all that the suite wrote: ${log}`);
    if (status !== 0 || !allPassed(results)) process.exitCode = 1;
  }
}

/** The definitions of the suite's own version: it refuses to run with others. */
function install({ definitions }: Suite): void {
  const files = definitions.flatMap((file) => ["--filename", file]);
  command("kubectl", ["apply", "--server-side", "--force-conflicts", ...files], APPLY_LIMIT_MS);
  const crds = definitions.flatMap((file) => /_(\w+)\.yaml$/.exec(file)?.[1] ?? []);
  const kinds = crds
    .filter((plural) => !plural.startsWith("vap_"))
    .map((plural) => `crd/${plural}.gateway.networking.k8s.io`);
  command("kubectl", ["wait", "--for=condition=Established", "--timeout=60s", ...kinds], APPLY_LIMIT_MS);
}

function command(name: string, args: readonly string[], timeout: number): void {
  const { status, signal, error } = spawnSync(name, args, { stdio: ["ignore", "ignore", "inherit"], timeout });
  if (status !== 0) throw new Error(`${name} ended with ${error?.message ?? status ?? signal}`);
}

interface Outcome {
  readonly results: readonly TestResult[];
  /** null: ended by a signal. */
  readonly status: number | null;
}

/** Runs the suite; its whole output goes to a file. */
async function runOnce({ program }: Suite, logFile: string): Promise<Outcome> {
  const { name, version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as Record<string, string>;
  const args = [
    ...["-test.v", "-test.timeout", RUN_LIMIT, "-mesh-name", "outrigger"],
    ...["-conformance-profiles", PROFILES.join(","), "-supported-features", FEATURES.join(",")],
    ...["-namespace-labels", flags.label, "-run-test", flags.test],
    ...[`-cleanup-base-resources=${!flags.keep}`, "-report-output", flags.report],
    ...["-organization", "outrigger", "-project", name ?? "", "-version", version ?? ""],
    ...["-url", "https://outrigger.dev", "-contact", "https://outrigger.dev"],
  ];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  child.stdout.pipe(createWriteStream(logFile));
  const results: TestResult[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const result = resultOf(line);
    if (result !== null) results.push(result);
  }
  const [status] = (await ended) as [number | null];
  return { results, status };
}

await main();
