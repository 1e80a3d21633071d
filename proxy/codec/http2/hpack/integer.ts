/** Integers with a prefix (RFC 7541, section 5.1). */

/** Bytes that an integer below 2^32 needs at most, whatever its prefix. */
export const MAX_INTEGER_BYTES = 6;

/**
 * Writes `value` (0 to 2^32-1) with a prefix whose largest number is `max` (31 for five bits); `flags` are the bits above
 * the prefix. Returns the offset after it.
 */
export function writeInteger(out: Uint8Array, at: number, flags: number, max: number, value: number): number {
  if (value < max) {
    out[at] = flags | value;
    return at + 1;
  }
  out[at++] = flags | max;
  let rest = value - max;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

/** Where the last `readInteger` stopped. */
export const cursor = { at: 0 };

/**
 * Reads what follows a prefix that was full, and moves `cursor` behind it. -1: it does not end before `end`, or is larger
 * than any length or index that could be meant (2^28), however many zeros it is padded with.
 */
export function readInteger(buf: Uint8Array, at: number, end: number, max: number): number {
  let value = max;
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return -1;
    const byte = buf[at++] as number;
    value += (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor.at = at;
      return value;
    }
  }
  return -1;
}
