/** What load and backend of the TCP cases say to each other: see `tcp-backend.ts`. */

export const HEAD_BYTES = 16;

export const CHUNK: Buffer = Buffer.alloc(256 * 1024, "a");

export function head(kind: "U" | "D" | "P", bytes: number): Buffer {
  return Buffer.from(`${kind}${String(bytes).padStart(HEAD_BYTES - 1, "0")}`, "latin1");
}
