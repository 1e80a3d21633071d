/**
 * `npm run test:envoy [-- --filter TEXT] [-- --only-envoy] [-- --verbose]`: runs the same bootstraps in the real Envoy and
 * in Outrigger, sends the same requests through both, and compares what callers, upstreams and access logs saw.
 * `--only-envoy` prints what Envoy does, which is how a new case begins.
 */
import { parseArgs } from "node:util";
import { envoyBinary } from "../../scripts/envoy-binary.ts";
import { areas } from "./cases/all.ts";
import type { Area, Case } from "./harness/case.ts";
import { judge } from "./harness/compare.ts";
import { type Observations, runArea } from "./harness/run-area.ts";

const { values } = parseArgs({
  options: {
    filter: { type: "string", default: "" },
    "only-envoy": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

/** Areas that run at the same time. */
const PARALLEL = 2;

interface Tally {
  passed: number;
  failed: number;
}

function selected(area: Area): (testCase: Case) => boolean {
  return ({ name }) => `${area.name}: ${name}`.includes(values.filter);
}

async function compareArea(area: Area, envoy: string, tally: Tally): Promise<void> {
  const chosen = selected(area);
  const count = area.cases.filter(chosen).length;
  let observed: readonly Observations[];
  try {
    const sides = values["only-envoy"] ? (["envoy"] as const) : (["envoy", "outrigger"] as const);
    observed = await Promise.all(sides.map((side) => runArea(area, side, envoy, chosen)));
  } catch (error) {
    console.log(`FAILED ${error instanceof Error ? error.message : String(error)}`);
    tally.failed += count;
    return;
  }
  const [theirs, ours] = observed;
  area.cases.forEach((testCase, index) => {
    if (!chosen(testCase)) return;
    const id = `${area.name}-${index}`;
    const title = `${area.name}: ${testCase.name}`;
    const envoyLines = theirs?.get(id) ?? [];
    if (ours === undefined || values.verbose) console.log([title, ...envoyLines].join("\n    "));
    const wrong = ours === undefined ? null : judge(testCase, id, envoyLines, ours.get(id) ?? []);
    if (wrong === null) tally.passed++;
    else {
      tally.failed++;
      console.log([`FAILED ${title} (${id})`, ...wrong].join("\n    "));
    }
  });
}

async function main(): Promise<void> {
  const chosen = areas.filter((area) => area.cases.some(selected(area)));
  const total = chosen.reduce((sum, area) => sum + area.cases.filter(selected(area)).length, 0);
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
  const tally = { passed: 0, failed: 0 };
  const waiting = [...chosen];
  const worker = async (): Promise<void> => {
    for (let area = waiting.shift(); area !== undefined; area = waiting.shift()) await compareArea(area, envoy, tally);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const differences = chosen.flatMap((area) => area.cases.filter(selected(area)).filter(({ differs }) => differs));
  if (!values["only-envoy"]) console.log(`${differences.length} cases differ on purpose, each with its reason`);
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  if (tally.failed > 0 || total === 0) process.exitCode = 1;
}

await main();
process.exit();
