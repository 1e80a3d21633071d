/**
 * Checks PEM material where it arrives, so that a broken file is refused with its path instead of failing handshakes
 * later. Many clusters share the same files, so what was found good is remembered (by hash: keys are not kept).
 */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf } from "../core/errors.ts";
import type { CertificateMaterial } from "../model/secret.ts";
import type { Place } from "./place.ts";

const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g;
const REMEMBERED = 256;

/** Hashes of texts found good, the oldest first. */
const good = new Set<string>();

/** Reports what is wrong with a text of one or more certificates. */
export function checkCertificates(pem: string, at: Place): void {
  unlessKnown([pem], () => {
    const certificates = pem.match(CERTIFICATE) ?? [];
    if (certificates.length === 0) at.error("holds no PEM certificate");
    for (const [i, certificate] of certificates.entries()) {
      try {
        new X509Certificate(certificate);
      } catch (error) {
        at.error(`certificate ${i + 1} is not valid: ${messageOf(error)}`);
        return false;
      }
    }
    return certificates.length > 0;
  });
}

/** Reports what is wrong with a chain, its key, or the two together. */
export function checkKeyPair(material: CertificateMaterial, chainPlace: Place, keyPlace: Place): void {
  const { certificateChain, privateKey, password } = material;
  checkCertificates(certificateChain, chainPlace);
  unlessKnown([certificateChain, privateKey, password], () => {
    try {
      const key = createPrivateKey({ key: privateKey, format: "pem", ...(password ? { passphrase: password } : {}) });
      const leaf = certificateChain.match(CERTIFICATE)?.[0];
      if (!leaf) return false;
      if (new X509Certificate(leaf).checkPrivateKey(key)) return true;
      keyPlace.error("does not belong to the certificate");
    } catch (error) {
      keyPlace.error(`is not a valid PEM private key: ${messageOf(error)}`);
    }
    return false;
  });
}

function unlessKnown(texts: readonly string[], isGood: () => boolean): void {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  const id = hash.digest("base64");
  if (good.has(id) || !isGood()) return;
  const [oldest] = good;
  if (oldest !== undefined && good.size >= REMEMBERED) good.delete(oldest);
  good.add(id);
}
