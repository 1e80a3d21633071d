/** A workload's certificate with its key and roots, and the checks that an answer of the CA must pass before it is used. */
import type { X509Certificate } from "node:crypto";
import type { CertificateMaterial, TrustMaterial } from "../model/secret.ts";
import { describeCertificate, parseCertificates } from "./inspect.ts";
import { type KeyPair, privateKeyToPem } from "./key.ts";

export interface WorkloadCertificate {
  readonly spiffeId: string;
  /** Leaf and intermediates. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  /** The trust bundle. */
  readonly rootsPem: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Checks what a CA sent: the leaf certifies our key and our identity, and its chain ends in one of the roots. Throws an
 * Error with the first thing wrong. The validity period is not judged: clocks may differ.
 */
export function issuedCertificate(chain: string, roots: string, keys: KeyPair, spiffeId: string): WorkloadCertificate {
  const [leaf, ...intermediates] = parseCertificates(chain);
  if (!leaf) throw new Error("the CA's answer holds no certificate");
  if (!leaf.checkPrivateKey(keys.privateKey)) throw new Error("the CA's certificate is for another key");
  const info = describeCertificate(leaf);
  if (!info.uris.includes(spiffeId)) {
    throw new Error(`the CA's certificate is for ${info.uris.join(", ") || "nobody"}, not for ${spiffeId}`);
  }
  const anchors = parseCertificates(roots);
  if (anchors.length === 0) throw new Error("the CA sent no root certificate");
  if (!chainEndsIn(leaf, intermediates, anchors))
    throw new Error("the CA's certificate does not chain to the roots that it sent");
  const { serial, notBefore, notAfter } = info;
  const keyPem = privateKeyToPem(keys.privateKey);
  return { spiffeId, chainPem: chain, keyPem, rootsPem: roots, serial, notBefore, notAfter };
}

/**
 * Whether signatures lead from `leaf` over `intermediates` (in any order) to one of `anchors`. Looks at names, CA flags
 * and signatures only: not at validity, usage or revocation. Each intermediate is followed once, so that a peer cannot
 * make the search long.
 */
export function chainEndsIn(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): boolean {
  const rest = new Set(intermediates);
  const reached = [leaf];
  for (const subject of reached) {
    if (anchors.some((anchor) => anchor.fingerprint256 === subject.fingerprint256 || signs(anchor, subject)))
      return true;
    for (const issuer of rest) {
      if (!signs(issuer, subject)) continue;
      rest.delete(issuer);
      reached.push(issuer);
    }
  }
  return false;
}

function signs(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

interface Material {
  readonly certificate: CertificateMaterial;
  readonly trust: TrustMaterial;
}

const materials = new WeakMap<WorkloadCertificate, Material>();

/** The certificate and its roots as the model's TLS material; the same objects for the same certificate. */
export function materialOf(certificate: WorkloadCertificate): Material {
  let material = materials.get(certificate);
  if (!material) {
    material = {
      certificate: { certificateChain: certificate.chainPem, privateKey: certificate.keyPem, password: "" },
      trust: { roots: certificate.rootsPem, crl: "" },
    };
    materials.set(certificate, material);
  }
  return material;
}

/** A sentence with both clocks when the certificate is not valid by the local one; null when it is. */
export function clockProblem(
  certificate: { readonly notBefore: number; readonly notAfter: number },
  wallTime: number,
): string | null {
  if (wallTime >= certificate.notBefore && wallTime <= certificate.notAfter) return null;
  const word = wallTime < certificate.notBefore ? "not valid yet" : "expired";
  return `the certificate is ${word}: local clock says ${iso(wallTime)}, certificate valid from ${iso(certificate.notBefore)} to ${iso(certificate.notAfter)}`;
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
