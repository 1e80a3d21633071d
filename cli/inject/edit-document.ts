/** Applies a JSON Patch to a YAML document so that its comments, order and style stay where nothing changes. */
import { type Document, isAlias, isCollection, isMap, isSeq, type Node } from "yaml";
import type { PatchOperation } from "../../control-plane/injector/json-patch.ts";
import type { Path } from "./pod-templates.ts";

/** `base`: where in the document the patch applies. */
export function editDocument(document: Document, base: Path, patch: readonly PatchOperation[]): void {
  for (const operation of patch) {
    const parts = operation.path.split("/").slice(1).map(unescaped);
    const last = parts.at(-1) ?? "";
    const parent = collectionAt(document, [...base, ...parts.slice(0, -1)]);
    const key = isSeq(parent) ? Number(last) : last;
    if (operation.op === "remove") parent.delete(key);
    else {
      const node = document.createNode(operation.value, { aliasDuplicateObjects: false });
      if (isSeq(parent) && operation.op === "add") parent.items.splice(Number(last), 0, node);
      else parent.set(key, node);
    }
  }
}

/** The map or sequence at a path. One that is only referred to there becomes a copy, so that its original stays as it is. */
function collectionAt(document: Document, path: Path) {
  let node: unknown = document.contents;
  for (const part of path) {
    const parent = node;
    if (!isCollection(parent)) throw new Error(`there is no collection at ${path.join(".")}`);
    node = parent.get(part, true);
    if (isAlias(node) || node === undefined) {
      // A merge key's member is not there to be found either: what it stands for is written out.
      const value: unknown = valueAt(document, path.slice(0, path.indexOf(part) + 1));
      const copy: Node = document.createNode(value, { aliasDuplicateObjects: false });
      parent.set(part, copy);
      node = copy;
    }
  }
  if (!isMap(node) && !isSeq(node)) throw new Error(`there is no collection at ${path.join(".")}`);
  return node;
}

function valueAt(document: Document, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Readonly<Record<string | number, unknown>> | undefined)?.[part],
    document.toJS(),
  );
}

/** RFC 6901, section 4. */
function unescaped(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}
