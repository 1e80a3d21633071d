/**
 * Types of node-forge's ASN.1 module alone. Importing the package as a whole costs ten times the start-up time and
 * twice the memory, and its own typings know only the whole.
 */
declare module "node-forge/lib/asn1.js" {
  interface Asn1 {
    tagClass: number;
    type: number;
    constructed: boolean;
    composed: boolean;
    /** Bytes as a binary (latin1) string, or the elements of a constructed value. */
    value: string | Asn1[];
  }
  interface ParseOptions {
    strict?: boolean;
    parseAllBytes?: boolean;
    decodeBitStrings?: boolean;
  }
  const asn1: {
    create(tagClass: number, type: number, constructed: boolean, value: string | Asn1[]): Asn1;
    fromDer(bytes: string, options?: ParseOptions): Asn1;
    toDer(value: Asn1): { getBytes(): string };
    oidToDer(oid: string): { getBytes(): string };
    derToOid(bytes: string): string;
    dateToUtcTime(date: Date): string;
    dateToGeneralizedTime(date: Date): string;
  };
  export default asn1;
  export type { Asn1 };
}
