/** Certificate signing requests (PKCS#10, RFC 2986): made with a private key as proof that its sender holds it. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Asn1 } from "./der.ts";
import {
  bitString,
  child,
  children,
  contents,
  context,
  decode,
  encode,
  integer,
  isOid,
  oid,
  sequence,
  set,
} from "./der.ts";
import { Oid, type SubjectAltName, subjectAltName } from "./extensions.ts";
import { type KeyPair, signSha256, spkiOf } from "./key.ts";
import { fromPem, toPem } from "./pem.ts";

/** What a verified CSR asks for. The names are wishes: what is granted is the signer's decision. */
export interface Csr {
  readonly publicKey: KeyObject;
  /** URI names that it asks for. */
  readonly uris: readonly string[];
}

/** Far more than a P-256 or RSA-4096 request needs. */
const MAX_CSR_BYTES = 16 * 1024;

const SIGNATURE_HASHES: readonly (readonly [oid: string, hash: string])[] = [
  [Oid.ecdsaWithSha256, "sha256"],
  [Oid.ecdsaWithSha384, "sha384"],
  [Oid.sha256WithRsa, "sha256"],
];

/** A request with an empty subject and the given names, PEM. */
export function createCsr(keys: KeyPair, names: readonly SubjectAltName[]): string {
  const wanted = sequence(subjectAltName(names, true));
  const attributes = names.length === 0 ? [] : [sequence(oid(Oid.extensionRequest), set(wanted))];
  const info = sequence(
    integer(Uint8Array.of(0)),
    sequence(),
    decode(spkiOf(keys.publicKey)),
    context(0, ...attributes),
  );
  const signature = signSha256(encode(info), keys.privateKey);
  return toPem("CERTIFICATE REQUEST", encode(sequence(info, sequence(oid(Oid.ecdsaWithSha256)), bitString(signature))));
}

/**
 * Reads a PEM request and checks its signature (proof of possession). Throws an Error with a sentence for anything
 * malformed, unsigned by its own key, or with a key too weak to certify.
 */
export function parseCsr(pem: string): Csr {
  if (pem.length > MAX_CSR_BYTES) throw new Error(`the certificate request is longer than ${MAX_CSR_BYTES} bytes`);
  const blocks = [...fromPem("CERTIFICATE REQUEST", pem), ...fromPem("NEW CERTIFICATE REQUEST", pem)];
  const der = blocks[0];
  if (der === undefined || blocks.length > 1) throw new Error("expected one CERTIFICATE REQUEST in PEM");
  let fields: { info: Asn1; algorithm: Asn1; signature: Buffer; publicKey: KeyObject; uris: string[] };
  try {
    const request = decode(der);
    const info = child(request, 0);
    const bits = contents(child(request, 2));
    // One encoding only (DER): what was signed and what was read are then the same bytes.
    const canonical = sequence(info, child(request, 1), bitString(bits.subarray(1)));
    if (!encode(canonical).equals(der)) throw new Error("not DER");
    fields = {
      info,
      algorithm: child(child(request, 1), 0),
      signature: bits.subarray(1),
      publicKey: createPublicKey({ key: encode(child(info, 2)), format: "der", type: "spki" }),
      uris: requestedUris(info),
    };
  } catch (error) {
    throw new Error("the certificate request is malformed", { cause: error });
  }
  refuseWeakKey(fields.publicKey);
  const hash = SIGNATURE_HASHES.find(([id]) => isOid(fields.algorithm, id))?.[1];
  if (hash === undefined) throw new Error("the certificate request is signed with an unsupported algorithm");
  if (!verify(hash, encode(fields.info), fields.publicKey, fields.signature)) {
    throw new Error("the certificate request is not signed by its own key");
  }
  return { publicKey: fields.publicKey, uris: fields.uris };
}

/** URI names of the extensionRequest attribute (RFC 2985 section 5.4.2). */
function requestedUris(info: Asn1): string[] {
  const uris: string[] = [];
  const attributes = children(info)[3];
  for (const attribute of attributes === undefined ? [] : children(attributes)) {
    if (!isOid(child(attribute, 0), Oid.extensionRequest)) continue;
    for (const extension of children(child(child(attribute, 1), 0))) {
      if (!isOid(child(extension, 0), Oid.subjectAltName)) continue;
      const parts = children(extension);
      const value = parts[parts.length - 1];
      if (value === undefined) continue;
      for (const name of children(decode(contents(value)))) {
        if (name.tagClass === 0x80 && name.type === 6) uris.push(contents(name).toString("latin1"));
      }
    }
  }
  return uris;
}

function refuseWeakKey(key: KeyObject): void {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === "rsa") {
    if ((details?.modulusLength ?? 0) >= 2048) return;
    throw new Error("the certificate request holds an RSA key shorter than 2048 bits");
  }
  const curve = details?.namedCurve;
  if (key.asymmetricKeyType === "ec" && (curve === "prime256v1" || curve === "secp384r1")) return;
  throw new Error("the certificate request holds a key that is neither P-256, P-384 nor RSA");
}
