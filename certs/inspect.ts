/** What certificates say about themselves, for people, logs and checks. */
import { X509Certificate } from "node:crypto";
import { fromPem } from "./pem.ts";

export interface CertificateInfo {
  /** RFC 2253: most specific part first; "" for an empty subject. */
  readonly subject: string;
  readonly issuer: string;
  /** Hexadecimal, lower case. */
  readonly serial: string;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emails: readonly string[];
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  /** Of the DER, hexadecimal, lower case, no colons. */
  readonly sha256: string;
}

/** Every certificate of a PEM text, in its order. Throws an Error that says which block is bad. */
export function parseCertificates(pem: string): X509Certificate[] {
  return fromPem("CERTIFICATE", pem).map((der, index) => {
    try {
      return new X509Certificate(der);
    } catch (error) {
      throw new Error(`certificate ${index + 1} in the PEM text is malformed`, { cause: error });
    }
  });
}

/** `parseCertificates`, described. */
export function inspectCertificates(pem: string): CertificateInfo[] {
  return parseCertificates(pem).map(describeCertificate);
}

export function describeCertificate(certificate: X509Certificate): CertificateInfo {
  const names = parseAltNames(certificate.subjectAltName ?? "");
  const of = (type: string): string[] => names.filter((name) => name.type === type).map((name) => name.value);
  return {
    subject: rfc2253(certificate.subject),
    issuer: rfc2253(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    uris: of("URI"),
    dnsNames: of("DNS"),
    ipAddresses: of("IP Address"),
    emails: of("email"),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    isCa: certificate.ca,
    sha256: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** OpenSSL's multi-line form is in encoding order, its values already escaped; RFC 2253 section 2.1 reverses it. */
function rfc2253(multiline: string | undefined): string {
  return (multiline ?? "").split("\n").filter(Boolean).reverse().join(",");
}

/**
 * Reads `X509Certificate.subjectAltName`: `type:value` separated by `, `, where a value with characters that could be
 * mistaken for the syntax is a JSON string, so that a name such as `a, URI:b` cannot pose as two.
 */
export function parseAltNames(text: string): { readonly type: string; readonly value: string }[] {
  const names: { type: string; value: string }[] = [];
  const item = /([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^",]*))(?:, |$)/y;
  for (let at = 0; at < text.length; at = item.lastIndex) {
    item.lastIndex = at;
    const match = item.exec(text);
    // Not a form that Node writes: better no name than a wrong one.
    if (!match || item.lastIndex === at) return [];
    const quoted = match[2];
    names.push({
      type: match[1] ?? "",
      value: quoted === undefined ? (match[3] ?? "") : (JSON.parse(quoted) as string),
    });
  }
  return names;
}
