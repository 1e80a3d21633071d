/**
 * Reads the YAML that configuration is mostly written in, ten times as fast as a whole YAML parser and without its
 * memory: a proxy with a thousand clusters must not need a second to read its file. Whatever is not plainly block style
 * with one-line scalars makes it give up, and the whole parser has its turn. It never guesses: what it returns is what
 * the whole parser would (a property holds it to that).
 */
import { GiveUp, inlineValue, MAX_DEPTH, splitKey } from "./yaml-flow.ts";

/** Tabs, other line breaks and control characters have rules of their own. */
const UNUSUAL = /[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029\uFEFF]/;
const BLANK = /^ *(?:#.*)?$/;
const MARKER = /^(?:---|\.\.\.|%)/;

/** The value of the text, or undefined if it takes a whole YAML parser to tell. */
export function parseYamlSubset(text: string): unknown {
  if (UNUSUAL.test(text)) return undefined;
  try {
    return new BlockReader(text).document();
  } catch (error) {
    if (error instanceof GiveUp) return undefined;
    throw error;
  }
}

class BlockReader {
  readonly #lines: readonly string[];
  /** Index of the current line, its indentation (-1 at the end), and its text from there on. */
  #at = -1;
  #indent = -1;
  #rest = "";
  #depth = 0;

  constructor(text: string) {
    this.#lines = text.split("\n");
  }

  document(): unknown {
    this.#next();
    if (this.#rest === "---" && this.#indent === 0) this.#next();
    if (MARKER.test(this.#rest)) throw new GiveUp();
    const value = this.#indent < 0 ? null : this.#node();
    if (this.#indent >= 0) throw new GiveUp();
    return value;
  }

  /** Goes to the next line that is neither blank nor a comment. */
  #next(): void {
    for (this.#at++; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at] ?? "";
      if (BLANK.test(line)) continue;
      this.#indent = indentOf(line);
      this.#rest = line.slice(this.#indent);
      return;
    }
    this.#indent = -1;
    this.#rest = "";
  }

  /** The node that begins where the reader stands. */
  #node(): unknown {
    if (++this.#depth > MAX_DEPTH) throw new GiveUp();
    let value: unknown;
    if (isItem(this.#rest)) value = this.#list();
    else value = splitKey(this.#rest) ? this.#map() : this.#scalar(this.#rest);
    this.#depth--;
    return value;
  }

  #scalar(text: string): unknown {
    const value = inlineValue(text);
    this.#next();
    return value;
  }

  #list(): unknown[] {
    const indent = this.#indent;
    const items: unknown[] = [];
    while (this.#indent === indent && isItem(this.#rest)) {
      const content = this.#rest.slice(1).trimStart();
      if (content !== "" && content[0] !== "#" && content[0] !== "|") {
        // What follows the dash is indented by what stands before it.
        this.#indent += this.#rest.length - content.length;
        this.#rest = content;
        items.push(this.#node());
      } else items.push(this.#value(content, indent, false));
    }
    this.#mustEnd(indent);
    return items;
  }

  #map(): Record<string, unknown> {
    const indent = this.#indent;
    const map: Record<string, unknown> = {};
    while (this.#indent === indent) {
      if (isItem(this.#rest) || (indent === 0 && MARKER.test(this.#rest))) throw new GiveUp();
      const pair = splitKey(this.#rest);
      if (!pair || Object.hasOwn(map, pair.key)) throw new GiveUp();
      map[pair.key] = this.#value(pair.rest, indent, true);
    }
    this.#mustEnd(indent);
    return map;
  }

  /** A value on its key's line or below it; `listBeside`: a list may stand as far left as its key. */
  #value(text: string, indent: number, listBeside: boolean): unknown {
    if (text[0] === "|") return this.#literal(text, indent);
    if (text !== "" && text[0] !== "#") return this.#scalar(text);
    this.#next();
    if (this.#indent > indent) return this.#node();
    if (listBeside && this.#indent === indent && isItem(this.#rest)) return this.#list();
    return null;
  }

  /** A deeper line here would continue a scalar, or be an error. */
  #mustEnd(indent: number): void {
    if (this.#indent > indent) throw new GiveUp();
  }

  /** A block scalar that keeps its line breaks. */
  #literal(header: string, indent: number): string {
    if (header !== "|" && header !== "|-") throw new GiveUp();
    const lines: string[] = [];
    let own = -1;
    let at = this.#at + 1;
    for (; at < this.#lines.length; at++) {
      const line = this.#lines[at] ?? "";
      const here = indentOf(line);
      if (here === line.length) {
        if (line.length > Math.max(own, 0)) throw new GiveUp();
        lines.push("");
        continue;
      }
      if (own < 0) own = here;
      if (here < own || here <= indent) break;
      lines.push(line.slice(own));
    }
    // Without a last line break the text would end without one too.
    if (own <= indent || (at === this.#lines.length && this.#lines.at(-1) !== "")) throw new GiveUp();
    while (lines.at(-1) === "") lines.pop();
    this.#at = at - 1;
    this.#next();
    return lines.join("\n") + (header === "|" ? "\n" : "");
  }
}

function isItem(rest: string): boolean {
  return rest === "-" || rest.startsWith("- ");
}

function indentOf(line: string): number {
  let indent = 0;
  while (line.charCodeAt(indent) === 0x20) indent++;
  return indent;
}
