/** Before the points: a mesh that says it is ready answers from the first call on. */
import { callMany, failureKinds, hasFailed } from "../traffic.ts";
import type { Step } from "./step.ts";

const CALLS = 100;
const CONCURRENCY = 4;

export const firstCallsStep: Step = {
  title: "0. The first calls",
  async run({ callers, report }) {
    const results = await callMany(callers.page, CALLS, CONCURRENCY);
    const failed = results.filter(hasFailed).length;
    const kinds = failed === 0 ? "" : `: ${failureKinds(results)}`;
    report.check(failed === 0, `of its first ${CALLS} calls ${failed} failed${kinds}`, "none may fail");
  },
};
