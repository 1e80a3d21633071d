/** What a point of the script is. */
import type { CertificateWatch } from "../certificates.ts";
import type { DemoMesh } from "../mesh.ts";
import type { Report } from "../report.ts";
import type { Callers } from "../traffic.ts";

export interface StepContext {
  readonly mesh: DemoMesh;
  readonly callers: Callers;
  readonly certificates: CertificateWatch;
  readonly report: Report;
}

export interface Step {
  readonly title: string;
  run(context: StepContext): Promise<void>;
}
