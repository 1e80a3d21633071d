/** Point 1: a sidecar's inbound port answers those who show a certificate of the mesh, and nobody else. */
import { CertificateAuthority } from "../../../certs/ca.ts";
import { createCsr } from "../../../certs/csr.ts";
import { JoinTokens, readRootPins } from "../../../certs/join-token.ts";
import { generateKeyPair, privateKeyToPem } from "../../../certs/key.ts";
import { caIssuer } from "../../../control-client/ca/ca-client.ts";
import { systemClock } from "../../../core/clock.ts";
import { formatIdentity, type Identity } from "../../../model/identity.ts";
import { knock, type Shown } from "../knock.ts";
import type { DemoMesh } from "../mesh.ts";
import { scrape, sum } from "../scrape.ts";
import type { Step } from "./step.ts";

const VISITOR: Identity = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "visitor" };
const LIFETIME_MS = 60_000;
const HANDSHAKE_FAILURES = "outrigger_tls_handshake_failures_total";

export const identityStep: Step = {
  title: "1. Calls without a certificate of the mesh are refused",
  async run({ mesh, report }) {
    const { shop } = mesh.workloads;
    const { address, inboundPort } = shop.sidecar;
    const refusals = async (): Promise<number> => sum(await scrape(shop), HANDSHAKE_FAILURES, { side: "downstream" });
    const before = await refusals();
    const attempts: readonly (readonly [what: string, shown: Shown])[] = [
      ["plain HTTP", { kind: "plaintext" }],
      ["TLS without a client certificate", { kind: "tls", certificate: null }],
      [
        "TLS with a certificate of another CA for the same name",
        { kind: "tls", certificate: foreignCertificate(mesh) },
      ],
    ];
    for (const [what, shown] of attempts) {
      const { answer, reason } = await knock(address, inboundPort, shown);
      const outcome = answer === null ? `refused (${reason})` : `answered: ${answer}`;
      report.check(answer === null, `${what} to shop's sidecar, ${address}:${inboundPort}: ${outcome}`, "no answer");
    }
    const counted = (await refusals()) - before;
    report.check(
      counted === attempts.length,
      `shop's sidecar counted ${counted} refused handshakes`,
      `${attempts.length}`,
    );
    const own = await knock(address, inboundPort, { kind: "tls", certificate: await meshCertificate(mesh) });
    const seen = own.answer ?? `no answer: ${own.reason}`;
    report.check(own.answer?.includes(" 200 ") === true, `the same with a certificate of the mesh: ${seen}`, "200");
  },
};

/** Of a CA that calls itself by the mesh's own trust domain. */
function foreignCertificate({ directory }: DemoMesh): { readonly key: string; readonly cert: string } {
  const { trustDomain } = VISITOR;
  const ca = new CertificateAuthority({ stateDir: `${directory}/foreign-ca`, trustDomain, clock: systemClock });
  const keys = generateKeyPair();
  const { chainPem } = ca.issue(keys.publicKey, [{ type: "uri", value: formatIdentity(VISITOR) }], LIFETIME_MS);
  return { key: privateKeyToPem(keys.privateKey), cert: chainPem };
}

/** As a sidecar gets its first one: a join token, and a signing request to the control plane. */
async function meshCertificate({ controlPlane }: DemoMesh): Promise<{ readonly key: string; readonly cert: string }> {
  const { stateDir, caPort } = controlPlane;
  const issue = caIssuer({
    host: "127.0.0.1",
    port: caPort,
    spiffeId: null,
    token: () => new JoinTokens(stateDir, systemClock).mint(VISITOR, LIFETIME_MS, readRootPins(stateDir)),
    roots: () => null,
    certificate: () => undefined,
    clock: systemClock,
  });
  const keys = generateKeyPair();
  const { chain } = await issue(createCsr(keys, [{ type: "uri", value: formatIdentity(VISITOR) }]), LIFETIME_MS);
  return { key: privateKeyToPem(keys.privateKey), cert: chain };
}
