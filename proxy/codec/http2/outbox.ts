/**
 * Frames on their way to one socket. Those of many streams, and of many events in one turn of the loop, leave in one
 * write: system calls, not parsing, are what HTTP/2 costs most.
 */
import type { Socket } from "node:net";
import { BLOCK_SIZE, releaseBlock, takeBlock } from "../blocks.ts";
import { FRAME_HEADER, FrameFlag, writeFrameHeader } from "./protocol.ts";

/** With more than this on its way the socket is behind: nothing but what must go is added. */
const HIGH_WATER = 65_536;

/** Those with frames that have not been given to their sockets. */
let dirty: Outbox[] = [];
let spare: Outbox[] = [];
let scheduled = false;

function flushAll(): void {
  scheduled = false;
  const now = dirty;
  dirty = spare;
  for (const outbox of now) outbox.flush();
  now.length = 0;
  spare = now;
}

export class Outbox {
  readonly #socket: Socket;
  #block: Buffer = EMPTY;
  #at = 0;
  #listed = false;
  /** Counts flushes: a frame of an earlier one can't be changed any more. */
  generation = 0;
  /** Frames written since the socket last had room. */
  unsent = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The socket takes no more for now: its `drain` tells when. */
  get blocked(): boolean {
    return this.#socket.writableLength >= HIGH_WATER;
  }

  /** Memory in which the next frame is written from `at` on; then `advance`. `size` is at most a block. */
  reserve(size: number): Buffer {
    while (this.#at + size > this.#block.length) {
      // A write to a TLS socket may read from it: frames in answer to those may be in a new block when it returns.
      if (this.#at > 0) this.#write();
      else this.#block = takeBlock();
    }
    if (!this.#listed) {
      this.#listed = true;
      dirty.push(this);
      if (!scheduled) {
        scheduled = true;
        setImmediate(flushAll);
      }
    }
    return this.#block;
  }

  get at(): number {
    return this.#at;
  }

  /** What was reserved has been written up to `at`. */
  advance(at: number): void {
    this.#at = at;
    this.unsent++;
  }

  /**
   * Where frames that are written next begin, `size` bytes in all, so that END_STREAM can still be added to the first of
   * them; -1: they do not fit into one block.
   */
  together(size: number): number {
    if (size > BLOCK_SIZE) return -1;
    this.reserve(size);
    return this.#at;
  }

  /** A frame without payload to speak of: `write` fills the given number of bytes after its header. */
  frame(type: number, flags: number, streamId: number, length: number): { readonly buf: Buffer; readonly at: number } {
    const buf = this.reserve(FRAME_HEADER + length);
    const at = this.#at;
    writeFrameHeader(buf, at, length, type, flags, streamId);
    this.advance(at + FRAME_HEADER + length);
    return { buf, at: at + FRAME_HEADER };
  }

  /** Adds END_STREAM to a frame that has not left; `generation` and `at` are from when it was written. */
  endStream(generation: number, at: number): boolean {
    if (generation !== this.generation || at < 0) return false;
    this.#block[at + 4] = (this.#block[at + 4] as number) | FrameFlag.endStream;
    return true;
  }

  /** Gives what was written to the socket. */
  flush(): void {
    this.#listed = false;
    if (this.#at > 0) this.#write();
  }

  #write(): void {
    const block = this.#block;
    const bytes = block.subarray(0, this.#at);
    this.#block = EMPTY;
    this.#at = 0;
    this.generation++;
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      releaseBlock(block);
      return;
    }
    this.#socket.write(bytes, () => releaseBlock(block));
    if (this.#socket.writableLength === 0) this.unsent = 0;
  }
}

const EMPTY = Buffer.alloc(0);
