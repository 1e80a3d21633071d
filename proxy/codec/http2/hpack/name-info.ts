/**
 * What the encoder knows of one field name: its entries in the tables, and whether its values come again. An entry is paid
 * for by values that were seen before, so a name whose values are different each time soon gets none.
 */
import type { TableEntry } from "./encoder-table.ts";
import { STATIC_TABLE } from "./static-table.ts";

/** Whether a field goes as a literal that no intermediary may index (RFC 7541, section 7.1.3). */
export const Secrecy = { none: 0, whenShort: 1, always: 2 } as const;

const SECRECY: ReadonlyMap<string, number> = new Map<string, number>([
  ["authorization", Secrecy.always],
  ["proxy-authorization", Secrecy.always],
  ["cookie", Secrecy.whenShort],
]);

/** What the static table has of a name: the first index, and those that have a value. */
interface StaticName {
  readonly index: number;
  readonly entries: TableEntry[];
}

const STATIC_NAMES = new Map<string, StaticName>();
STATIC_TABLE.forEach(([name, value], index) => {
  if (index === 0) return;
  const known = STATIC_NAMES.get(name) ?? { index, entries: [] };
  STATIC_NAMES.set(name, known);
  if (value !== "") known.entries.push({ name: null, value, sequence: 0, staticIndex: index });
});

/** A value that was seen a moment ago earns this, one that was not loses a quarter; an entry costs four times as much. */
const EARNED = 4;
const LOST = 1;
const PRICE = 16;
const MOST = 64;

export class NameInfo {
  readonly name: string;
  /** The first index of the static table that has this name; 0: none. */
  readonly staticIndex: number;
  /** A `Secrecy`. */
  readonly secrecy: number;
  /** Another spelling in which it came ("Content-Type"). */
  spelling = "";
  /** What was encoded after it the last time: the name as it was given, "" for none, and what is known of it. */
  followerName = "";
  follower: NameInfo | null = null;
  /** The newest entry of the dynamic table that has this name. */
  newest: TableEntry | null = null;
  /** The entry that was used last. */
  #last: TableEntry | null = null;
  /** All entries by value, once there is more than one: most names never have two. */
  #entries: Map<string, TableEntry> | null = null;
  #count = 0;
  /** Fingerprints of the last values that had no entry, the newest first. */
  #recent0 = 0;
  #recent1 = 0;
  #recent2 = 0;
  #recent3 = 0;
  #credit = PRICE;
  #seen = false;

  constructor(name: string) {
    this.name = name;
    this.secrecy = SECRECY.get(name) ?? Secrecy.none;
    const known = STATIC_NAMES.get(name);
    this.staticIndex = known === undefined ? 0 : known.index;
    if (known !== undefined) for (const entry of known.entries) this.add(entry);
  }

  /** The entry with this value, of either table. */
  find(value: string): TableEntry | null {
    const last = this.#last;
    if (last !== null && last.value === value) return last;
    if (this.#count <= (last === null ? 0 : 1)) return null;
    const entry = this.#entries?.get(value);
    if (entry === undefined) return null;
    this.#last = entry;
    if (this.#credit < MOST) this.#credit += EARNED;
    return entry;
  }

  /** True if a value without an entry is to get one; `nameless`: no entry of either table has its name. */
  deservesEntry(value: string, nameless: boolean): boolean {
    const print = fingerprint(value);
    if (print === this.#recent0 || print === this.#recent1 || print === this.#recent2 || print === this.#recent3) {
      if (this.#credit < MOST) this.#credit += EARNED;
      if (this.#credit >= PRICE) {
        this.#credit -= PRICE;
        return true;
      }
    } else {
      this.#recent3 = this.#recent2;
      this.#recent2 = this.#recent1;
      this.#recent1 = this.#recent0;
      this.#recent0 = print;
      if (this.#credit > 0) this.#credit -= LOST;
    }
    // The name alone is worth an entry if it comes again.
    if (nameless && this.#seen) return true;
    this.#seen = true;
    return false;
  }

  add(entry: TableEntry): void {
    const only = this.#last;
    if (this.#entries === null && only !== null) this.#entries = new Map([[only.value, only]]);
    this.#entries?.set(entry.value, entry);
    this.#count++;
    this.#last = entry;
    if (entry.staticIndex === 0) this.newest = entry;
  }

  /** The entry has left the dynamic table. */
  forget(entry: TableEntry): void {
    this.#entries?.delete(entry.value);
    this.#count--;
    if (this.#last === entry) this.#last = null;
    // Entries leave in the order in which they came: none is left behind the newest.
    if (this.newest === entry) this.newest = null;
  }
}

/** Tells values apart that are not the same, mostly: by all of a short one, by eight characters of a long one. Never 0. */
function fingerprint(value: string): number {
  const { length } = value;
  const step = (length >> 3) + 1;
  let print = length;
  for (let at = 0; at < length; at += step) print = Math.imul(print, 31) + value.charCodeAt(at);
  return print | 0x40000000;
}
