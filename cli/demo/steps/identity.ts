/** Point 1: a sidecar's inbound port answers those who show a certificate of the mesh, and nobody else. */
import { knock, type Shown } from "../knock.ts";
import { foreignCertificate, meshCertificate } from "../mesh-certificate.ts";
import { scrape, sum } from "../scrape.ts";
import type { Step } from "./step.ts";

const HANDSHAKE_FAILURES = "outrigger_tls_handshake_failures_total";

export const identityStep: Step = {
  title: "1. Calls without a certificate of the mesh are refused",
  async run({ mesh, report }) {
    const { shop } = mesh.workloads;
    const { address, inboundPort } = shop.sidecar;
    const refusals = async (): Promise<number> => sum(await scrape(shop), HANDSHAKE_FAILURES, { side: "downstream" });
    const before = await refusals();
    const strangers: readonly (readonly [what: string, shown: Shown])[] = [
      ["plain HTTP", { kind: "plaintext" }],
      ["TLS without a client certificate", { kind: "tls", certificate: null, verify: false }],
      [
        "TLS with a certificate of another CA for the same name",
        { kind: "tls", certificate: foreignCertificate(mesh), verify: false },
      ],
    ];
    report.note(`calls straight to the sidecar of shop, ${address}:${inboundPort}`);
    for (const [what, shown] of strangers) {
      const { answer, reason } = await knock(address, inboundPort, "/", shown);
      report.check(answer === null, `${what}: ${answer ?? `refused, ${reason}`}`, "no answer");
    }
    const counted = (await refusals()) - before;
    const expected = strangers.length;
    report.check(counted === expected, `the sidecar counted ${counted} refused handshakes`, `${expected}`);
    const certificate = await meshCertificate(mesh);
    const own = await knock(address, inboundPort, "/", { kind: "tls", certificate, verify: true });
    report.check(
      own.answer?.includes(" 200 ") === true,
      `TLS with a certificate of the mesh: ${own.answer ?? `no answer, ${own.reason}`}`,
      "200",
    );
  },
};
