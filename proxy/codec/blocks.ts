/**
 * Memory that bytes pass through on their way: large blocks that are used again and again. Fresh memory for each read or
 * write would be counted against V8's heap and bring on one full collection after another.
 */

/** Room for the frames that 64 KiB of body make, and some heads. */
export const BLOCK_SIZE = 98_304;
/** What is kept of them when a burst is over: as much as one HTTP/2 stream may have under way by its usual window. */
const MAX_FREE = 192;

const free: Buffer[] = [];
/** Memory that is used again while others may still hold a view of it. */
const transient = new Set<ArrayBufferLike>();

/** A block, with anything in it. */
export function takeBlock(): Buffer {
  const block = free.pop();
  if (block !== undefined) return block;
  const fresh = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  transient.add(fresh.buffer);
  return fresh;
}

/** Gives a block back that nobody looks at any more. */
export function releaseBlock(block: Buffer): void {
  if (free.length < MAX_FREE) free.push(block);
  else transient.delete(block.buffer);
}

/** Whether bytes lie where others will be soon. */
export function isTransient(bytes: Buffer): boolean {
  return transient.has(bytes.buffer);
}

/** The same bytes, fit to be kept. */
export function owned(bytes: Buffer): Buffer {
  return isTransient(bytes) ? Buffer.from(bytes) : bytes;
}
