/**
 * The RE2 engine, loaded when the first pattern arrives: most sidecars have none, and it costs 5 MB to load and 10 MB
 * more with its first pattern.
 */
import { createRequire } from "node:module";

type Re2Module = typeof import("re2js");

let engine: Re2Module["RE2JS"] | null = null;

/** The engine. Its `compile` throws on what is not RE2 syntax (look-around, back-references). */
export function re2(): Re2Module["RE2JS"] {
  engine ??= (createRequire(import.meta.url)("re2js") as Re2Module).RE2JS;
  return engine;
}
