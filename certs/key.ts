/** P-256 key pairs: made, stored and used by `node:crypto`; the private key leaves the process only where a file is its home. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A new P-256 pair. Takes tens of microseconds, so it is synchronous. */
export function generateKeyPair(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

/** PKCS#8 PEM. */
export function privateKeyToPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The pair of a private key in PEM; throws what OpenSSL says about a bad one. */
export function keyPairFromPem(pem: string): KeyPair {
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** SubjectPublicKeyInfo, DER. */
export function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** SHA-256 of the SubjectPublicKeyInfo: what pins are made of (RFC 7469 section 2.4). */
export function spkiSha256(key: KeyObject): Buffer {
  return createHash("sha256").update(spkiOf(key)).digest();
}

/** The RFC 5280 section 4.2.1.2 key identifier, cut from SHA-256 as RFC 7093 method 1 says. */
export function keyIdentifier(key: KeyObject): Buffer {
  return spkiSha256(key).subarray(0, 20);
}

/** ECDSA (as the DER SEQUENCE that X.509 holds) or RSA PKCS#1 v1.5, with SHA-256, over `data`. */
export function signSha256(data: Uint8Array, privateKey: KeyObject): Buffer {
  return sign("sha256", data, { key: privateKey, dsaEncoding: "der" });
}
