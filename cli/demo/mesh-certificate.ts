/** Certificates to knock with: one of the mesh, got as a sidecar gets its first one, and one of a CA of one's own. */
import { CertificateAuthority } from "../../certs/ca.ts";
import { createCsr } from "../../certs/csr.ts";
import { JoinTokens, readRootPins } from "../../certs/join-token.ts";
import { generateKeyPair, privateKeyToPem } from "../../certs/key.ts";
import { caIssuer } from "../../control-client/ca/ca-client.ts";
import { systemClock } from "../../core/clock.ts";
import { formatIdentity, type Identity } from "../../model/identity.ts";
import type { DemoMesh } from "./mesh.ts";

export interface ClientCertificate {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
  /** The roots by which its issuer is known. */
  readonly ca: string;
}

const VISITOR: Identity = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "visitor" };
const LIFETIME_MS = 60_000;

/** A join token, then a signing request to the control plane. */
export async function meshCertificate({ controlPlane }: DemoMesh): Promise<ClientCertificate> {
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
  const { chain, roots } = await issue(createCsr(keys, [{ type: "uri", value: formatIdentity(VISITOR) }]), LIFETIME_MS);
  return { key: privateKeyToPem(keys.privateKey), cert: chain, ca: roots };
}

/** Of a CA that calls itself by the mesh's own trust domain, for the same name. */
export function foreignCertificate({ directory }: DemoMesh): ClientCertificate {
  const { trustDomain } = VISITOR;
  const ca = new CertificateAuthority({ stateDir: `${directory}/foreign-ca`, trustDomain, clock: systemClock });
  const keys = generateKeyPair();
  const issued = ca.issue(keys.publicKey, [{ type: "uri", value: formatIdentity(VISITOR) }], LIFETIME_MS);
  return { key: privateKeyToPem(keys.privateKey), cert: issued.chainPem, ca: issued.rootPem };
}
