/**
 * The decoder's dynamic table (RFC 7541, sections 2.3.2 and 4): a ring of entries, each with all that is known of its field.
 * The arrays grow to what the entries in use need, never beyond the table's size over 32.
 */
import { ENTRY_OVERHEAD } from "./static-table.ts";

const FIRST_SLOTS = 32;

export class DecoderTable {
  names: string[] = new Array<string>(FIRST_SLOTS).fill("");
  values: string[] = new Array<string>(FIRST_SLOTS).fill("");
  tags: number[] = new Array<number>(FIRST_SLOTS).fill(0);
  kinds: number[] = new Array<number>(FIRST_SLOTS).fill(0);
  /** The kinds by name alone: a value that was refused says nothing of the next one. */
  nameKinds: number[] = new Array<number>(FIRST_SLOTS).fill(0);
  #mask = FIRST_SLOTS - 1;
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

  /** Where the entry lies that is the `age`-th newest, from 0; the caller sees that it is below `count`. */
  slot(age: number): number {
    return (this.#next - 1 - age) & this.#mask;
  }

  /** RFC 7541, section 4.3 */
  resize(capacity: number): void {
    this.#capacity = capacity;
    while (this.size > capacity) this.#evict();
  }

  /** RFC 7541, section 4.4: an entry larger than the table empties it. */
  insert(name: string, value: string, tag: number, kind: number, nameKind: number): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    while (this.count > 0 && this.size + size > this.#capacity) this.#evict();
    if (size > this.#capacity) return;
    if (this.count > this.#mask) this.#grow();
    const slot = this.#next & this.#mask;
    this.#next = (this.#next + 1) | 0;
    this.names[slot] = name;
    this.values[slot] = value;
    this.tags[slot] = tag;
    this.kinds[slot] = kind;
    this.nameKinds[slot] = nameKind;
    this.count++;
    this.size += size;
  }

  #evict(): void {
    const slot = (this.#next - this.count) & this.#mask;
    this.size -= (this.names[slot] as string).length + (this.values[slot] as string).length + ENTRY_OVERHEAD;
    this.names[slot] = "";
    this.values[slot] = "";
    this.count--;
  }

  #grow(): void {
    const { count } = this;
    const oldest = this.#next - count;
    const old = this.#mask;
    const slots = (old + 1) * 2;
    const moved = <T>(from: readonly T[], empty: T): T[] => {
      const to = new Array<T>(slots).fill(empty);
      for (let i = 0; i < count; i++) to[i] = from[(oldest + i) & old] as T;
      return to;
    };
    this.names = moved(this.names, "");
    this.values = moved(this.values, "");
    this.tags = moved(this.tags, 0);
    this.kinds = moved(this.kinds, 0);
    this.nameKinds = moved(this.nameKinds, 0);
    this.#mask = slots - 1;
    this.#next = count;
  }
}
