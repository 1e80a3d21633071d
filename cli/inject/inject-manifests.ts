/** `outrigger inject`: what the injector's webhook does to pods, done to the manifests that they will be made of. */
import { type Document, isCollection, LineCounter, parseAllDocuments } from "yaml";
import { injectPod } from "../../control-plane/injector/inject-pod.ts";
import { jsonPatch } from "../../control-plane/injector/json-patch.ts";
import type { InjectorSettings } from "../../control-plane/injector/settings.ts";
import { injectionWanted } from "../../control-plane/injector/wanted.ts";
import { isObject, type JsonObject, type JsonValue, objectOf, textOf } from "../../control-plane/json.ts";
import { type Problem, UserError } from "../../core/errors.ts";
import { editDocument } from "./edit-document.ts";
import { type Path, type PodTemplate, podTemplates, templateOf } from "./pod-templates.ts";

export interface InjectedManifests {
  readonly text: string;
  /** What is not as one may expect: pods that cannot have a sidecar, and warnings. */
  readonly notes: readonly Problem[];
}

interface Input {
  readonly file: string;
  readonly text: string;
  readonly lines: LineCounter;
  readonly settings: InjectorSettings;
  /** Namespaces that the input itself describes. */
  readonly namespaces: ReadonlyMap<string, JsonObject>;
  readonly problems: Problem[];
  readonly notes: Problem[];
}

/**
 * Every pod of a file gets its sidecar, unless its own label or annotation says otherwise. `namespace`: of objects that
 * name none. Throws a UserError that has all problems, with positions; then nothing has been done.
 */
export function injectManifests(
  file: string,
  text: string,
  settings: InjectorSettings,
  namespace: string,
): InjectedManifests {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const documents = "empty" in parsed ? [] : parsed;
  refuseBroken(file, documents, lines);
  const values = documents.map((document) => document.toJS() as JsonValue);
  const input: Input = { file, text, lines, settings, namespaces: namespacesOf(values), problems: [], notes: [] };
  const results = documents.map((document, i) => injectDocument(document, values[i] ?? null, namespace, input));
  if (input.problems.length > 0) throw new UserError(input.problems);
  return { text: joined(text, documents, results), notes: input.notes };
}

function refuseBroken(file: string, documents: readonly Document.Parsed[], lines: LineCounter): void {
  const problems = documents.flatMap(({ errors: [error] }): readonly Problem[] => {
    if (error === undefined) return [];
    const { line, col } = lines.linePos(error.pos[0]);
    return [{ file, line, column: col, message: error.message.split("\n")[0] ?? "" }];
  });
  if (problems.length > 0) throw new UserError(problems);
}

function namespacesOf(values: readonly JsonValue[]): ReadonlyMap<string, JsonObject> {
  const found = values.filter(isObject).filter(({ kind }) => kind === "Namespace");
  return new Map(found.map((one) => [textOf(objectOf(one["metadata"])["name"]), one]));
}

/** The document's new text; null: it stays as it is, to the letter. */
function injectDocument(document: Document.Parsed, value: JsonValue, namespace: string, input: Input): string | null {
  let changed = false;
  let result = value;
  for (const found of podTemplates(value, namespace)) {
    const template = injectTemplate(found, positionOf(document, found.objectPath, input), input);
    if (template === null) continue;
    const patch = jsonPatch(found.template, template);
    if (patch.length === 0) continue;
    changed = true;
    editDocument(document, found.path, patch);
    result = replaced(result, found.path, template);
  }
  if (!changed) return null;
  const source = sourceOf(input.text, document);
  if (isJson(source)) return `${JSON.stringify(result, null, 2)}\n`;
  return document.toString({ lineWidth: 0, indentSeq: !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(source) });
}

function injectTemplate(found: PodTemplate, position: Problem, input: Input): JsonObject | null {
  const { settings, namespaces, notes, problems } = input;
  const note = (message: string): void => void notes.push({ ...position, resource: found.object, message });
  const space = namespaces.get(found.namespace) ?? null;
  // Who calls the command has asked; only the pod itself, or where it lives, can say no.
  const asked = { metadata: { name: found.namespace, labels: { "outrigger.dev/inject": "enabled" } } };
  const { wanted, because } = injectionWanted(found.pod, asked, settings.ignoredNamespaces);
  if (!wanted) {
    note(`no sidecar: ${because}`);
    return null;
  }
  const result = injectPod(found.pod, space, settings);
  if (result.kind === "invalid") {
    for (const message of result.problems) problems.push({ ...position, resource: found.object, message });
    return null;
  }
  if (result.kind !== "injected") {
    note(result.kind === "kept" ? `left as it is: ${result.because}` : `no sidecar: ${result.message}`);
    return null;
  }
  for (const warning of result.warnings) note(warning);
  return templateOf(found, result.pod);
}

function positionOf(document: Document.Parsed, path: Path, { file, lines }: Input): Problem {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  const offset = isCollection(node) ? (node.range?.[0] ?? 0) : document.range[0];
  return { file, line: lines.linePos(offset).line, message: "" };
}

function replaced(value: JsonValue, [name, ...rest]: Path, by: JsonValue): JsonValue {
  if (name === undefined) return by;
  if (Array.isArray(value)) {
    return (value as readonly JsonValue[]).map((item, i) => (i === name ? replaced(item, rest, by) : item));
  }
  return { ...objectOf(value), [name]: replaced(objectOf(value)[name] ?? null, rest, by) };
}

function isJson(source: string): boolean {
  if (!source.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(source);
    return true;
  } catch {
    return false;
  }
}

/** From a document's beginning to its end. */
function sourceOf(text: string, document: Document.Parsed): string {
  return text.slice(document.range[0], document.range[1]);
}

/**
 * Unchanged documents to the letter, with all that surrounds them. What stands before a document, its comments and its
 * `---`, is the document's own, also where it is written anew.
 */
function joined(text: string, documents: readonly Document.Parsed[], results: readonly (string | null)[]): string {
  let output = "";
  let copied = 0;
  for (const [i, document] of documents.entries()) {
    const changed = results[i] ?? null;
    if (changed === null) continue;
    output += text.slice(copied, documents[i - 1]?.range[2] ?? 0);
    if (output !== "" && !output.endsWith("\n")) output += "\n";
    output += changed;
    copied = document.range[2];
  }
  return output + text.slice(copied);
}
