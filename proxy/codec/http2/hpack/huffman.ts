/**
 * The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B). It is canonical: codes of one length follow one
 * another in the order of their symbols, so the lengths alone say all.
 */

/** Code lengths in bits by symbol; the last is EOS. */
// biome-ignore format: a table is read by its rows of 32
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const EOS = 256;
const LONGEST = 30;
/** Codes of up to so many bits are found by one look into a table: all of ASCII that is usual. */
const SHORT = 9;

/** The code of each symbol, its lowest bit last. */
const CODES = new Uint32Array(LENGTHS.length);
/** By length, aligned to the top of 32 bits: the first number above all codes of up to that length. */
const LIMITS = new Float64Array(LONGEST + 1);
/** By length: what is to be added to a code of that length to get its place in `SORTED`. */
const OFFSETS = new Int32Array(LONGEST + 1);
/** Symbols in the order of their codes. */
const SORTED: number[] = [];
/** By the next nine bits: symbol and, in the lowest four bits, the length of its code; 0 where the code is longer. */
const FIRST = new Uint16Array(1 << SHORT);

for (let length = 1, code = 0; length <= LONGEST; length++, code *= 2) {
  OFFSETS[length] = SORTED.length - code;
  for (let symbol = 0; symbol < LENGTHS.length; symbol++) {
    if (LENGTHS[symbol] !== length) continue;
    SORTED.push(symbol);
    if (length <= SHORT) {
      const free = SHORT - length;
      FIRST.fill((symbol << 4) | length, code << free, (code + 1) << free);
    }
    CODES[symbol] = code++;
  }
  LIMITS[length] = code * 2 ** (32 - length);
}

/** Where decoded bytes lie before they become a string; longer strings get room of their own. */
const scratch = Buffer.alloc(4096);
/** The shortest code has five bits. */
const SHORTEST = 5;

/** Room that decoding `length` bytes may need. */
export function decodedRoom(length: number): number {
  return Math.ceil((length * 8) / SHORTEST);
}

/** A buffer of at least that size, good until it is asked for again. */
export function decodingBuffer(length: number): Buffer {
  const room = decodedRoom(length);
  return room <= scratch.length ? scratch : Buffer.allocUnsafe(room);
}

/**
 * Decodes `buf` from `start` to `end` into `out`; returns how many bytes came out. -1: EOS was spelled out, or what is left
 * is longer than seven bits or no beginning of EOS.
 */
export function huffmanDecode(buf: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let length = 0;
  let at = start;
  let acc = 0;
  let bits = 0;
  for (;;) {
    while (bits <= 24 && at < end) {
      acc = (acc << 8) | (buf[at++] as number);
      bits += 8;
    }
    // Beyond the end come ones, as if EOS went on.
    const peek =
      bits >= SHORT ? (acc >>> (bits - SHORT)) & 0x1ff : ((acc << (SHORT - bits)) | (0x1ff >>> bits)) & 0x1ff;
    const first = FIRST[peek] as number;
    const size = first & 15;
    if (size !== 0) {
      // Only part of a code is left, and it is no part of EOS: a code of so few bits has a zero.
      if (size > bits) return bits === 0 ? length : -1;
      bits -= size;
      out[length++] = first >> 4;
      continue;
    }
    if (at === end && bits < 8) return (acc & ((1 << bits) - 1)) === (1 << bits) - 1 ? length : -1;
    const long = longCode(buf, at * 8 - bits, end * 8);
    if (long < 0) return -1;
    out[length++] = long >> 5;
    const next = at * 8 - bits + (long & 31);
    at = next >> 3;
    bits = 0;
    if ((next & 7) !== 0) {
      acc = buf[at++] as number;
      bits = 8 - (next & 7);
    }
  }
}

/** A code of more than nine bits that begins at the bit `from`: its symbol and, in the lowest five bits, its length. */
function longCode(buf: Uint8Array, from: number, to: number): number {
  let code = 0;
  let at = from >> 3;
  for (let i = 0; i < 5; i++) code = code * 256 + (buf[at++] ?? 0);
  const next = Math.floor((code % 2 ** (40 - (from & 7))) / 2 ** (8 - (from & 7)));
  for (let length = SHORT + 1; length <= LONGEST; length++) {
    if (next >= (LIMITS[length] as number)) continue;
    const symbol = SORTED[(OFFSETS[length] as number) + Math.floor(next / 2 ** (32 - length))] as number;
    return symbol === EOS || from + length > to ? -1 : (symbol << 5) | length;
  }
  return -1;
}

/** Bytes that `text` (latin1) has in Huffman code. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** Writes `text` (latin1) in Huffman code, padded with ones; returns the offset after it. */
export function huffmanEncode(out: Uint8Array, at: number, text: string): number {
  // At most 7 bits are left from symbol to symbol, and 30 more do not fit into an integer of 32: hence halves.
  let acc = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = CODES[symbol] as number;
    let left = LENGTHS[symbol] as number;
    while (left > 0) {
      const take = Math.min(left, 16);
      left -= take;
      acc = (acc << take) | ((code >>> left) & ((1 << take) - 1));
      bits += take;
      while (bits >= 8) {
        bits -= 8;
        out[at++] = acc >>> bits;
      }
      acc &= (1 << bits) - 1;
    }
  }
  if (bits > 0) out[at++] = (acc << (8 - bits)) | (0xff >>> bits);
  return at;
}
