/** From a file's text to typed manifests: each document stands alone, so that one mistake costs one object. */
import { Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments } from "yaml";
import type { Problem } from "../../core/errors.ts";
import { isManifestKind, KINDS, kindProblem, type ManifestKind, type ManifestValues } from "./kinds.ts";
import { INVALID, type Place, type ReadContext, report } from "./place.ts";

/** One object of the mesh's configuration. */
export type Manifest = { readonly [K in ManifestKind]: ManifestOf<K> }[ManifestKind];

export interface ManifestOf<K extends ManifestKind> {
  readonly kind: K;
  /** `HTTPRoute/shop/orders`: unique in a mesh. */
  readonly key: string;
  readonly value: ManifestValues[K];
  readonly file: string;
  /** 1-based line of the document's first key; 0 where it did not come as text. */
  readonly line: number;
}

/** `file:line` of a manifest, for people; the file alone where there are no lines. */
export function positionOf({ file, line }: Pick<Manifest, "file" | "line">): string {
  return line === 0 ? file : `${file}:${line}`;
}

/** One document of a file: a good manifest, or what is wrong with it. */
export interface ParsedDocument {
  /** null where not even kind and name could be read. */
  readonly key: string | null;
  readonly manifest: Manifest | null;
  readonly problems: readonly Problem[];
}

/** Reads every document of a YAML or JSON file; `file` names it in problems. Never throws. */
export function parseManifests(file: string, text: string): readonly ParsedDocument[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const documents = "empty" in parsed ? [] : parsed;
  const results: ParsedDocument[] = [];
  for (const document of documents) {
    const context: ReadContext = { file, lines, document, problems: [], resource: "" };
    const place: Place = { node: document.contents, path: "", context, offset: document.range[0] };
    // Of broken YAML only the first error is sure: those that follow are mostly its echoes.
    const [error] = document.errors;
    if (error) {
      const at = lines.linePos(error.pos[0]);
      context.problems.push({ message: firstLine(error.message), file, line: at.line, column: at.col });
      results.push({ key: keyOf(place), manifest: null, problems: context.problems });
      continue;
    }
    const contents = document.contents;
    if (contents === null || (isScalar(contents) && contents.value === null)) continue;
    results.push(readDocument(place));
  }
  return results;
}

/** Reads one object that has no text: as an API server gave it, say. `origin` takes the place of a file. Never throws. */
export function readObject(origin: string, value: object): ParsedDocument {
  const document = new Document(value, { aliasDuplicateObjects: false });
  const context: ReadContext = { file: origin, lines: null, document, problems: [], resource: "" };
  return readDocument({ node: document.contents, path: "", context, offset: 0 });
}

function readDocument(place: Place): ParsedDocument {
  const { context } = place;
  const kind = word(place.node, "kind");
  const apiVersion = word(place.node, "apiVersion");
  const key = keyOf(place);
  const failed = (): ParsedDocument => ({ key, manifest: null, problems: context.problems });
  if (!isMap(place.node)) {
    report(place, "expected an object with apiVersion, kind and metadata");
    return failed();
  }
  context.resource = key === null ? (kind ?? "") : describeKey(key);
  if (kind === null || apiVersion === null) {
    report(place, `${kind === null ? "kind" : "apiVersion"} is required`);
    return failed();
  }
  const wrong = kindProblem(kind, apiVersion);
  if (wrong !== null || !isManifestKind(kind)) {
    report(place, wrong ?? `kind "${kind}" is not known`);
    return failed();
  }
  const value = KINDS[kind].schema.read(place);
  if (value === INVALID || key === null) return failed();
  const line = context.lines?.linePos(place.node?.range?.[0] ?? 0).line ?? 0;
  // The schema was chosen by `kind`, which the compiler cannot follow through the table.
  return { key, manifest: { kind, key, value, file: context.file, line } as Manifest, problems: [] };
}

/** `HTTPRoute shop/orders`, for people. */
export function describeKey(key: string): string {
  const slash = key.indexOf("/");
  return `${key.slice(0, slash)} ${key.slice(slash + 1)}`;
}

function keyOf(place: Place): string | null {
  const kind = word(place.node, "kind");
  const metadata = isMap(place.node) ? place.node.get("metadata", true) : undefined;
  const name = word((metadata ?? null) as Node | null, "name");
  if (kind === null || name === null) return null;
  return `${kind}/${word((metadata ?? null) as Node | null, "namespace") ?? "default"}/${name}`;
}

function word(node: Node | null, field: string): string | null {
  if (!isMap(node)) return null;
  const value: unknown = node.get(field);
  return typeof value === "string" && value !== "" ? value : null;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
