/** An applier of JSON Patches (RFC 6902) as strict as the API server's, to try the injector's patches with. */
import { isObject, type JsonValue } from "../../json.ts";
import type { PatchOperation } from "../json-patch.ts";

/** Throws where an operation does not fit the document. */
export function applyPatch(document: JsonValue, operations: readonly PatchOperation[]): JsonValue {
  return operations.reduce((value, operation) => {
    const path = operation.path
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (operation.path !== "" && !operation.path.startsWith("/")) throw new Error(`not a pointer: ${operation.path}`);
    return at(value, path, operation);
  }, document);
}

function at(value: JsonValue, path: readonly string[], operation: PatchOperation): JsonValue {
  const [name, ...rest] = path;
  if (name === undefined) {
    if (operation.op === "remove") throw new Error("the whole document cannot be removed");
    return operation.value;
  }
  if (Array.isArray(value)) return inList(value, name, rest, operation);
  if (!isObject(value)) throw new Error(`${operation.path}: nothing is there to change`);
  const exists = Object.hasOwn(value, name);
  if (!exists && (rest.length > 0 || operation.op !== "add")) throw new Error(`${operation.path} does not exist`);
  const entries = Object.entries(value).filter(([key]) => key !== name);
  if (rest.length === 0 && operation.op === "remove") return Object.fromEntries(entries);
  return Object.fromEntries([...entries, [name, at(value[name] ?? null, rest, operation)]]);
}

function inList(
  list: readonly JsonValue[],
  name: string,
  rest: readonly string[],
  operation: PatchOperation,
): JsonValue {
  const index = /^(0|[1-9]\d*)$/.test(name) ? Number(name) : Number.NaN;
  const most = rest.length === 0 && operation.op === "add" ? list.length : list.length - 1;
  if (!(index <= most)) throw new Error(`${operation.path}: there is no such index`);
  if (rest.length > 0) return list.map((item, i) => (i === index ? at(item, rest, operation) : item));
  if (operation.op === "remove") return list.toSpliced(index, 1);
  return list.toSpliced(index, operation.op === "add" ? 0 : 1, operation.value);
}
