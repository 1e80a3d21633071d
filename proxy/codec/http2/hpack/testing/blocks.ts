/** Header blocks for tests: written and read in one call, and from the hexadecimal notation of RFC 7541. */
import type { HpackDecoder } from "../decoder.ts";
import { fieldRoom, type HpackEncoder } from "../encoder.ts";

export type Field = readonly [name: string, value: string];

/** Octets as the RFC prints them, spaces and all. */
export function octets(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
}

/** One block, in a buffer of exactly the room that the encoder asks for, so that it can't write more. */
export function encodeBlock(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  const updates = 12;
  const out = Buffer.alloc(fields.reduce((room, [name, value]) => room + fieldRoom(name, value), updates));
  let at = encoder.begin(out, 0);
  if (at > updates) throw new Error("size updates take more room than they may");
  for (const [name, value] of fields) {
    const end = encoder.encode(out, at, name, value);
    if (end - at > fieldRoom(name, value)) throw new Error(`${name} takes more room than it may`);
    at = end;
  }
  return out.subarray(0, at);
}

/** The fields of a block; null where the decoder refuses it. */
export function decodeBlock(decoder: HpackDecoder, block: Buffer): Field[] | null {
  const fields: Field[] = [];
  const sink = { onField: (name: string, value: string) => void fields.push([name, value]) };
  return decoder.decode(block, 0, block.length, sink) ? fields : null;
}

/** The kinds of a block's fields. */
export function kindsOf(decoder: HpackDecoder, block: Buffer): number[] {
  const kinds: number[] = [];
  const sink = { onField: (_name: string, _value: string, _tag: number, kind: number) => void kinds.push(kind) };
  return decoder.decode(block, 0, block.length, sink) ? kinds : [];
}

/** A literal without indexing and without Huffman code, for fields of up to 126 bytes each. */
export function literal(name: string, value: string): Buffer {
  return Buffer.from(
    `\x00${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
    "latin1",
  );
}
