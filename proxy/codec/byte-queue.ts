/** Bytes that wait, first in first out. Large amounts lie in shared blocks, so that holding them allocates nothing. */
import { BLOCK_SIZE, releaseBlock, takeBlock } from "./blocks.ts";

/** Less than this is kept in memory of its own: a block for it would be a waste. */
const WORTH_A_BLOCK = 8192;

interface Segment {
  readonly memory: Buffer;
  readonly pooled: boolean;
  start: number;
  end: number;
}

export class ByteQueue {
  readonly #segments: Segment[] = [];
  /** Bytes in it. */
  length = 0;

  /** Adds a copy of `bytes`. */
  push(bytes: Buffer): void {
    const { length } = bytes;
    this.length += length;
    const last = this.#segments.at(-1);
    let from = 0;
    if (last?.pooled) {
      from = Math.min(BLOCK_SIZE - last.end, length);
      bytes.copy(last.memory, last.end, 0, from);
      last.end += from;
    }
    while (from < length) {
      const rest = length - from;
      if (rest < WORTH_A_BLOCK) {
        this.#segments.push({ memory: Buffer.from(bytes.subarray(from)), pooled: false, start: 0, end: rest });
        return;
      }
      const memory = takeBlock();
      const end = bytes.copy(memory, 0, from);
      this.#segments.push({ memory, pooled: true, start: 0, end });
      from += end;
    }
  }

  /** The first bytes, as many as lie together; valid until they are consumed. Empty if there are none. */
  peek(): Buffer {
    const first = this.#segments[0];
    return first === undefined ? NOTHING : first.memory.subarray(first.start, first.end);
  }

  /** Takes off what was looked at. */
  consume(bytes: number): void {
    const first = this.#segments[0];
    if (first === undefined) return;
    this.length -= bytes;
    first.start += bytes;
    if (first.start < first.end) return;
    this.#segments.shift();
    if (first.pooled) releaseBlock(first.memory);
  }

  clear(): void {
    for (const { memory, pooled } of this.#segments.splice(0)) if (pooled) releaseBlock(memory);
    this.length = 0;
  }
}

const NOTHING = Buffer.alloc(0);
