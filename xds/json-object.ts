/** Reads Outrigger's own metadata: plain JSON whose shape no descriptor knows. Errors are reported like a message's. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Place } from "./place.ts";

export class ObjectReader {
  readonly #json: JsonObject;
  readonly #at: Place;
  readonly #read = new Set<string>();

  constructor(json: JsonObject, at: Place) {
    this.#json = json;
    this.#at = at;
  }

  string(name: string, fallback: string): string {
    return this.#value(name, fallback, "a string", (value) => typeof value === "string");
  }

  boolean(name: string, fallback: boolean): boolean {
    return this.#value(name, fallback, "true or false", (value) => typeof value === "boolean");
  }

  /** A finite number that is not negative. */
  number(name: string, fallback: number): number {
    const isNumber = (value: JsonValue): value is number =>
      typeof value === "number" && Number.isFinite(value) && value >= 0;
    return this.#value(name, fallback, "a number that is not negative", isNumber);
  }

  word<W extends string>(name: string, words: readonly W[], fallback: W): W {
    const isWord = (value: JsonValue): value is W => words.some((word) => word === value);
    return this.#value(name, fallback, `one of ${words.join(", ")}`, isWord);
  }

  /** What `decode` makes of an object; null if there is none. */
  object<T>(name: string, decode: (reader: ObjectReader) => T): T | null {
    const isObject = (value: JsonValue): value is JsonObject =>
      typeof value === "object" && value !== null && !Array.isArray(value);
    const json = this.#value<JsonObject | null>(name, null, "an object", isObject);
    if (json === null) return null;
    const reader = new ObjectReader(json, this.#at.field(name));
    const value = decode(reader);
    reader.end();
    return value;
  }

  /** Reports everything that nobody has asked for. */
  end(): void {
    for (const name of Object.keys(this.#json)) {
      if (!this.#read.has(name)) this.#at.field(name).error("unknown field");
    }
  }

  #value<T>(name: string, fallback: T, expected: string, test: (value: JsonValue) => value is JsonValue & T): T;
  #value<T>(name: string, fallback: T, expected: string, test: (value: JsonValue) => boolean): T {
    this.#read.add(name);
    const value = this.#json[name];
    if (value === undefined || value === null) return fallback;
    if (test(value)) return value as T;
    this.#at.field(name).error(`expected ${expected}, got ${JSON.stringify(value)}`);
    return fallback;
  }
}
