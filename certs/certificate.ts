/** Building and signing X.509 v3 certificates (RFC 5280): forge writes the structure, `node:crypto` signs it. */
import { type KeyObject, randomBytes, type X509Certificate } from "node:crypto";
import type { Asn1 } from "./der.ts";
import { bitString, context, decode, encode, integer, nothing, oid, sequence, set, time, utf8String } from "./der.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  extensions,
  keyUsage,
  Oid,
  type SubjectAltName,
  subjectAltName,
  subjectKeyIdentifier,
} from "./extensions.ts";
import { keyIdentifierOf, subjectOf } from "./issuer.ts";
import { keyIdentifier, signSha256, spkiOf } from "./key.ts";
import { toPem } from "./pem.ts";

/** A distinguished name of the two parts that a mesh's authorities use; empty for leaves. */
export interface DistinguishedName {
  readonly organization?: string;
  readonly commonName?: string;
}

export interface CertificateRequest {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  /** Unix ms; X.509 drops what is below a second. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly names: readonly SubjectAltName[];
  /** null: a leaf. */
  readonly ca: { readonly pathLength: number } | null;
}

/** Who signs: itself by its name, or an authority by its certificate, which may be of anybody's making. */
export type Signer =
  | { readonly subject: DistinguishedName; readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  | { readonly certificate: X509Certificate; readonly privateKey: KeyObject };

/** The signed certificate, PEM. */
export function signCertificate(request: CertificateRequest, signer: Signer): string {
  const algorithm = algorithmOf(signer.privateKey);
  const { name, keyId } = issuerOf(signer);
  const ca = request.ca;
  const items = [
    basicConstraints(ca !== null, ca?.pathLength),
    keyUsage(ca !== null),
    subjectKeyIdentifier(keyIdentifier(request.publicKey)),
    authorityKeyIdentifier(keyId),
  ];
  if (ca === null) items.push(extendedKeyUsage());
  if (request.names.length > 0) items.push(subjectAltName(request.names, isEmpty(request.subject)));
  const tbs = sequence(
    context(0, integer(Uint8Array.of(2))),
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(request.notBefore), time(request.notAfter)),
    nameOf(request.subject),
    decode(spkiOf(request.publicKey)),
    extensions(...items),
  );
  const signature = signSha256(encode(tbs), signer.privateKey);
  return toPem("CERTIFICATE", encode(sequence(tbs, algorithm, bitString(signature))));
}

/** RFC 3279 section 2.2: RSA has parameters, and they are NULL. */
function algorithmOf(key: KeyObject): Asn1 {
  return key.asymmetricKeyType === "rsa"
    ? sequence(oid(Oid.sha256WithRsa), nothing())
    : sequence(oid(Oid.ecdsaWithSha256));
}

/** What a verifier compares with the issuer's certificate (RFC 5280 sections 4.1.2.4 and 4.2.1.1). */
function issuerOf(signer: Signer): { readonly name: Asn1; readonly keyId: Uint8Array } {
  if (!("certificate" in signer)) return { name: nameOf(signer.subject), keyId: keyIdentifier(signer.publicKey) };
  const { certificate } = signer;
  return { name: subjectOf(certificate), keyId: keyIdentifierOf(certificate) ?? keyIdentifier(certificate.publicKey) };
}

function isEmpty(name: DistinguishedName): boolean {
  return name.organization === undefined && name.commonName === undefined;
}

function nameOf(name: DistinguishedName): Asn1 {
  const part = (id: string, text: string | undefined): Asn1[] =>
    text === undefined ? [] : [set(sequence(oid(id), utf8String(text)))];
  return sequence(...part(Oid.organization, name.organization), ...part(Oid.commonName, name.commonName));
}

/** 127 random bits, never zero: unique without a counter on disk (RFC 5280 section 4.1.2.2 allows 20 octets). */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}
