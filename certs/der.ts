/** DER in the words of X.509: thin constructors over node-forge's ASN.1, so that certificates read like their RFC. */
import type { Asn1 } from "node-forge/lib/asn1.js";
import asn1 from "node-forge/lib/asn1.js";

export type { Asn1 };

const UNIVERSAL = 0x00;
const CONTEXT = 0x80;

const Tag = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8String: 12,
  sequence: 16,
  set: 17,
  utcTime: 23,
  generalizedTime: 24,
} as const;

export function sequence(...items: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, Tag.sequence, true, items);
}

export function set(...items: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, Tag.set, true, items);
}

export function oid(dotted: string): Asn1 {
  return asn1.create(UNIVERSAL, Tag.oid, false, asn1.oidToDer(dotted).getBytes());
}

export function boolean(value: boolean): Asn1 {
  return asn1.create(UNIVERSAL, Tag.boolean, false, value ? "\xff" : "\0");
}

export function nothing(): Asn1 {
  return asn1.create(UNIVERSAL, Tag.null, false, "");
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Asn1 {
  const positive = (bytes[0] ?? 0) >= 0x80 ? `\0${binary(bytes)}` : binary(bytes);
  return asn1.create(UNIVERSAL, Tag.integer, false, positive);
}

/** A BIT STRING; `unusedBits` is the number of padding bits in the last byte. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Asn1 {
  return asn1.create(UNIVERSAL, Tag.bitString, false, String.fromCharCode(unusedBits) + binary(bytes));
}

export function octetString(bytes: Uint8Array): Asn1 {
  return asn1.create(UNIVERSAL, Tag.octetString, false, binary(bytes));
}

export function utf8String(text: string): Asn1 {
  return asn1.create(UNIVERSAL, Tag.utf8String, false, binary(Buffer.from(text, "utf8")));
}

/** `[n] EXPLICIT`, and `[n] IMPLICIT SET/SEQUENCE OF`: a constructed context tag. */
export function context(number: number, ...items: Asn1[]): Asn1 {
  return asn1.create(CONTEXT, number, true, items);
}

/** `[n] IMPLICIT` of a primitive. */
export function contextPrimitive(number: number, bytes: Uint8Array): Asn1 {
  return asn1.create(CONTEXT, number, false, binary(bytes));
}

/** Validity time (RFC 5280 section 4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050. */
export function time(unixMs: number): Asn1 {
  const date = new Date(unixMs);
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, Tag.utcTime, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, Tag.generalizedTime, false, asn1.dateToGeneralizedTime(date));
}

export function encode(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), "latin1");
}

/** Strict DER; throws on anything malformed or on trailing bytes. */
export function decode(der: Uint8Array): Asn1 {
  return asn1.fromDer(binary(der), { strict: true, parseAllBytes: true, decodeBitStrings: false });
}

/** Item `index` of a constructed value; throws when it is not there. */
export function child(value: Asn1 | undefined, index: number): Asn1 {
  const item = typeof value?.value === "string" ? undefined : value?.value[index];
  if (item === undefined) throw new Error("unexpected ASN.1 structure");
  return item;
}

export function children(value: Asn1): readonly Asn1[] {
  if (typeof value.value === "string") throw new Error("unexpected ASN.1 structure");
  return value.value;
}

/** The contents of a primitive value. */
export function contents(value: Asn1): Buffer {
  if (typeof value.value !== "string") throw new Error("unexpected ASN.1 structure");
  return Buffer.from(value.value, "latin1");
}

export function isOid(value: Asn1, dotted: string): boolean {
  return value.type === Tag.oid && value.tagClass === UNIVERSAL && asn1.derToOid(binary(contents(value))) === dotted;
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
