/** The decoder's dynamic table (RFC 7541, sections 2.3.2 and 4): a ring of entries, each with all that is known of its field. */
import { FieldKind } from "./field.ts";
import { ENTRY_OVERHEAD } from "./static-table.ts";
import { sharedText } from "./text.ts";

export interface FieldEntry {
  name: string;
  value: string;
  readonly tag: number;
  /** A `FieldKind`. */
  readonly kind: number;
  /** The kind by the name alone: a value that was refused says nothing of the next one. */
  readonly nameKind: number;
  /** The strings are those that the whole process has for these characters: an entry that is used again is worth it. */
  shared: boolean;
  nameShared: boolean;
}

/** What lies where no entry is. */
const NONE: FieldEntry = {
  name: "",
  value: "",
  tag: 0,
  kind: FieldKind.invalid,
  nameKind: FieldKind.invalid,
  shared: true,
  nameShared: true,
};

export function shareName(entry: FieldEntry): void {
  entry.name = sharedText(entry.name);
  entry.nameShared = true;
}

export function share(entry: FieldEntry): void {
  if (!entry.nameShared) shareName(entry);
  entry.value = sharedText(entry.value);
  entry.shared = true;
}

export class DecoderTable {
  /** A power of two of slots; doubled as entries need it, so never more than the table's size over 16. */
  #entries: FieldEntry[] = new Array<FieldEntry>(32).fill(NONE);
  /** Entries ever inserted: the newest lies before this slot. */
  #next = 0;
  /** Entries in the table. */
  count = 0;
  /** By the reckoning of RFC 7541, section 4.1. */
  size = 0;
  #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** The entry that is the `age`-th newest, from 0; the caller sees that it is below `count`. */
  at(age: number): FieldEntry {
    const entries = this.#entries;
    return entries[(this.#next - 1 - age) & (entries.length - 1)] as FieldEntry;
  }

  /** RFC 7541, section 4.3 */
  resize(capacity: number): void {
    this.#capacity = capacity;
    while (this.size > capacity) this.#evict();
  }

  /** RFC 7541, section 4.4: an entry larger than the table empties it. */
  insert(entry: FieldEntry): void {
    const size = entry.name.length + entry.value.length + ENTRY_OVERHEAD;
    while (this.count > 0 && this.size + size > this.#capacity) this.#evict();
    if (size > this.#capacity) return;
    if (this.count === this.#entries.length) this.#grow();
    this.#entries[this.#next & (this.#entries.length - 1)] = entry;
    this.#next = (this.#next + 1) | 0;
    this.count++;
    this.size += size;
  }

  #evict(): void {
    const slot = (this.#next - this.count) & (this.#entries.length - 1);
    const { name, value } = this.#entries[slot] as FieldEntry;
    this.#entries[slot] = NONE;
    this.size -= name.length + value.length + ENTRY_OVERHEAD;
    this.count--;
  }

  #grow(): void {
    const entries = new Array<FieldEntry>(this.#entries.length * 2).fill(NONE);
    for (let i = 0; i < this.count; i++) entries[i] = this.at(this.count - 1 - i);
    this.#entries = entries;
    this.#next = this.count;
  }
}
