/** What an API server sends, checked as far as lists and watches rely on it. */
import { ApiError, isObject, type JsonObject, type ListPage, type WatchEvent } from "./api.ts";

/** Throws an `ApiError` of status 0 for what is no list. */
export function decodeList(value: unknown): ListPage {
  const list = isObject(value) ? value : {};
  const metadata = isObject(list["metadata"]) ? list["metadata"] : {};
  const { resourceVersion, continue: next = "" } = metadata;
  // An empty list of Go is null in JSON.
  const items = list["items"] === null ? [] : list["items"];
  if (!Array.isArray(items) || !items.every(isObject)) throw nonsense("a list without items");
  if (typeof resourceVersion !== "string" || resourceVersion === "") throw nonsense("a list without resourceVersion");
  if (typeof next !== "string") throw nonsense("a list whose continue is no text");
  return { items: items as readonly JsonObject[], resourceVersion, continue: next };
}

/** Throws an `ApiError`: that of an ERROR event, or one of status 0 for what is no event. */
export function decodeEvent(value: unknown): WatchEvent {
  const { type, object } = isObject(value) ? value : {};
  if (!isObject(object)) throw nonsense("an event without an object");
  if (type === "ERROR") throw errorOf(object, 0, 0);
  const version = resourceVersionOf(object);
  if (version === "") throw nonsense("an event without resourceVersion");
  if (type === "BOOKMARK") return { type, resourceVersion: version };
  if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") return { type, object };
  throw nonsense(`an event of type ${JSON.stringify(type)}`);
}

/** The error that an answer is. `status` and `retryAfterMs` are what HTTP says, where the body does not. */
export function errorOf(body: unknown, status: number, retryAfterMs: number): ApiError {
  const { code, reason, message, details } = isObject(body) ? body : {};
  const seconds = isObject(details) ? details["retryAfterSeconds"] : undefined;
  const known = typeof code === "number" && code >= 400 ? code : status;
  return new ApiError(
    known,
    typeof reason === "string" ? reason : "",
    typeof message === "string" && message !== "" ? message : `the API server answered ${known}`,
    Math.max(retryAfterMs, typeof seconds === "number" ? seconds * 1000 : 0),
  );
}

export function resourceVersionOf(object: JsonObject): string {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const version = metadata["resourceVersion"];
  return typeof version === "string" ? version : "";
}

/** `namespace/name`, `name` of what has no namespace; null: it has no name. */
export function nameOf(object: JsonObject): string | null {
  const { name, namespace } = isObject(object["metadata"]) ? object["metadata"] : {};
  if (typeof name !== "string" || name === "") return null;
  return typeof namespace === "string" && namespace !== "" ? `${namespace}/${name}` : name;
}

function nonsense(what: string): ApiError {
  return new ApiError(0, "", `the API server sent ${what}`);
}
