/** One line's worth of YAML: scalars, and flow collections that end on the line where they began. */
import { plainScalar } from "./plain-scalar.ts";

/** Thrown where a whole YAML parser is needed. */
export class GiveUp extends Error {}

/** What a plain scalar cannot begin with, or what has a meaning of its own there. */
const SPECIAL = /^[&*!|>%@`?,\]}#'"[{]|^[-:](?:[ ,[\]{}]|$)/;
const MAX_KEY = 1000;
/** Deeper than any real configuration. */
export const MAX_DEPTH = 100;

/** The value that a line holds from its first character to its end or its comment. */
export function inlineValue(text: string): unknown {
  const first = text[0];
  if (first !== '"' && first !== "'" && first !== "{" && first !== "[") return plainScalar(plainText(text));
  const reader = new FlowReader(text);
  const value = reader.value();
  reader.end();
  return value;
}

/** A line that begins with `key:`, taken apart; null if it does not. */
export function splitKey(text: string): { readonly key: string; readonly rest: string } | null {
  if (text[0] === '"' || text[0] === "'") {
    const reader = new FlowReader(text);
    const key = reader.quoted();
    const rest = reader.afterKey();
    return rest === null ? null : { key: checkedKey(key), rest };
  }
  const colon = keyEnd(text);
  if (colon < 0 || SPECIAL.test(text)) return null;
  const key = text.slice(0, colon).trimEnd();
  if (key.includes(" #")) throw new GiveUp();
  return { key: checkedKey(key), rest: text.slice(colon + 1).trimStart() };
}

function keyEnd(text: string): number {
  const colon = text.indexOf(": ");
  return colon < 0 && text.endsWith(":") ? text.length - 1 : colon;
}

/** Merge keys have a meaning of their own, and `__proto__` has one in JavaScript. */
function checkedKey(key: string): string {
  if (key === "<<" || key === "__proto__" || key.length > MAX_KEY) throw new GiveUp();
  return key;
}

function plainText(text: string): string {
  if (SPECIAL.test(text)) throw new GiveUp();
  const comment = text.indexOf(" #");
  const plain = (comment < 0 ? text : text.slice(0, comment)).trimEnd();
  if (plain.includes(": ") || plain.endsWith(":")) throw new GiveUp();
  return plain;
}

class FlowReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Nothing but a comment may follow. */
  end(): void {
    if (!/^(?: +#.*| *)$/.test(this.#text.slice(this.#at))) throw new GiveUp();
  }

  /** What stands behind the colon of a quoted key that begins a line; null if there is no colon. */
  afterKey(): string | null {
    this.#spaces();
    if (this.#text[this.#at] !== ":") return null;
    const rest = this.#text.slice(this.#at + 1);
    if (rest !== "" && rest[0] !== " ") throw new GiveUp();
    return rest.trimStart();
  }

  value(): unknown {
    if (++this.#depth > MAX_DEPTH) throw new GiveUp();
    const value = this.#node();
    this.#depth--;
    return value;
  }

  #node(): unknown {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#map();
      case "[":
        return this.#list();
      case '"':
      case "'":
        return this.quoted();
      default:
        return plainScalar(this.#plain());
    }
  }

  quoted(): string {
    return this.#text[this.#at] === '"' ? this.#doubleQuoted() : this.#singleQuoted();
  }

  #list(): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    this.#spaces();
    while (this.#text[this.#at] !== "]") {
      items.push(this.value());
      this.#comma("]");
    }
    this.#at++;
    return items;
  }

  #map(): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    this.#at++;
    this.#spaces();
    while (this.#text[this.#at] !== "}") {
      const key = checkedKey(this.#key());
      if (Object.hasOwn(map, key)) throw new GiveUp();
      const next = this.#text[this.#at];
      map[key] = next === "," || next === "}" ? null : this.value();
      this.#comma("}");
    }
    this.#at++;
    return map;
  }

  /** A key with its colon and the spaces behind it. */
  #key(): string {
    const first = this.#text[this.#at];
    const isQuoted = first === '"' || first === "'";
    const key = isQuoted ? this.quoted() : this.#plain();
    this.#spaces();
    if (this.#text[this.#at] !== ":") throw new GiveUp();
    this.#at++;
    if (!isQuoted && this.#text[this.#at] !== " ") throw new GiveUp();
    this.#spaces();
    return key;
  }

  #comma(close: string): void {
    this.#spaces();
    if (this.#text[this.#at] === ",") {
      this.#at++;
      this.#spaces();
    } else if (this.#text[this.#at] !== close) throw new GiveUp();
  }

  #spaces(): void {
    while (this.#text[this.#at] === " ") this.#at++;
  }

  #plain(): string {
    const start = this.#at;
    if (SPECIAL.test(this.#text.slice(start, start + 2))) throw new GiveUp();
    for (; ; this.#at++) {
      const char = this.#text[this.#at];
      const next = this.#text[this.#at + 1];
      if (char === "," || char === "]" || char === "}") break;
      if (char === ":" && next === " ") break;
      const isColon = char === ":" && (next === undefined || ",[]{}".includes(next));
      if (char === undefined || char === "[" || char === "{" || isColon || (char === " " && next === "#")) {
        throw new GiveUp();
      }
    }
    return this.#text.slice(start, this.#at).trimEnd();
  }

  /** Only with the escapes that JSON has too. */
  #doubleQuoted(): string {
    const start = this.#at;
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      if (this.#text[this.#at] === undefined) throw new GiveUp();
      if (this.#text[this.#at] === "\\") this.#at++;
    }
    this.#at++;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      throw new GiveUp();
    }
  }

  #singleQuoted(): string {
    const start = this.#at + 1;
    let end = this.#text.indexOf("'", start);
    while (end >= 0 && this.#text[end + 1] === "'") end = this.#text.indexOf("'", end + 2);
    if (end < 0) throw new GiveUp();
    this.#at = end + 1;
    return this.#text.slice(start, end).replaceAll("''", "'");
  }
}
