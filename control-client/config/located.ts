/** YAML (and so JSON) as data in which everything still knows where it stood, for errors with line and column. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, Scalar } from "yaml";
import type { Problem } from "../../core/errors.ts";
import { plainScalar } from "../../xds/plain-scalar.ts";

/** 1-based. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Located =
  | { readonly kind: "map"; readonly at: Position; readonly entries: ReadonlyMap<string, LocatedEntry> }
  | { readonly kind: "list"; readonly at: Position; readonly items: readonly Located[] }
  | { readonly kind: "scalar"; readonly at: Position; readonly value: string | number | boolean | null };

export interface LocatedEntry {
  /** Of the key. */
  readonly at: Position;
  readonly value: Located;
}

export type LocatedMap = Extract<Located, { kind: "map" }>;

/** Deeper than any real configuration; an alias that contains itself has no end. */
const MAX_DEPTH = 100;

/** Reads one YAML or JSON document; `file` is what errors call it. Returns all problems of syntax instead. */
export function parseLocated(text: string, file: string): Located | { readonly problems: readonly Problem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, schema: "failsafe", merge: false, prettyErrors: false });
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems: Problem[] = document.errors.map((error) => ({
    ...positionOf(error.pos[0]),
    message: error.message.replaceAll(/\s+/g, " ").replace(/\.$/, ""),
  }));

  const convert = (node: unknown, at: Position, depth: number): Located => {
    if (depth > MAX_DEPTH) {
      if (problems.length === 0) problems.push({ ...at, message: `nested more than ${MAX_DEPTH} levels deep` });
      return { kind: "scalar", at, value: null };
    }
    const own = positionOf((node as Node | null)?.range?.[0] ?? 0);
    if (isAlias(node)) return convert(node.resolve(document), at, depth + 1);
    if (isMap(node)) {
      const entries = new Map<string, LocatedEntry>();
      for (const { key, value } of node.items) {
        const keyAt = positionOf((key as Node | null)?.range?.[0] ?? 0);
        entries.set(isScalar(key) ? String(key.value) : String(key), {
          at: keyAt,
          value: convert(value, keyAt, depth + 1),
        });
      }
      return { kind: "map", at: own, entries };
    }
    if (isSeq(node)) return { kind: "list", at: own, items: node.items.map((item) => convert(item, own, depth + 1)) };
    if (!isScalar(node)) return { kind: "scalar", at, value: null };
    const source = String(node.value ?? "");
    return { kind: "scalar", at: own, value: node.type === Scalar.PLAIN ? plainScalar(source) : source };
  };
  const located = convert(document.contents, positionOf(0), 0);
  return problems.length > 0 ? { problems } : located;
}

/** The plain value. */
export function toJson(located: Located): unknown {
  if (located.kind === "scalar") return located.value;
  if (located.kind === "list") return located.items.map(toJson);
  return Object.fromEntries([...located.entries].map(([key, { value }]) => [key, toJson(value)]));
}
