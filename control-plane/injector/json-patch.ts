/** From a document and its successor to a JSON Patch (RFC 6902), which is how a webhook answers. */
import { isObject, type JsonValue } from "../json.ts";

export type PatchOperation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: JsonValue }
  | { readonly op: "remove"; readonly path: string };

/** The operations, in order, that make `after` of `before`; none where they are equal. */
export function jsonPatch(before: JsonValue, after: JsonValue): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  compare(before, after, "", operations);
  return operations;
}

function compare(before: JsonValue, after: JsonValue, path: string, operations: PatchOperation[]): void {
  if (Array.isArray(before) && Array.isArray(after)) {
    compareLists(before, after, path, operations);
    return;
  }
  if (!isObject(before) || !isObject(after)) {
    if (!equal(before, after)) operations.push({ op: "replace", path, value: after });
    return;
  }
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) operations.push({ op: "remove", path: member(path, name) });
  }
  for (const [name, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    if (old === undefined) operations.push({ op: "add", path: member(path, name), value });
    else compare(old, value, member(path, name), operations);
  }
}

/**
 * What both lists begin and end with stays. Of what is in between, elements are compared one with one, as containers are
 * changed, and the rest goes or comes.
 */
function compareLists(
  before: readonly JsonValue[],
  after: readonly JsonValue[],
  path: string,
  operations: PatchOperation[],
): void {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && equal(before[start], after[start])) start++;
  let end = 0;
  while (end < shorter - start && equal(before[before.length - 1 - end], after[after.length - 1 - end])) end++;
  const old = before.slice(start, before.length - end);
  const now = after.slice(start, after.length - end);
  const common = Math.min(old.length, now.length);
  for (let i = 0; i < common; i++) {
    compare(old[i] ?? null, now[i] ?? null, `${path}/${start + i}`, operations);
  }
  // From the last on, so that the indices of the others still hold.
  for (let i = old.length - 1; i >= common; i--) operations.push({ op: "remove", path: `${path}/${start + i}` });
  for (let i = common; i < now.length; i++) {
    operations.push({ op: "add", path: `${path}/${start + i}`, value: now[i] ?? null });
  }
}

/** RFC 6901, section 3. */
function member(path: string, name: string): string {
  return `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function equal(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]))
  );
}
