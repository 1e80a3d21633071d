/** Point 4: one of two instances hangs; how long that is felt by callers with the mesh and by callers without it. */
import type { CallResult } from "../http-get.ts";
import { duration } from "../report.ts";
import { scrape, sum } from "../scrape.ts";
import { callSteadily, failureKinds, hasFailed, warmUp } from "../traffic.ts";
import { sleep } from "../wait.ts";
import type { Step } from "./step.ts";

const OUTAGE_MS = 4000;
const EVERY_MS = 20;
/** A call that takes longer is felt, even where it is answered in the end. */
const SLOW_MS = 100;
const SLOT_MS = 100;

export const outageStep: Step = {
  title: `4. One of two stock instances hangs for ${OUTAGE_MS / 1000} s`,
  async run({ mesh, callers, report }) {
    const { visitor } = mesh.workloads;
    const ejected = async (): Promise<number> =>
      sum(await scrape(visitor), "outrigger_upstream_events_total", { event: "ejected" });
    await warmUp(callers);
    const before = await ejected();
    const direct = callSteadily(callers.stockDirectly, EVERY_MS);
    const meshed = callSteadily(callers.stock, EVERY_MS);
    await sleep(300);
    await mesh.cue("stock-2", { stalled: true });
    await sleep(OUTAGE_MS);
    await mesh.cue("stock-2");
    await sleep(200);
    const withoutMesh = await direct.stop();
    const withMesh = await meshed.stop();
    const feltWithout = felt(withoutMesh);
    const feltWith = felt(withMesh);
    report.note(`without the mesh, calls to both instances in turn: ${describe(withoutMesh)}`);
    report.note(`with the mesh, the same calls through a sidecar: ${describe(withMesh)}`);
    report.check(
      withMesh.filter(hasFailed).length === 0,
      `calls that failed with the mesh: ${withMesh.filter(hasFailed).length}; without: ${withoutMesh.filter(hasFailed).length}`,
      "none with the mesh",
    );
    report.check(
      feltWith <= feltWithout / 2 && feltWithout >= OUTAGE_MS / 2,
      `callers felt the outage for ${duration(feltWithout)} without the mesh, for ${duration(feltWith)} with it`,
      "at most half; felt: tenths of a second in which a call failed or took over 100 ms",
    );
    const count = (await ejected()) - before;
    report.check(count >= 1, `the sidecar took the hanging instance out ${count} ×`, "at least once");
  },
};

/** Time in which a call began that failed or was slow, ms. */
function felt(results: readonly CallResult[]): number {
  const affected = results.filter((result) => hasFailed(result) || result.ms > SLOW_MS);
  return SLOT_MS * new Set(affected.map(({ startedAt }) => Math.floor(startedAt / SLOT_MS))).size;
}

function describe(results: readonly CallResult[]): string {
  const failed = results.filter(hasFailed).length;
  const slow = results.filter((result) => !hasFailed(result) && result.ms > SLOW_MS).length;
  const kinds = failed === 0 ? "" : ` (${failureKinds(results)})`;
  return `${results.length} calls, ${failed} failed${kinds}, ${slow} took over ${SLOW_MS} ms`;
}
