/**
 * `npm run test:envoy [-- --filter TEXT] [-- --only-envoy] [-- --verbose]`: runs the same bootstraps in the real Envoy and
 * in Outrigger, sends the same requests through both, and compares what callers, upstreams and access logs saw.
 * `--only-envoy` prints what Envoy does, which is how a new case begins.
 */
import { parseArgs } from "node:util";
import { envoyBinary } from "../../scripts/envoy-binary.ts";
import { areas } from "./cases/all.ts";
import type { Area, Compared } from "./harness/case.ts";
import { judge } from "./harness/compare.ts";
import type { Side } from "./harness/proxy.ts";
import { type Observations, runArea } from "./harness/run-area.ts";
import type { TcpArea } from "./harness/tcp/case.ts";
import { whyNotIntercepted } from "./harness/tcp/interception.ts";
import { runTcpArea } from "./harness/tcp/run-area.ts";

const { values } = parseArgs({
  options: {
    filter: { type: "string", default: "" },
    "only-envoy": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

/** Areas that run at the same time. */
const PARALLEL = 2;

/** More failures than this are no matter of time. */
const MOST_AGAIN = 12;

type AnyArea = Area | TcpArea;

const casesOf = (area: AnyArea): readonly Compared[] => area.cases;

const titleOf = (area: AnyArea, { name }: Compared): string => `${area.name}: ${name}`;

function selected(area: AnyArea): (testCase: Compared) => boolean {
  return (testCase) => titleOf(area, testCase).includes(values.filter);
}

interface Failure {
  readonly area: AnyArea;
  readonly testCase: Compared;
  readonly report: string;
}

/** Runs the chosen cases of an area through both proxies. */
async function compareArea(
  area: AnyArea,
  envoy: string,
  chosen: (testCase: Compared) => boolean,
): Promise<{ readonly passed: number; readonly failures: readonly Failure[] }> {
  const cases = casesOf(area).filter(chosen);
  const run = (one: AnyArea, side: Side): Promise<Observations> =>
    one.kind === "tcp" ? runTcpArea(one, side, envoy, chosen) : runArea(one, side, envoy, chosen);
  let observed: readonly Observations[];
  try {
    const sides = values["only-envoy"] ? (["envoy"] as const) : (["envoy", "outrigger"] as const);
    observed = await Promise.all(sides.map((side) => run(area, side)));
  } catch (error) {
    const report = error instanceof Error ? error.message : String(error);
    return { passed: 0, failures: cases.map((testCase) => ({ area, testCase, report })) };
  }
  const [theirs, ours] = observed;
  const failures: Failure[] = [];
  for (const testCase of cases) {
    const id = `${area.name}-${casesOf(area).indexOf(testCase)}`;
    const title = titleOf(area, testCase);
    const envoyLines = theirs?.get(id) ?? [];
    if (ours === undefined || values.verbose) console.log([title, ...envoyLines].join("\n    "));
    const wrong = ours === undefined ? null : judge(testCase, id, envoyLines, ours.get(id) ?? []);
    if (wrong !== null) failures.push({ area, testCase, report: [`${title} (${id})`, ...wrong].join("\n    ") });
  }
  return { passed: cases.length - failures.length, failures };
}

/**
 * A case that failed is tried once more with nothing beside it: many of them are about time, and on a busy machine the
 * two proxies are not slowed alike. What fails then has failed.
 */
async function tryAgain({ area, testCase }: Failure, envoy: string): Promise<Failure | null> {
  console.log(`again, alone: ${titleOf(area, testCase)}`);
  const { failures } = await compareArea(area, envoy, (other) => other === testCase);
  return failures[0] ?? null;
}

/** Whether the machine allows what the area needs; says so if not. */
function isPossible(area: AnyArea): boolean {
  const why = area.kind === "tcp" && (area.intercepted || area.apart) ? whyNotIntercepted() : null;
  if (why !== null) console.log(`skipped: ${area.name}, because of rights or tools: ${why}`);
  return why === null;
}

async function main(): Promise<void> {
  const chosen = areas.filter((area) => casesOf(area).some(selected(area)) && isPossible(area));
  const total = chosen.reduce((sum, area) => sum + casesOf(area).filter(selected(area)).length, 0);
  const envoy = envoyBinary();
  if (envoy === null) {
    const required = process.env["CI"] === "true";
    console.log(
      required ? "Envoy is missing" : "skipped: comparison with Envoy, because there is none on this machine",
    );
    console.log(required ? `0 passed, ${total} failed` : `0 passed, 0 failed, ${total} skipped`);
    process.exitCode = required ? 1 : 0;
    return;
  }
  let passed = 0;
  let failures: Failure[] = [];
  const waiting = [...chosen];
  const worker = async (): Promise<void> => {
    for (let area = waiting.shift(); area !== undefined; area = waiting.shift()) {
      const outcome = await compareArea(area, envoy, selected(area));
      passed += outcome.passed;
      failures.push(...outcome.failures);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (failures.length <= MOST_AGAIN) {
    const lasting: Failure[] = [];
    for (const failure of failures) {
      const again = await tryAgain(failure, envoy);
      if (again === null) passed++;
      else lasting.push(again);
    }
    failures = lasting;
  }
  for (const report of new Set(failures.map((failure) => failure.report))) console.log(`FAILED ${report}`);
  const differences = chosen.flatMap((area) =>
    casesOf(area)
      .filter(selected(area))
      .filter(({ differs }) => differs),
  );
  if (!values["only-envoy"]) console.log(`${differences.length} cases differ on purpose, each with its reason`);
  console.log(`${passed} passed, ${failures.length} failed`);
  if (failures.length > 0 || total === 0) process.exitCode = 1;
}

await main();
process.exit();
