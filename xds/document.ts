/** Reads YAML or JSON text into plain values, and finds the line of a path in it when something is wrong there. */
import {
  isMap,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  parse as parseYaml,
} from "yaml";
import { messageOf, type Problem } from "../core/errors.ts";

/** A text and the name of the file it came from. */
export interface TextFile {
  readonly text: string;
  readonly file: string;
}

/** The plain value of the text, or what keeps it from being one. Empty text is an empty object. */
export function parseText({ text, file }: TextFile): { readonly json: unknown } | { readonly problem: Problem } {
  if (text.trimStart().startsWith("{")) {
    try {
      return { json: JSON.parse(text) };
    } catch {
      // It may still be YAML in flow style; if it is not, the YAML parser knows the position.
    }
  }
  try {
    return { json: parseYaml(text, { prettyErrors: false }) ?? {} };
  } catch {
    return { problem: firstSyntaxError(text, file) };
  }
}

function firstSyntaxError(text: string, file: string): Problem {
  const lines = new LineCounter();
  try {
    const [error] = parseDocument(text, { lineCounter: lines, prettyErrors: false }).errors;
    if (error) {
      const { line, col } = lines.linePos(error.pos[0]);
      return { message: sentence(error.message), file, line, column: col };
    }
  } catch (error) {
    return { message: sentence(messageOf(error)), file };
  }
  return { message: "is neither YAML nor JSON", file };
}

function sentence(message: string): string {
  return message.trim().replace(/\.$/, "");
}

/** Gives problems their file, and line and column of the deepest part of their path that is in the text. */
export function locateProblems(problems: readonly Problem[], { text, file }: TextFile): readonly Problem[] {
  if (problems.length === 0) return problems;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
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
