/** PEM (RFC 7468). Apart from the DER writer, because reading certificates does not need it and should not load it. */

/** `-----BEGIN label-----` text of 64 columns (RFC 7468). */
export function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g);
  return `-----BEGIN ${label}-----\n${(lines ?? []).join("\n")}\n-----END ${label}-----\n`;
}

/** The DER of each `label` block in a PEM text; text between blocks is ignored. */
export function fromPem(label: string, pem: string): Buffer[] {
  const blocks = pem.matchAll(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`, "g"));
  return [...blocks].map((block) => Buffer.from(block[1] ?? "", "base64"));
}
