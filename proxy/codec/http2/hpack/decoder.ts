/** HPACK decompression (RFC 7541) of one connection's header blocks, checking names and values once per table entry. */
import { DecoderTable, type FieldEntry, share, shareName } from "./decoder-table.ts";
import { FieldKind, type FieldSink, isValue, kindOfName, tagOfName } from "./field.ts";
import { decodingBuffer, huffmanDecode } from "./huffman.ts";
import { cursor, readInteger } from "./integer.ts";
import { LiteralCache } from "./literal-cache.ts";
import { FIRST_DYNAMIC, STATIC_TABLE } from "./static-table.ts";
import { readText } from "./text.ts";

const STATIC_ENTRIES: readonly FieldEntry[] = STATIC_TABLE.map(([name, value]) => {
  const kind = kindOfName(name);
  return {
    name,
    value,
    tag: tagOfName(name),
    kind,
    nameKind: kind,
    shared: true,
    nameShared: true,
  };
});

/** A sender has reason for two at most: the smallest size since the last block, and the one that holds (section 4.2). */
const MAX_SIZE_UPDATES = 2;

export class HpackDecoder {
  readonly #table: DecoderTable;
  #maxTableSize: number;
  /** What the table must be reduced to before the next field; Infinity: no reduction is due. */
  #reduction = Infinity;
  readonly #literals = new LiteralCache();
  #at = 0;
  /** The string read last: whether it may be a value, and itself. */
  #valid = true;
  #text = "";

  /** `maxTableSize`: our SETTINGS_HEADER_TABLE_SIZE that is in force as the connection begins, in bytes. */
  constructor(maxTableSize: number) {
    this.#maxTableSize = maxTableSize;
    this.#table = new DecoderTable(maxTableSize);
  }

  /** Bytes in the dynamic table, as RFC 7541 (section 4.1) reckons them. */
  get tableSize(): number {
    return this.#table.size;
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE that the peer has acknowledged. If its table is larger, its next block has to say so. */
  setMaxTableSize(size: number): void {
    this.#maxTableSize = size;
    if (size < this.#table.capacity && size < this.#reduction) this.#reduction = size;
  }

  /**
   * Decodes one whole header block and gives its fields to `sink`. False: it is malformed, and the connection has to end
   * with COMPRESSION_ERROR.
   */
  decode(buf: Buffer, start: number, end: number, sink: FieldSink): boolean {
    this.#at = start;
    if (!this.#sizeUpdates(buf, end)) return false;
    while (this.#at < end) {
      const byte = buf[this.#at++] as number;
      if (byte >= 0x80) {
        let index = byte & 0x7f;
        if (index === 0x7f && (index = this.#integer(buf, end, 0x7f)) < 0) return false;
        const entry = this.#entry(index);
        if (entry === null) return false;
        if (!entry.shared) share(entry);
        sink.onField(entry.name, entry.value, entry.tag, entry.kind);
        continue;
      }
      if (byte >= 0x40) {
        if (!this.#literal(buf, end, byte & 0x3f, 0x3f, true, sink)) return false;
      } else if (byte >= 0x20) {
        // RFC 7541, section 4.2: updates come before the first field.
        return false;
      } else if (!this.#literal(buf, end, byte & 0x0f, 0x0f, false, sink)) {
        return false;
      }
    }
    return true;
  }

  #sizeUpdates(buf: Buffer, end: number): boolean {
    for (let updates = 0; this.#at < end && ((buf[this.#at] as number) & 0xe0) === 0x20; updates++) {
      if (updates === MAX_SIZE_UPDATES) return false;
      let size = (buf[this.#at++] as number) & 0x1f;
      if (size === 0x1f && (size = this.#integer(buf, end, 0x1f)) < 0) return false;
      if (size > this.#maxTableSize) return false;
      if (size <= this.#reduction) this.#reduction = Infinity;
      this.#table.resize(size);
    }
    return this.#reduction === Infinity || this.#at === end;
  }

  #literal(buf: Buffer, end: number, prefix: number, max: number, index: boolean, sink: FieldSink): boolean {
    const nameIndex = prefix === max ? this.#integer(buf, end, max) : prefix;
    let name: string;
    let tag: number;
    let nameKind: number;
    let nameShared = true;
    if (nameIndex === 0) {
      if (!this.#string(buf, end, !index)) return false;
      name = this.#text;
      tag = tagOfName(name);
      nameKind = kindOfName(name);
      nameShared = false;
    } else {
      const entry = this.#entry(nameIndex);
      if (entry === null) return false;
      if (!entry.nameShared) shareName(entry);
      ({ name, tag, nameKind } = entry);
    }
    if (!this.#string(buf, end, !index)) return false;
    const value = this.#text;
    const kind = this.#valid ? nameKind : FieldKind.invalid;
    if (index) this.#table.insert({ name, value, tag, kind, nameKind, shared: false, nameShared });
    sink.onField(name, value, tag, kind);
    return true;
  }

  /** null: there is none of that index. */
  #entry(index: number): FieldEntry | null {
    if (index < FIRST_DYNAMIC) return index > 0 ? (STATIC_ENTRIES[index] as FieldEntry) : null;
    const age = index - FIRST_DYNAMIC;
    return age < this.#table.count ? this.#table.at(age) : null;
  }

  /** The rest of an integer whose prefix was full; -1 if it is malformed. */
  #integer(buf: Buffer, end: number, max: number): number {
    const value = readInteger(buf, this.#at, end, max);
    this.#at = cursor.at;
    return value;
  }

  /** RFC 7541, section 5.2. A string that goes into no table may be one that came before. */
  #string(buf: Buffer, end: number, cached: boolean): boolean {
    if (this.#at >= end) return false;
    const begin = this.#at++;
    const byte = buf[begin] as number;
    let length = byte & 0x7f;
    if (length === 0x7f && (length = this.#integer(buf, end, 0x7f)) < 0) return false;
    const start = this.#at;
    const stop = start + length;
    if (stop > end) return false;
    this.#at = stop;
    if (cached) {
      const literal = this.#literals.find(buf, begin, stop);
      if (literal !== null) {
        this.#valid = literal.valid;
        this.#text = literal.text;
        return true;
      }
    }
    if (byte < 0x80) {
      this.#valid = isValue(buf, start, stop);
      this.#text = readText(buf, start, stop);
    } else {
      const out = decodingBuffer(length);
      const decoded = huffmanDecode(buf, start, stop, out);
      if (decoded < 0) return false;
      this.#valid = isValue(out, 0, decoded);
      this.#text = readText(out, 0, decoded);
    }
    if (cached && this.#literals.wanted) this.#literals.store(buf, begin, stop, this.#text, this.#valid);
    return true;
  }
}
