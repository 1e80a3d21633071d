/** `outrigger demo --once`: the points in their order, each measured, none skipped because another failed. */
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import { CertificateWatch } from "./certificates.ts";
import { edgesOf } from "./edges.ts";
import type { DemoMesh } from "./mesh.ts";
import { createReport, duration } from "./report.ts";
import { scrape } from "./scrape.ts";
import { controlPlaneStep } from "./steps/control-plane.ts";
import { firstCallsStep } from "./steps/first-calls.ts";
import { grpcStep } from "./steps/grpc.ts";
import { identityStep } from "./steps/identity.ts";
import { journalStep } from "./steps/journal.ts";
import { outageStep } from "./steps/outage.ts";
import { retriesStep } from "./steps/retries.ts";
import { rotationStep } from "./steps/rotation.ts";
import { splitStep } from "./steps/split.ts";
import type { Step } from "./steps/step.ts";
import { certificateTable, edgeTable } from "./table.ts";
import { openCallers } from "./traffic.ts";

const STEPS: readonly Step[] = [
  firstCallsStep,
  identityStep,
  rotationStep,
  retriesStep,
  outageStep,
  splitStep,
  grpcStep,
];

/** The one that takes the control plane away comes last, so that its return is not in another's measurements. */
function stepsOf({ transparent }: DemoMesh): readonly Step[] {
  return transparent ? [...STEPS, journalStep, controlPlaneStep(8)] : [...STEPS, controlPlaneStep(7)];
}

/** How long callers of stock wait for an answer, with the mesh and without. */
const IMPATIENT_MS = 1500;

/** Plays the script; resolves with the points that did not hold. */
export async function playScript(mesh: DemoMesh, write: (line: string) => void): Promise<readonly string[]> {
  const begin = systemClock.now();
  const report = createReport(write);
  const callers = openCallers(mesh, IMPATIENT_MS);
  const certificates = new CertificateWatch(mesh);
  try {
    for (const step of stepsOf(mesh)) {
      report.begin(step.title);
      try {
        await step.run({ mesh, callers, certificates, report });
      } catch (error) {
        report.check(false, messageOf(error), "the step must run to its end");
      }
    }
    const took = systemClock.now() - begin;
    report.begin(`What the sidecars measured in these ${duration(took)}`);
    for (const line of await summary(mesh, certificates, took)) write(`  ${line}`);
  } finally {
    await certificates.stop();
    callers.close();
  }
  return report.failed;
}

async function summary(mesh: DemoMesh, certificates: CertificateWatch, tookMs: number): Promise<readonly string[]> {
  const edges = edgesOf(await Promise.all(Object.values(mesh.workloads).map(scrape)));
  const rows = mesh.names.map((workload) => ({
    workload,
    ageMs: certificates.age(workload),
    rotations: certificates.rotations(workload),
  }));
  return [...edgeTable([...edges.values()], tookMs), "", ...certificateTable(rows)];
}
