/** A throw-away authority and certificates of it, for tests that speak TLS. */
import { signCertificate } from "../../certs/certificate.ts";
import type { SubjectAltName } from "../../certs/extensions.ts";
import { generateKeyPair, privateKeyToPem } from "../../certs/key.ts";

const HOUR_MS = 3_600_000;

export interface TestCertificate {
  readonly chain: string;
  readonly key: string;
}

export interface TestAuthority {
  readonly roots: string;
  issue(...names: SubjectAltName[]): TestCertificate;
}

/** `now`: Unix ms. */
export function testAuthority(now: number): TestAuthority {
  const keys = generateKeyPair();
  const subject = { commonName: "test root" };
  const validity = { notBefore: now - HOUR_MS, notAfter: now + HOUR_MS };
  const signer = { subject, ...keys };
  const roots = signCertificate(
    { subject, publicKey: keys.publicKey, names: [], ca: { pathLength: 0 }, ...validity },
    signer,
  );
  return {
    roots,
    issue(...names) {
      const own = generateKeyPair();
      const request = { subject: {}, publicKey: own.publicKey, names, ca: null, ...validity };
      return { chain: signCertificate(request, signer), key: privateKeyToPem(own.privateKey) };
    },
  };
}
