/** What a certificate must repeat of its issuer's, to the letter: verifiers compare names and key identifiers as bytes. */
import type { X509Certificate } from "node:crypto";
import type { Asn1 } from "./der.ts";
import { child, children, contents, decode, isOid } from "./der.ts";
import { Oid } from "./extensions.ts";

/** `[n]` of TBSCertificate. */
const CONTEXT = 0x80;
const VERSION = 0;
const EXTENSIONS = 3;

/** The subject. Throws an Error for a certificate that is not strict DER. */
export function subjectOf(certificate: X509Certificate): Asn1 {
  const fields = fieldsOf(certificate);
  // serialNumber, signature, issuer, validity, subject; before them the version, which those of version 1 leave out.
  const first = fields[0];
  const skipped = first?.tagClass === CONTEXT && first.type === VERSION ? 1 : 0;
  const subject = fields[skipped + 4];
  if (subject === undefined) throw new Error("unexpected ASN.1 structure");
  return subject;
}

/** The subject key identifier (RFC 5280 section 4.2.1.2); null: it has none. Throws as `subjectOf` does. */
export function keyIdentifierOf(certificate: X509Certificate): Buffer | null {
  const wrapped = fieldsOf(certificate).find(({ tagClass, type }) => tagClass === CONTEXT && type === EXTENSIONS);
  if (wrapped === undefined) return null;
  const extension = children(child(wrapped, 0)).find((one) => isOid(child(one, 0), Oid.subjectKeyIdentifier));
  const value = extension && children(extension).at(-1);
  return value === undefined ? null : contents(decode(contents(value)));
}

function fieldsOf(certificate: X509Certificate): readonly Asn1[] {
  return children(child(decode(certificate.raw), 0));
}
