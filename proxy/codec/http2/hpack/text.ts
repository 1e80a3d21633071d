/** Latin1 text to bytes and back: by the runtime's own means where the text is long enough to be worth the call. */

/** Up to so many bytes a string is made faster from numbers, and written faster in a loop. */
const SHORT_READ = 12;
const SHORT_WRITE = 8;

/** One array per length: as many numbers as there are characters. */
const CODES: readonly number[][] = Array.from({ length: SHORT_READ + 1 }, (_, length) =>
  new Array<number>(length).fill(0),
);

/** A string with memory of its own, whatever the length of `buf`. */
export function readText(buf: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > SHORT_READ) return buf.latin1Slice(start, end);
  const codes = CODES[length] as number[];
  for (let i = 0; i < length; i++) codes[i] = buf[start + i] as number;
  return String.fromCharCode.apply(null, codes);
}

/** Writes `text`; returns the offset after it. */
export function writeText(out: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > SHORT_WRITE) return at + out.latin1Write(text, at, length);
  for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Longer strings are compared too seldom to be shared. */
const LONGEST_SHARED = 256;
/** A dictionary with no key but, for a moment, the one whose text is asked for. */
const keys: Record<string, boolean> = Object.create(null);

/**
 * The runtime's one string with these characters, the one that a literal in a source is. Two of them are compared by their
 * address, from connection to connection, where others are compared character by character. Costs about 0.5 µs.
 */
export function sharedText(text: string): string {
  const { length } = text;
  if (length === 0 || length > LONGEST_SHARED) return text;
  const first = text.charCodeAt(0);
  // What may be an array's index is no key of a dictionary.
  if (first >= 0x30 && first <= 0x39 && length <= 10) return text;
  keys[text] = true;
  let shared = text;
  for (const key in keys) shared = key;
  delete keys[text];
  return shared;
}

/** To be kept: the characters without the larger text they may be part of, which would be kept alive with them. */
export function ownText(text: string): string {
  return sharedText(Buffer.from(text, "latin1").latin1Slice());
}
