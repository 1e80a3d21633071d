/** Building and signing X.509 v3 certificates (RFC 5280): forge writes the structure, `node:crypto` signs it. */
import { type KeyObject, randomBytes } from "node:crypto";
import type { Asn1 } from "./der.ts";
import { bitString, context, decode, encode, integer, oid, sequence, set, time, utf8String } from "./der.ts";
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

/** Who signs. A self-signed certificate names itself. */
export interface Signer {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** The signed certificate, PEM. */
export function signCertificate(request: CertificateRequest, signer: Signer): string {
  const algorithm = sequence(oid(Oid.ecdsaWithSha256));
  const ca = request.ca;
  const items = [
    basicConstraints(ca !== null, ca?.pathLength),
    keyUsage(ca !== null),
    subjectKeyIdentifier(keyIdentifier(request.publicKey)),
    authorityKeyIdentifier(keyIdentifier(signer.publicKey)),
  ];
  if (ca === null) items.push(extendedKeyUsage());
  if (request.names.length > 0) items.push(subjectAltName(request.names, isEmpty(request.subject)));
  const tbs = sequence(
    context(0, integer(Uint8Array.of(2))),
    integer(serialNumber()),
    algorithm,
    nameOf(signer.subject),
    sequence(time(request.notBefore), time(request.notAfter)),
    nameOf(request.subject),
    decode(spkiOf(request.publicKey)),
    extensions(...items),
  );
  const signature = signSha256(encode(tbs), signer.privateKey);
  return toPem("CERTIFICATE", encode(sequence(tbs, algorithm, bitString(signature))));
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
