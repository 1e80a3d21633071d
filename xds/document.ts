/** Reads YAML or JSON text into plain values, and finds the line of a path in it when something is wrong there. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  Scalar,
} from "yaml";
import { messageOf, type Problem } from "../core/errors.ts";
import { plainScalar } from "./plain-scalar.ts";
import { MAX_DEPTH } from "./yaml-flow.ts";
import { parseYamlSubset } from "./yaml-subset.ts";

/** A text and the name of the file it came from. */
export interface TextFile {
  readonly text: string;
  readonly file: string;
}

/** What JSON numbers lose their last digits from. */
const LONG_NUMBER = /\d{16}/;

/**
 * The plain value of the text, or what keeps it from being one. Most files are read
 * without a whole YAML parser, which would take longer than all that comes after it.
 */
export function parseText(file: TextFile): { readonly json: unknown } | { readonly problem: Problem } {
  const quick = parseQuickly(file.text);
  const parsed = quick === undefined ? parseWhole(file) : { json: quick };
  if ("json" in parsed && parsed.json === null) return { problem: { message: "is empty", file: file.file } };
  return parsed;
}

function parseQuickly(text: string): unknown {
  if (!text.trimStart().startsWith("{")) return parseYamlSubset(text);
  if (LONG_NUMBER.test(text) || isDeep(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // It may still be YAML in flow style; if it is not, the YAML parser knows the position.
    return undefined;
  }
}

/** Whether brackets nest so deep that walking the value could exhaust the stack; those in strings count too. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x5b || char === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return false;
}

function parseWhole({ text, file }: TextFile): { readonly json: unknown } | { readonly problem: Problem } {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { ...WHOLE, lineCounter: lines });
    const [error] = document.errors;
    if (error) {
      const { line, col } = lines.linePos(error.pos[0]);
      const message = error.message.trim().replace(/\.$/, "");
      return { problem: { message, file, line, column: col } };
    }
    return { json: plainValue(document.contents, document, 0) };
  } catch (error) {
    return { problem: { message: messageOf(error), file } };
  }
}

/** Scalars are told apart here, as Envoy does it; merge keys are none to it. */
const WHOLE = { schema: "failsafe", merge: false, prettyErrors: false } as const;

/** An alias that contains itself has no end. */
function plainValue(node: unknown, document: Document, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new Error(`nested more than ${MAX_DEPTH} levels deep`);
  if (isAlias(node)) return plainValue(node.resolve(document), document, depth + 1);
  if (isSeq(node)) return node.items.map((item) => plainValue(item, document, depth + 1));
  if (isMap(node)) {
    return Object.fromEntries(
      node.items.map(({ key, value }) => [
        isScalar(key) ? String(key.value) : String(key),
        plainValue(value, document, depth + 1),
      ]),
    );
  }
  if (!isScalar(node)) return null;
  const source = String(node.value ?? "");
  return node.type === Scalar.PLAIN ? plainScalar(source) : source;
}

/** Gives problems their file, and line and column of the deepest part of their path that is in the text. */
export function locateProblems(problems: readonly Problem[], { text, file }: TextFile): readonly Problem[] {
  if (problems.length === 0) return problems;
  const lines = new LineCounter();
  const document = parseDocument(text, { ...WHOLE, lineCounter: lines });
  return problems.map((problem) => {
    const offset = document.contents ? offsetOf(document.contents, segmentsOf(problem.path ?? "")) : 0;
    const { line, col } = lines.linePos(offset);
    return { ...problem, file, line, column: col };
  });
}

/** `a.b[2]["x.y"]` as `a`, `b`, 2, `x.y`. */
function segmentsOf(path: string): (string | number)[] {
  const segments: (string | number)[] = [];
  for (const match of path.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)) {
    if (match[1] !== undefined) segments.push(Number(match[1]));
    else if (match[2] !== undefined) segments.push(JSON.parse(match[2]) as string);
    else if (match[3] !== undefined) segments.push(match[3]);
  }
  return segments;
}

function offsetOf(root: ParsedNode, segments: readonly (string | number)[]): number {
  let node: Node | null = root;
  let offset = root.range[0];
  for (const segment of segments) {
    if (isMap<Node, Node | null>(node)) {
      const pair: Pair<Node, Node | null> | undefined = node.items.find((item) => isKey(item.key, String(segment)));
      if (!pair) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq<Node>(node) && typeof segment === "number") {
      const item: Node | undefined = node.items[segment];
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}

/** Fields are found under both of the names that JSON may use for them. */
function isKey(key: Node, segment: string): boolean {
  const name = String(key);
  return name === segment || name === segment.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
