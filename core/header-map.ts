/**
 * HTTP header fields of one message. Fields that came from an HTTP/1 head stay where they are in its text and are found
 * by offset, so that passing a head on copies whole runs of lines instead of every name and value; edits lie beside it.
 * Names keep the case in which they came; lookups ignore case.
 */

/** Offsets per parsed field in `#at`: start of name, end of name, start of value, end of value, end of line (after CRLF). */
const WIDTH = 5;

/**
 * A cheap fingerprint that tells most names apart: length, the letter in the middle and the last one, ASCII case folded.
 * Not the first, which is the same in all of a family (`x-envoy-…`).
 */
export function headerTag(length: number, middle: number, last: number): number {
  return (length << 16) | ((middle | 0x20) << 8) | (last | 0x20);
}

function tagOf(name: string): number {
  return headerTag(name.length, name.charCodeAt(name.length >> 1), name.charCodeAt(name.length - 1));
}

/** A header name in lower case; names of our own are already, and looking is cheaper than the runtime's conversion. */
function lowerCase(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c >= 65 && c <= 90) return name.toLowerCase();
  }
  return name;
}

/** A field whose line was taken out. */
const REMOVED = -1;

/**
 * Sets of header names that a stage cares about, one bit each, so that a message with none of them is passed over
 * after one look at each field. A bit that is set may be a false alarm (names share fingerprints), one that is clear
 * never is.
 */
export class HeaderGroups {
  readonly #bits = new Uint32Array(1024);

  /** Puts `names` (lower case) into the group of `bit`. */
  add(bit: number, names: readonly string[]): this {
    for (const name of names) {
      const slot = HeaderGroups.#slot(tagOf(name));
      this.#bits[slot] = (this.#bits[slot] as number) | bit;
    }
    return this;
  }

  /** The groups of a fingerprint. */
  of(tag: number): number {
    return this.#bits[HeaderGroups.#slot(tag)] as number;
  }

  static #slot(tag: number): number {
    return Math.imul(tag, 0x9e3779b1) >>> 22;
  }
}

export class HeaderMap {
  /** The head that parsed fields point into, latin1. */
  text = "";
  /** Number of parsed fields, removed ones included. */
  count = 0;
  readonly #tags: number[] = [];
  readonly #at: number[] = [];
  /** Fields that did not come with the head (or came by HTTP/2), in order of addition. */
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  readonly #extraTags: number[] = [];
  /** How many of those there are: the arrays keep their length from message to message, so that none grows twice. */
  #extra = 0;
  #edited = false;

