/** What the own certificate says: which names it serves, and the part of a connection's description that is ours. */
import type { X509Certificate } from "node:crypto";
import { type CertificateInfo, describeCertificate, parseCertificates } from "../../certs/inspect.ts";
import type { CertificateMaterial } from "../../model/secret.ts";
import { dnsNameMatches } from "./san-matcher.ts";

export interface LocalCertificate {
  readonly info: CertificateInfo;
  /** `ec`, `rsa`, `ed25519` … */
  readonly keyType: string;
}

const parsed = new WeakMap<CertificateMaterial, LocalCertificate | null>();

/** The leaf of the material, parsed once; null when it cannot be parsed. */
export function localCertificate(material: CertificateMaterial): LocalCertificate | null {
  let local = parsed.get(material);
  if (local === undefined) {
    local = parse(material);
    parsed.set(material, local);
  }
  return local;
}

function parse(material: CertificateMaterial): LocalCertificate | null {
  let leaf: X509Certificate | undefined;
  try {
    [leaf] = parseCertificates(material.certificateChain);
  } catch {
    return null;
  }
  return leaf ? { info: describeCertificate(leaf), keyType: leaf.publicKey.asymmetricKeyType ?? "" } : null;
}

/**
 * Of several certificates, those to offer to a client that asked for `serverName`: one for each key type, the first
 * whose DNS names cover the name; where none does, the first. (OpenSSL then picks the key type that the client takes.)
 */
export function chooseCertificates(
  materials: readonly CertificateMaterial[],
  serverName: string,
): readonly CertificateMaterial[] {
  if (materials.length < 2) return materials;
  const covering = materials.filter((material) =>
    localCertificate(material)?.info.dnsNames.some((pattern) => dnsNameMatches(serverName, pattern)),
  );
  const chosen = new Map<string, CertificateMaterial>();
  for (const material of covering.length > 0 ? covering : materials) {
    const type = localCertificate(material)?.keyType ?? "";
    if (!chosen.has(type)) chosen.set(type, material);
  }
  return [...chosen.values()];
}
