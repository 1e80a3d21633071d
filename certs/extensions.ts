/** X.509 extensions (RFC 5280 section 4.2), as far as a mesh's certificates use them. */
import { isIP, isIPv6 } from "node:net";
import type { Asn1 } from "./der.ts";
import { bitString, boolean, context, contextPrimitive, encode, integer, octetString, oid, sequence } from "./der.ts";

export const Oid = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  extensionRequest: "1.2.840.113549.1.9.14",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** One subject alternative name. */
export type SubjectAltName =
  | { readonly type: "uri"; readonly value: string }
  | { readonly type: "dns"; readonly value: string }
  | { readonly type: "ip"; readonly value: string };

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const octets = octetString(encode(value));
  return critical ? sequence(oid(id), boolean(true), octets) : sequence(oid(id), octets);
}

export function basicConstraints(ca: boolean, pathLength?: number): Asn1 {
  const items: Asn1[] = ca ? [boolean(true)] : [];
  if (pathLength !== undefined) items.push(integer(Uint8Array.of(pathLength)));
  return extension(Oid.basicConstraints, true, sequence(...items));
}

/** Certificate authorities sign certificates and CRLs; leaves sign handshakes. */
export function keyUsage(ca: boolean): Asn1 {
  // Bit 0 is the most significant: digitalSignature(0), keyCertSign(5), cRLSign(6).
  const bits = ca ? bitString(Uint8Array.of(0b0000_0110), 1) : bitString(Uint8Array.of(0b1000_0000), 7);
  return extension(Oid.keyUsage, true, bits);
}

/** Both roles: in a mesh every workload calls and is called. */
export function extendedKeyUsage(): Asn1 {
  return extension(Oid.extendedKeyUsage, false, sequence(oid(Oid.serverAuth), oid(Oid.clientAuth)));
}

export function subjectKeyIdentifier(id: Uint8Array): Asn1 {
  return extension(Oid.subjectKeyIdentifier, false, octetString(id));
}

export function authorityKeyIdentifier(id: Uint8Array): Asn1 {
  return extension(Oid.authorityKeyIdentifier, false, sequence(contextPrimitive(0, id)));
}

/** Critical where the subject is empty, as RFC 5280 section 4.2.1.6 demands. */
export function subjectAltName(names: readonly SubjectAltName[], critical: boolean): Asn1 {
  return extension(Oid.subjectAltName, critical, sequence(...names.map(generalName)));
}

function generalName(name: SubjectAltName): Asn1 {
  if (name.type === "dns") return contextPrimitive(2, Buffer.from(name.value, "latin1"));
  if (name.type === "uri") return contextPrimitive(6, Buffer.from(name.value, "latin1"));
  return contextPrimitive(7, ipBytes(name.value));
}

/** Four or sixteen bytes. */
export function ipBytes(ip: string): Buffer {
  if (isIP(ip) === 0) throw new Error(`not an IP address: ${ip}`);
  if (!isIPv6(ip)) return Buffer.from(ip.split(".").map(Number));
  // The URL parser turns every spelling, embedded IPv4 included, into hexadecimal groups with one `::`.
  const [head = "", tail] = new URL(`http://[${ip}]/`).hostname.slice(1, -1).split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The Extensions field of a TBSCertificate. */
export function extensions(...items: Asn1[]): Asn1 {
  return context(3, sequence(...items));
}
