/** Point 2: certificates are replaced while calls go through all of the mesh, and no call notices. */
import { systemClock } from "../../../core/clock.ts";
import { knock } from "../knock.ts";
import type { DemoMesh } from "../mesh.ts";
import { type ClientCertificate, meshCertificate } from "../mesh-certificate.ts";
import { duration } from "../report.ts";
import { type Caller, callSteadily, failureKinds, hasFailed, quantile } from "../traffic.ts";
import { sleep, until } from "../wait.ts";
import { CERT_LIFETIME_S, type WorkloadName } from "../workloads.ts";
import type { Step } from "./step.ts";

const EVERY_MS = 15;
/** Calls on a connection of their own: each looks at the certificate that the sidecar shows just then. */
const NEW_CONNECTION_EVERY_MS = 60;
/** However soon the last renewal is seen: some load there should be. */
const SHORTEST_MS = 3000;
/** Renewal is due at half the lifetime, ±10 %. */
const LONGEST_MS = CERT_LIFETIME_S * 1000;

export const rotationStep: Step = {
  title: `2. Certificates that live ${CERT_LIFETIME_S} s are rotated under load`,
  async run({ mesh, callers, certificates, report }) {
    const newConnection = freshCaller(mesh, await meshCertificate(mesh));
    const before = new Map(mesh.names.map((name) => [name, certificates.rotations(name)]));
    const rotated = (name: WorkloadName): number => certificates.rotations(name) - (before.get(name) ?? 0);
    const shortest = sleep(SHORTEST_MS);
    const calls = callSteadily(callers.page, EVERY_MS);
    const handshakes = callSteadily(newConnection, NEW_CONNECTION_EVERY_MS);
    try {
      await until("every sidecar to renew", LONGEST_MS, () => mesh.names.every((name) => rotated(name) > 0));
    } catch {
      // The criterion below says which one is missing.
    }
    await shortest;
    const results = await calls.stop();
    const fresh = await handshakes.stop();
    const total = mesh.names.reduce((count, name) => count + rotated(name), 0);
    const late = mesh.names.filter((name) => rotated(name) === 0);
    report.check(
      late.length === 0,
      `${total} certificates replaced in ${mesh.names.length} sidecars${late.length === 0 ? "" : `, none in ${late.join(", ")}`}`,
      "at least one in each",
    );
    for (const [what, made] of [
      ["calls meanwhile, through shop, orders and stock", results],
      ["more, each with a handshake of its own", fresh],
    ] as const) {
      const failed = made.filter(hasFailed).length;
      const kinds = failed === 0 ? "" : `: ${failureKinds(made)}`;
      report.check(
        failed === 0 && made.length > 0,
        `${made.length} ${what}: ${failed} failed${kinds}`,
        "none may fail",
      );
    }
    report.note(
      `the calls' p50 was ${duration(quantile(results, 0.5))}, their p99 ${duration(quantile(results, 0.99))}`,
    );
  },
};

/** Calls the shop's sidecar with a full handshake, and looks whether its certificate is valid. */
function freshCaller({ workloads }: DemoMesh, certificate: ClientCertificate): Caller {
  const { address, inboundPort } = workloads.shop.sidecar;
  return async () => {
    const startedAt = systemClock.now();
    const { answer, reason } = await knock(address, inboundPort, "/", { kind: "tls", certificate, verify: true });
    const status = answer === null ? 0 : Number(answer.split(" ")[1]);
    const error = answer === null ? reason : null;
    return { startedAt, ms: systemClock.now() - startedAt, status, headers: {}, body: "", error };
  };
}
