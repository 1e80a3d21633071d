/** `outrigger demo --once`: the points in their order, each measured, none skipped because another failed. */
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { DemoMesh } from "./mesh.ts";
import { createReport, duration } from "./report.ts";
import { controlPlaneStep } from "./steps/control-plane.ts";
import { identityStep } from "./steps/identity.ts";
import { outageStep } from "./steps/outage.ts";
import { retriesStep } from "./steps/retries.ts";
import { rotationStep } from "./steps/rotation.ts";
import { splitStep } from "./steps/split.ts";
import type { Step } from "./steps/step.ts";
import { openCallers } from "./traffic.ts";

/** The one that takes the control plane away comes last, so that its return is not in another's measurements. */
const STEPS: readonly Step[] = [identityStep, rotationStep, retriesStep, outageStep, splitStep, controlPlaneStep];

/** How long callers of stock wait for an answer, with the mesh and without. */
const IMPATIENT_MS = 1000;

/** Plays the script; resolves with the points that did not hold. */
export async function playScript(mesh: DemoMesh, write: (line: string) => void): Promise<readonly string[]> {
  const begin = systemClock.now();
  const report = createReport(write);
  const callers = openCallers(mesh, IMPATIENT_MS);
  try {
    for (const step of STEPS) {
      report.begin(step.title);
      try {
        await step.run({ mesh, callers, report });
      } catch (error) {
        report.check(false, messageOf(error), "the step must run to its end");
      }
    }
  } finally {
    callers.close();
  }
  report.note("");
  write(`The script took ${duration(systemClock.now() - begin)}.`);
  return report.failed;
}
