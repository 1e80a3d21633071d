/** Point 5: a weighted split, counted by who answered. */
import type { CallResult } from "../http-get.ts";
import { ordersRoute } from "../manifests.ts";
import { duration, percent } from "../report.ts";
import { callMany, failureKinds, hasFailed } from "../traffic.ts";
import type { Step } from "./step.ts";

const CALLS = 1000;
const CONCURRENCY = 8;
const V2_PERCENT = 10;
/** Four standard deviations of that many draws: one run in 16,000 misses it by chance. */
const TOLERANCE = 4 * Math.sqrt(CALLS * (V2_PERCENT / 100) * (1 - V2_PERCENT / 100));

export const splitStep: Step = {
  title: "5. Orders split 90/10 between v1 and v2",
  async run({ mesh, callers, report }) {
    const applied = await mesh.controlPlane.apply(
      "orders-route",
      ordersRoute(100 - V2_PERCENT, V2_PERCENT, mesh.transparent),
    );
    report.note(`HTTPRoute edited: weights 90 and 10; in force after ${duration(applied)}`);
    const results = await callMany(callers.page, CALLS, CONCURRENCY);
    const v1 = results.filter((result) => versionOf(result) === "v1").length;
    const v2 = results.filter((result) => versionOf(result) === "v2").length;
    const expected = (CALLS * V2_PERCENT) / 100;
    report.check(
      Math.abs(v2 - expected) <= TOLERANCE,
      `of ${CALLS} calls v1 answered ${v1} and v2 ${v2}: ${percent(v2, CALLS)}`,
      `${V2_PERCENT} % ± ${percent(TOLERANCE, CALLS)}, four standard deviations`,
    );
    const failed = results.filter(hasFailed).length;
    report.check(failed === 0, `${failed} failed${failed === 0 ? "" : `: ${failureKinds(results)}`}`, "none may fail");
  },
};

/** Which version of orders a page was made with; null where it was not made. */
export function versionOf({ status, body }: CallResult): string | null {
  if (status !== 200) return null;
  const page = JSON.parse(body) as { readonly order?: { readonly version?: string } };
  return page.order?.version ?? null;
}
