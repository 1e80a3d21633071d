/** Point 2: certificates are replaced while calls go through all of the mesh, and no call notices. */
import { CertificateWatch } from "../certificates.ts";
import { CERT_LIFETIME_S, WORKLOAD_NAMES } from "../mesh.ts";
import { duration } from "../report.ts";
import { scrape, sum } from "../scrape.ts";
import { callSteadily, failureKinds, hasFailed, quantile } from "../traffic.ts";
import { until } from "../wait.ts";
import type { Step } from "./step.ts";

const EVERY_MS = 10;
/** Twice the longest time that a certificate is kept. */
const LONGEST_MS = CERT_LIFETIME_S * 1000;

export const rotationStep: Step = {
  title: `2. Certificates that live ${CERT_LIFETIME_S} s are rotated under load`,
  async run({ mesh, callers, report }) {
    const { visitor } = mesh.workloads;
    const handshakes = async (): Promise<number> => sum(await scrape(visitor), "outrigger_tls_handshakes_total");
    const before = await handshakes();
    const watch = new CertificateWatch(mesh);
    const traffic = callSteadily(callers.page, EVERY_MS);
    try {
      await until("every sidecar to renew its certificate", LONGEST_MS, () =>
        WORKLOAD_NAMES.every((name) => watch.rotations(name) > 0),
      );
    } catch {
      // The criterion below says which one is missing.
    }
    const results = await traffic.stop();
    await watch.stop();
    const rotations = WORKLOAD_NAMES.map((name) => watch.rotations(name));
    const total = rotations.reduce((sum, count) => sum + count, 0);
    const late = WORKLOAD_NAMES.filter((_, index) => rotations[index] === 0);
    report.check(
      late.length === 0,
      `${total} certificates replaced in ${WORKLOAD_NAMES.length} sidecars${late.length === 0 ? "" : `, none in ${late.join(", ")}`}`,
      "at least one in each",
    );
    const failed = results.filter(hasFailed);
    report.check(
      failed.length === 0 && results.length > 0,
      `${results.length} calls meanwhile, through shop, orders and stock: ${failed.length} failed${failed.length === 0 ? "" : `: ${failureKinds(results)}`}`,
      "none may fail",
    );
    report.note(
      `p50 ${duration(quantile(results, 0.5))}, p99 ${duration(quantile(results, 0.99))}; the visitor's sidecar made ${(await handshakes()) - before} new handshakes`,
    );
  },
};
