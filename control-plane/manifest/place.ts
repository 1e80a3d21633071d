/** A node of a manifest with its position: where values are read from, and where problems are reported. */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from "yaml";
import type { Problem } from "../../core/errors.ts";

/** What a schema returns for a value that it has reported. */
export const INVALID: unique symbol = Symbol("invalid");
export type Read<T> = T | typeof INVALID;

/** Where a document's problems are gathered. */
export interface ReadContext {
  readonly file: string;
  /** null: the document came as an object, without text and positions. */
  readonly lines: LineCounter | null;
  readonly document: Document;
  readonly problems: Problem[];
  /** `ResiliencePolicy shop/orders`, once known. */
  resource: string;
}

/** One node of a document and the way to it. */
export interface Place {
  /** null: the value is empty. */
  readonly node: Node | null;
  /** `spec.rules[0].matches`, "" for the document. */
  readonly path: string;
  readonly context: ReadContext;
  /** Offset in the file for problems of a place that has no node of its own. */
  readonly offset: number;
}

/** Records a problem at a place. */
export function report(place: Place, message: string): typeof INVALID {
  const { context } = place;
  const at = context.lines?.linePos(place.node?.range?.[0] ?? place.offset);
  context.problems.push({
    message,
    ...(place.path === "" ? {} : { path: place.path }),
    ...(context.resource === "" ? {} : { resource: context.resource }),
    file: context.file,
    ...(at ? { line: at.line, column: at.col } : {}),
  });
  return INVALID;
}

/** `file:line` of a place; without lines the object and the path in it. */
export function sourceOf({ context, node, offset, path }: Place): string {
  if (context.lines === null) return `${context.file}: ${context.resource} ${path}`;
  return `${context.file}:${context.lines.linePos(node?.range?.[0] ?? offset).line}`;
}

/** The node that an alias stands for; the node itself otherwise. */
export function resolved(place: Place): Node | null {
  const { node, context } = place;
  return isAlias(node) ? (node.resolve(context.document) ?? null) : node;
}

/** The value of a scalar; undefined for anything else. */
export function scalarAt(place: Place): unknown {
  const node = resolved(place);
  return isScalar(node) ? node.value : undefined;
}

/** What stands at a place, for people. */
export function describe(place: Place): string {
  const node = resolved(place);
  if (isMap(node)) return "a mapping";
  if (isSeq(node)) return "a list";
  const value = scalarAt(place);
  return typeof value === "string" ? `"${value}"` : String(value);
}

/** The place of one field of a mapping; the mapping itself where the field is absent. */
export function childOf(place: Place, field: string): Place {
  const node = resolved(place);
  const pair = isMap(node)
    ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === field)
    : undefined;
  return {
    ...place,
    node: ((pair?.value ?? pair?.key ?? place.node) as Node | null) ?? null,
    path: join(place.path, field),
  };
}

/** `spec` and `ports` make `spec.ports`. */
export function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
