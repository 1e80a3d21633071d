/** Point 3: a version that fails 30 % of its calls, and what its callers see of that without retries and with them. */
import { ordersRetries, ordersRoute } from "../manifests.ts";
import { duration, percent } from "../report.ts";
import { callMany, hasFailed } from "../traffic.ts";
import type { Step, StepContext } from "./step.ts";

const CALLS = 500;
const CONCURRENCY = 8;
const FAIL_PERCENT = 30;
const ATTEMPTS = 5;
/** Five standard deviations of 500 draws at 30 %. */
const TOLERANCE = 0.102;
/** Five attempts leave 0.24 %; eight standard deviations above. */
const MOST_WITH_RETRIES = 0.02;

export const retriesStep: Step = {
  title: `3. orders-v2 fails ${FAIL_PERCENT} % of its calls`,
  async run({ mesh, report, callers }: StepContext) {
    const { controlPlane } = mesh;
    await mesh.cue("orders-v2", { failPercent: FAIL_PERCENT });
    const failures = async (): Promise<number> => {
      const results = await callMany(callers.page, CALLS, CONCURRENCY);
      return results.filter(hasFailed).length;
    };
    try {
      const moved = await controlPlane.apply("orders-route", ordersRoute(0, 100, mesh.transparent));
      report.note(`HTTPRoute edited: all calls to orders-v2; in force in every sidecar after ${duration(moved)}`);
      const without = await failures();
      report.check(
        Math.abs(without / CALLS - FAIL_PERCENT / 100) <= TOLERANCE,
        `without retries of errors, visitors saw ${without} of ${CALLS} calls fail: ${percent(without, CALLS)}`,
        `${FAIL_PERCENT} % ± ${(TOLERANCE * 100).toFixed(0)}, five standard deviations`,
      );
      const applied = await controlPlane.apply("orders-retries", ordersRetries(ATTEMPTS));
      report.note(`ResiliencePolicy written: ${ATTEMPTS} attempts; in force after ${duration(applied)}`);
      const withRetries = await failures();
      report.check(
        withRetries / CALLS <= MOST_WITH_RETRIES,
        `with retries, visitors saw ${withRetries} of ${CALLS} calls fail: ${percent(withRetries, CALLS)}`,
        `at most ${MOST_WITH_RETRIES * 100} %; 0.24 % is to be expected`,
      );
    } finally {
      await mesh.cue("orders-v2");
      await controlPlane.apply("orders-retries", null);
    }
  },
};
