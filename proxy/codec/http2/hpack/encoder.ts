/**
 * HPACK compression (RFC 7541) of one connection's header blocks. The table is kept for what comes again: a value goes in
 * when it is seen for the second time, so that identifiers and times, which are different each time, don't flush it.
 */
import { EncoderTable, type TableEntry } from "./encoder-table.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { MAX_INTEGER_BYTES, writeInteger } from "./integer.ts";
import { NameInfo, Secrecy } from "./name-info.ts";
import { DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD } from "./static-table.ts";
import { ownText, writeText } from "./text.ts";

/** Representation, and the lengths of name and value. */
const FIELD_OVERHEAD = 1 + 2 * MAX_INTEGER_BYTES;
/** Names that are remembered, in every case that they came in: twice what the table can hold, so that a sweep makes room. */
const MAX_NAMES = 256;
/** Cookies shorter than this are secrets that could be guessed from the size of a block (RFC 7541, section 7.1.3). */
const SHORT_COOKIE = 20;

/** Upper bound, in bytes, of what `encode` writes for a field. */
export function fieldRoom(name: string, value: string): number {
  return name.length + value.length + FIELD_OVERHEAD;
}

export class HpackEncoder {
  readonly #table = new EncoderTable(DEFAULT_TABLE_SIZE);
  /** By name in whatever case it came. */
  readonly #names = new Map<string, NameInfo>();
  /** No field: the first of a block follows it. */
  readonly #start = new NameInfo("");
  /** The field encoded last. */
  #previous = this.#start;
  /** The smallest size that has held since the last block; -1: no update is due. */
  #smallest = -1;
  #tableSize = DEFAULT_TABLE_SIZE;

  /** Bytes in the dynamic table, as RFC 7541 (section 4.1) reckons them. */
  get tableSize(): number {
    return this.#table.size;
  }

  /** Names that are remembered, spellings included. */
  get knownNames(): number {
    return this.#names.size;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes; it holds from the next block on. */
  setMaxTableSize(size: number): void {
    this.#tableSize = Math.min(size, DEFAULT_TABLE_SIZE);
    if (this.#smallest < 0 || this.#tableSize < this.#smallest) this.#smallest = this.#tableSize;
  }

  /** Starts a block at `at`: writes the table size updates that are due, up to 8 bytes. Returns the new offset. */
  begin(out: Buffer, at: number): number {
    this.#previous = this.#start;
    if (this.#smallest < 0) return at;
    const table = this.#table;
    // RFC 7541, section 4.2: the smallest size first, as it may have evicted entries.
    if (this.#smallest < table.capacity) at = this.#update(out, at, this.#smallest);
    if (this.#tableSize !== table.capacity) at = this.#update(out, at, this.#tableSize);
    this.#smallest = -1;
    return at;
  }

  #update(out: Buffer, at: number, size: number): number {
    this.#table.resize(size);
    return writeInteger(out, at, 0x20, 0x1f, size);
  }

  /** Writes a field, its name in lower case; returns the new offset. Never more than `fieldRoom(name, value)` bytes. */
  encode(out: Buffer, at: number, name: string, value: string): number {
    const info = this.#find(name);
    const entry = info.find(value);
    if (entry !== null) return this.#indexed(out, at, entry);
    if (info.secrecy !== Secrecy.none && (info.secrecy === Secrecy.always || value.length < SHORT_COOKIE)) {
      return this.#literal(out, at, 0x10, 0x0f, info, value);
    }
    const size = info.name.length + value.length + ENTRY_OVERHEAD;
    if (size <= this.#table.capacity >> 1 && info.deservesEntry(value, this.#nameIndex(info) === 0)) {
      return this.#insert(out, at, info, value);
    }
    return this.#literal(out, at, 0, 0x0f, info, value);
  }

  #indexed(out: Buffer, at: number, entry: TableEntry): number {
    const index = entry.staticIndex > 0 ? entry.staticIndex : this.#table.indexOf(entry);
    return writeInteger(out, at, 0x80, 0x7f, index);
  }

  /** A literal that leaves the table as it is. */
  #literal(out: Buffer, at: number, flags: number, max: number, info: NameInfo, value: string): number {
    at = this.#name(out, at, flags, max, info);
    at = writeInteger(out, at, 0, 0x7f, value.length);
    return writeText(out, at, value);
  }

  /** A literal with incremental indexing, in Huffman code where that is shorter: it is written once and read often. */
  #insert(out: Buffer, at: number, info: NameInfo, value: string): number {
    at = this.#name(out, at, 0x40, 0x3f, info);
    const coded = huffmanLength(value);
    if (coded < value.length) {
      at = writeInteger(out, at, 0x80, 0x7f, coded);
      at = huffmanEncode(out, at, value);
    } else {
      at = writeInteger(out, at, 0, 0x7f, value.length);
      at = writeText(out, at, value);
    }
    this.#table.insert(info, ownText(value));
    return at;
  }

  #name(out: Buffer, at: number, flags: number, max: number, info: NameInfo): number {
    const index = this.#nameIndex(info);
    if (index > 0) return writeInteger(out, at, flags, max, index);
    out[at++] = flags;
    const { name } = info;
    at = writeInteger(out, at, 0, 0x7f, name.length);
    return writeText(out, at, name);
  }

  /** An index that has this name, whatever the value; 0: none. */
  #nameIndex(info: NameInfo): number {
    if (info.staticIndex > 0) return info.staticIndex;
    const { newest } = info;
    return newest === null ? 0 : this.#table.indexOf(newest);
  }

  /** Messages of one kind have their fields in the same order: what followed the last time mostly follows again. */
  #find(name: string): NameInfo {
    const previous = this.#previous;
    let info = previous.followerName === name ? previous.follower : null;
    if (info === null) {
      info = this.#names.get(name) ?? this.#learn(name);
      previous.followerName = info.name === name ? info.name : info.spelling;
      previous.follower = info;
    }
    this.#previous = info;
    return info;
  }

  #learn(name: string): NameInfo {
    if (this.#names.size + 2 > MAX_NAMES) this.#forgetNames();
    const lower = ownText(name.toLowerCase());
    const info = this.#names.get(lower) ?? new NameInfo(lower);
    this.#names.set(lower, info);
    if (lower !== name) {
      info.spelling = ownText(name);
      this.#names.set(info.spelling, info);
    }
    return info;
  }

  /** Forgets names that have no entry in the table, and spellings that are not in lower case. */
  #forgetNames(): void {
    for (const [name, info] of this.#names) {
      info.followerName = "";
      info.follower = null;
      if (info.newest === null || info.name !== name) this.#names.delete(name);
    }
    this.#start.followerName = "";
    this.#start.follower = null;
  }
}
