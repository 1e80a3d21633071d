/** Certificates for the TLS cases: one authority that both ends trust, and a stranger. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CertificateAuthority } from "../../../certs/ca.ts";
import type { SubjectAltName } from "../../../certs/extensions.ts";
import { generateKeyPair, privateKeyToPem } from "../../../certs/key.ts";
import { systemClock } from "../../../core/clock.ts";

export interface Certificate {
  readonly chain: string;
  readonly key: string;
}

const dns = (value: string): SubjectAltName => ({ type: "dns", value });
const account = (name: string): SubjectAltName => ({ type: "uri", value: `spiffe://mesh.test/ns/shop/sa/${name}` });

function withAuthority<T>(use: (ca: CertificateAuthority) => T): T {
  const stateDir = mkdtempSync(path.join(tmpdir(), "outrigger-envoy-ca-"));
  try {
    return use(new CertificateAuthority({ stateDir, trustDomain: "mesh.test", clock: systemClock }));
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function issue(ca: CertificateAuthority, names: readonly SubjectAltName[]): Certificate {
  const keys = generateKeyPair();
  return {
    chain: ca.issue(keys.publicKey, names, 86_400_000).chainPem,
    key: privateKeyToPem(keys.privateKey),
  };
}

const mesh = withAuthority((ca) => ({
  roots: ca.bundle.get() ?? "",
  certificates: {
    /** Servers. */
    alpha: issue(ca, [dns("alpha.test"), dns("*.wild.test")]),
    beta: issue(ca, [dns("beta.test")]),
    orders: issue(ca, [account("orders"), dns("orders.test")]),
    /** Clients. */
    caller: issue(ca, [account("caller")]),
    other: issue(ca, [account("other"), dns("other.test")]),
  },
}));

const stranger = withAuthority((ca) => ({
  roots: ca.bundle.get() ?? "",
  certificates: { stranger: issue(ca, [account("caller"), dns("alpha.test")]) },
}));

/** Roots that the mesh's certificates, and the stranger's, are signed by. */
export const roots = { mesh: mesh.roots, stranger: stranger.roots };

const certificates: Readonly<Record<string, Certificate>> = { ...mesh.certificates, ...stranger.certificates };

export function certificate(name: string): Certificate {
  const found = certificates[name];
  if (found === undefined) throw new Error(`there is no certificate "${name}"`);
  return found;
}