  /** A map with the given fields. */
  static of(fields: Readonly<Record<string, string>>): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of Object.entries(fields)) map.append(name, value);
    return map;
  }

  /** Empties the map for another message. */
  clear(): void {
    this.text = "";
    this.count = 0;
    this.#edited = false;
    this.#extra = 0;
  }

  /** Records a field of `text` (parsers only). Offsets are into `text`. */
  push(tag: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, lineEnd: number): void {
    const i = this.count++;
    const at = this.#at;
    this.#tags[i] = tag;
    const base = i * WIDTH;
    // A line between this one and the last was kept out of the map (host, transfer-encoding).
    if (i > 0 && at[base - 1] !== nameStart) this.#edited = true;
    at[base] = nameStart;
    at[base + 1] = nameEnd;
    at[base + 2] = valueStart;
    at[base + 3] = valueEnd;
    at[base + 4] = lineEnd;
  }

  /** How many fields there are. */
  get size(): number {
    let size = this.#extra;
    for (let i = 0; i < this.count; i++) if (this.#tags[i] !== REMOVED) size++;
    return size;
  }

  /** The value of `name` (lower case), several values joined with "," as Envoy joins them; null where there is none. */
  get(name: string): string | null {
    const tag = tagOf(name);
    let found: string | null = null;
    for (let i = 0; i < this.count; i++) {
      if (this.#tags[i] === tag && this.#nameIs(i, name)) {
        const value = this.#valueAt(i);
        found = found === null ? value : `${found},${value}`;
      }
    }
    for (let i = 0; i < this.#extra; i++) {
      if (this.#extraTags[i] === tag && lowerCase(this.#names[i] as string) === name) {
        const value = this.#values[i] as string;
        found = found === null ? value : `${found},${value}`;
      }
    }
    return found;
  }

  has(name: string): boolean {
    const tag = tagOf(name);
    for (let i = 0; i < this.count; i++) if (this.#tags[i] === tag && this.#nameIs(i, name)) return true;
    for (let i = 0; i < this.#extra; i++) {
      if (this.#extraTags[i] === tag && lowerCase(this.#names[i] as string) === name) return true;
    }
    return false;
  }

  /** The first value of `name` (lower case); null where there is none. */
  first(name: string): string | null {
    const tag = tagOf(name);
    for (let i = 0; i < this.count; i++) if (this.#tags[i] === tag && this.#nameIs(i, name)) return this.#valueAt(i);
    for (let i = 0; i < this.#extra; i++) {
      if (this.#extraTags[i] === tag && lowerCase(this.#names[i] as string) === name) {
        return this.#values[i] as string;
      }
    }
    return null;
  }

  /** True if `test` accepts one of the values of `name` (lower case). */
  some(name: string, test: (value: string) => boolean): boolean {
    const tag = tagOf(name);
    for (let i = 0; i < this.count; i++) {
      if (this.#tags[i] === tag && this.#nameIs(i, name) && test(this.#valueAt(i))) return true;
    }
    for (let i = 0; i < this.#extra; i++) {
      if (this.#extraTags[i] === tag && lowerCase(this.#names[i] as string) === name) {
        if (test(this.#values[i] as string)) return true;
      }
    }
    return false;
  }

  /** The bits of the groups that some field may belong to: one pass, however many names the groups hold. */
  groups(groups: HeaderGroups): number {
    let bits = 0;
    for (let i = 0; i < this.count; i++) bits |= groups.of(this.#tags[i] as number);
    for (let i = 0; i < this.#extra; i++) bits |= groups.of(this.#extraTags[i] as number);
    return bits;
  }

  /** All values of `name` (lower case), in order. */
  getAll(name: string): string[] {
    const values: string[] = [];
    this.forEach((key, value) => {
      if (key.length === name.length && key.toLowerCase() === name) values.push(value);
    });
    return values;
  }

  /** Adds a field after those that are there; `name` in the case in which it shall be sent. */
  append(name: string, value: string): void {
    const i = this.#extra++;
    this.#names[i] = name;
    this.#values[i] = value;
    this.#extraTags[i] = tagOf(name);
  }

  /** The same for a name whose fingerprint (`headerTag`) is known. */
  appendTagged(name: string, value: string, tag: number): void {
    const i = this.#extra++;
    this.#names[i] = name;
    this.#values[i] = value;
    this.#extraTags[i] = tag;
  }

  /** Places of fields, from 0: with `nameAt` and `valueAt` all are visited in order, without a callback. */
  get slots(): number {
    return this.count + this.#extra;
  }

  /** The name in its own case; null where a field was taken out. */
  nameAt(slot: number): string | null {
    if (slot >= this.count) return this.#names[slot - this.count] as string;
    if (this.#tags[slot] === REMOVED) return null;
    const base = slot * WIDTH;
    return this.text.slice(this.#at[base], this.#at[base + 1]);
  }

  valueAt(slot: number): string {
    return slot >= this.count ? (this.#values[slot - this.count] as string) : this.#valueAt(slot);
  }

  /** At least as many characters as all names and values have. */
  get textLength(): number {
    let length = this.count === 0 ? 0 : this.text.length;
    for (let i = 0; i < this.#extra; i++) {
      length += (this.#names[i] as string).length + (this.#values[i] as string).length;
    }
    return length;
  }

  /** Replaces every field called `name` (any case) by one. */
  set(name: string, value: string): void {
    this.remove(lowerCase(name));
    this.append(name, value);
  }

  /** Removes every field called `name` (lower case); true if there was one. */
  remove(name: string): boolean {
    const tag = tagOf(name);
    let removed = false;
    for (let i = 0; i < this.count; i++) {
      if (this.#tags[i] === tag && this.#nameIs(i, name)) {
        this.#tags[i] = REMOVED;
        this.#edited = true;
        removed = true;
      }
    }
    for (let i = this.#extra - 1; i >= 0; i--) {
      if (this.#extraTags[i] === tag && lowerCase(this.#names[i] as string) === name) {
        this.#removeExtra(i);
        removed = true;
      }
    }
    return removed;
  }

  /** Visits the fields in order, with names in their own case. */
  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      if (this.#tags[i] === REMOVED) continue;
      const base = i * WIDTH;
      visit(this.text.slice(this.#at[base], this.#at[base + 1]), this.#valueAt(i));
    }
    for (let i = 0; i < this.#extra; i++) visit(this.#names[i] as string, this.#values[i] as string);
  }

  /** The fields as HTTP/1 lines, each ending with CRLF; no empty line at the end. */
  toHttp1(): string {
    let lines = "";
    if (this.count > 0) {
      if (!this.#edited) {
        lines = this.text.slice(this.#at[0], this.#at[this.count * WIDTH - 1]);
      } else {
        let runStart = -1;
        let runEnd = -1;
        for (let i = 0; i < this.count; i++) {
          if (this.#tags[i] === REMOVED) continue;
          const base = i * WIDTH;
          const start = this.#at[base] as number;
          if (start !== runEnd) {
            if (runStart >= 0) lines += this.text.slice(runStart, runEnd);
            runStart = start;
          }
          runEnd = this.#at[base + 4] as number;
        }
        if (runStart >= 0) lines += this.text.slice(runStart, runEnd);
      }
    }
    for (let i = 0; i < this.#extra; i++) lines += `${this.#names[i]}: ${this.#values[i]}\r\n`;
    return lines;
  }

  /** A plain object for logs and tests; repeated fields are joined with ",". Keys are lower case. */
  toObject(): Record<string, string> {
    const fields: Record<string, string> = {};
    this.forEach((name, value) => {
      const key = name.toLowerCase();
      fields[key] = key in fields ? `${fields[key]},${value}` : value;
    });
    return fields;
  }

  /** A copy that does not change with this one. */
  clone(): HeaderMap {
    const copy = new HeaderMap();
    this.forEach((name, value) => {
      copy.append(name, value);
    });
    return copy;
  }

  #removeExtra(at: number): void {
    this.#extra--;
    for (let i = at; i < this.#extra; i++) {
      this.#names[i] = this.#names[i + 1] as string;
      this.#values[i] = this.#values[i + 1] as string;
      this.#extraTags[i] = this.#extraTags[i + 1] as number;
    }
  }

  #valueAt(i: number): string {
    const base = i * WIDTH;
    return this.text.slice(this.#at[base + 2], this.#at[base + 3]);
  }

  /** The tag has told length, first and last letter; the rest is compared here, ASCII case folded. */
  #nameIs(i: number, name: string): boolean {
    const start = this.#at[i * WIDTH] as number;
    // The fingerprint has only 16 bits of it.
    if ((this.#at[i * WIDTH + 1] as number) - start !== name.length) return false;
    for (let k = 0; k < name.length; k++) {
      let c = this.text.charCodeAt(start + k);
      if (c >= 65 && c <= 90) c |= 0x20;
      if (c !== name.charCodeAt(k)) return false;
    }
    return true;
  }
}
