/** The encoder's dynamic table (RFC 7541, sections 2.3.2 and 4): entries in order of insertion, found through their names. */
import type { NameInfo } from "./name-info.ts";
import { ENTRY_OVERHEAD, FIRST_DYNAMIC } from "./static-table.ts";

export interface TableEntry {
  readonly name: NameInfo | null;
  readonly value: string;
  /** How many were inserted before it; no meaning for entries of the static table. */
  readonly sequence: number;
  /** Its index if it is an entry of the static table, else 0. */
  readonly staticIndex: number;
}

export class EncoderTable {
  /** From the oldest at `#oldest` on; what was before it is null. */
  #entries: (TableEntry | null)[] = [];
  #oldest = 0;
  #inserted = 0;
  #size = 0;
  #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** By the reckoning of RFC 7541, section 4.1. */
  get size(): number {
    return this.#size;
  }

  /** The index by which an entry that is in the table is called now. */
  indexOf(entry: TableEntry): number {
    return FIRST_DYNAMIC + this.#inserted - 1 - entry.sequence;
  }

  /** RFC 7541, section 4.3 */
  resize(capacity: number): void {
    this.#capacity = capacity;
    while (this.#size > capacity) this.#evict();
  }

  /** The caller sees that it is not larger than the table. */
  insert(name: NameInfo, value: string): void {
    const size = name.name.length + value.length + ENTRY_OVERHEAD;
    while (this.#size + size > this.#capacity) this.#evict();
    const entry: TableEntry = { name, value, sequence: this.#inserted++, staticIndex: 0 };
    this.#entries.push(entry);
    this.#size += size;
    name.add(entry);
  }

  #evict(): void {
    const entry = this.#entries[this.#oldest] as TableEntry;
    const name = entry.name as NameInfo;
    this.#entries[this.#oldest++] = null;
    this.#size -= name.name.length + entry.value.length + ENTRY_OVERHEAD;
    name.forget(entry);
    // Moved down seldom enough to cost nothing, often enough to keep the array small.
    if (this.#oldest >= 128) {
      this.#entries = this.#entries.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
