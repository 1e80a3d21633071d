/** The last point: the control plane is killed and comes back; calls go on, and so does configuration. */
import { systemClock } from "../../../core/clock.ts";
import { ordersRoute } from "../manifests.ts";
import { duration } from "../report.ts";
import { callSteadily, failureKinds, hasFailed } from "../traffic.ts";
import { sleep, until } from "../wait.ts";
import { versionOf } from "./split.ts";
import type { Step } from "./step.ts";

const EVERY_MS = 10;
const DOWN_MS = 700;
const ARRIVAL_MS = 10_000;
/** So many calls in a row, all to v2: by chance only if the old split were still in force, at 10^-20. */
const IN_A_ROW = 20;

export const controlPlaneStep = (number: number): Step => ({
  title: `${number}. The control plane is killed and started again`,
  async run({ mesh, callers, report }) {
    const { controlPlane } = mesh;
    await controlPlane.apply("orders-route", ordersRoute(90, 10, mesh.transparent));
    const traffic = callSteadily(callers.page, EVERY_MS);
    await sleep(300);
    const killedAt = systemClock.now();
    await controlPlane.kill();
    await sleep(DOWN_MS);
    await controlPlane.start();
    const down = systemClock.now() - killedAt;
    const editedAt = systemClock.now();
    controlPlane.write("orders-route", ordersRoute(0, 100, mesh.transparent));
    let arrived = true;
    try {
      await until("the change to arrive", ARRIVAL_MS, () => {
        const latest = traffic.results.slice(-IN_A_ROW);
        return latest.length === IN_A_ROW && latest.every((result) => versionOf(result) === "v2");
      });
    } catch {
      arrived = false;
    }
    const took = systemClock.now() - editedAt;
    const results = await traffic.stop();
    const failed = results.filter(hasFailed).length;
    report.note(`SIGKILL, and started again: it was away for ${duration(down)}`);
    report.check(
      failed === 0 && results.length > 0,
      `${results.length} calls meanwhile: ${failed} failed${failed === 0 ? "" : `: ${failureKinds(results)}`}`,
      "none may fail",
    );
    report.check(
      arrived,
      arrived
        ? `an HTTPRoute edited afterwards: all calls were at orders-v2 after ${duration(took)}`
        : `an HTTPRoute edited afterwards did not arrive`,
      `within ${ARRIVAL_MS / 1000} s`,
    );
  },
});
