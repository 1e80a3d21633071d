/**
 * An API server in miniature that keeps what it is given: single objects are made, read, changed and deleted by their
 * paths, with the preconditions that a real one has; lists and watches follow. It can be away.
 */
import {
  type ApiCall,
  ApiError,
  type Collection,
  type Json,
  type JsonObject,
  type KubernetesApi,
  type ListPage,
  type ListQuery,
  type WatchEvent,
  type WatchQuery,
} from "../api.ts";
import { resourceVersionOf } from "../decode.ts";
import { objectAt, textAt } from "../objects/fields.ts";
import { applied, jsonPatched, merged } from "./patches.ts";

interface Logged {
  readonly version: number;
  readonly collection: string;
  readonly event: WatchEvent & { readonly object: JsonObject };
}

export interface Place {
  /** Of all namespaces: `/api/v1/secrets`. */
  readonly collection: string;
  readonly namespace: string;
  /** "": the collection itself. */
  readonly name: string;
  readonly query: URLSearchParams;
}

export class FakeCluster implements KubernetesApi {
  /** Thrown for whatever is asked for; null: it answers. Watches that are open end when it is set by `cut`. */
  away: Error | null = null;
  /** What a TokenReview's status becomes. */
  review: (spec: JsonObject) => JsonObject = () => ({ authenticated: false, error: "nobody is known here" });
  readonly calls: ApiCall[] = [];
  /** Called before each call is answered; what it throws is the answer. */
  before: (call: ApiCall) => void = () => {};
  #version = 1;
  readonly #objects = new Map<string, JsonObject>();
  readonly #log: Logged[] = [];
  readonly #wakes = new Set<() => void>();
  /** The collection of each version of each object. */
  readonly #homes = new WeakMap<JsonObject, string>();
  #cuts = 0;

  get(path: string): JsonObject | undefined {
    return this.#objects.get(keyOf(placeOf(path)));
  }

  /** Makes or replaces an object, whatever its version. */
  put(path: string, object: JsonObject): void {
    this.#store(placeOf(path), object);
  }

  delete(path: string): void {
    const place = placeOf(path);
    const object = this.#objects.get(keyOf(place));
    if (!object) return;
    this.#objects.delete(keyOf(place));
    const version = ++this.#version;
    this.#tell(place, "DELETED", {
      ...object,
      metadata: { ...objectAt(object, "metadata"), resourceVersion: `${version}` },
    });
  }

  /** Is away from now on, and its watches end; null: it is back. */
  cut(error: Error | null): void {
    this.away = error;
    if (error === null) return;
    this.#cuts++;
    for (const wake of this.#wakes) wake();
  }

  async list({ path }: Collection, _: ListQuery, signal: AbortSignal): Promise<ListPage> {
    await turn(signal);
    if (this.away) throw this.away;
    const place = placeOf(path);
    const items = [...this.#objects.values()].filter((object) => this.#isAt(object, place));
    return { items, resourceVersion: String(this.#version), continue: "" };
  }

  async *watch({ path }: Collection, { resourceVersion }: WatchQuery, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    await turn(signal);
    if (this.away) throw this.away;
    const place = placeOf(path);
    const cuts = this.#cuts;
    let next = this.#log.findIndex(({ version }) => version > Number(resourceVersion));
    if (next < 0) next = this.#log.length;
    let wake = (): void => {};
    const call = (): void => wake();
    signal.addEventListener("abort", call);
    this.#wakes.add(call);
    try {
      for (;;) {
        while (next < this.#log.length) {
          const logged = this.#log[next++];
          if (logged?.collection === place.collection && this.#isAt(logged.event.object, place)) yield logged.event;
        }
        if (signal.aborted) return;
        if (cuts !== this.#cuts) throw this.away ?? new Error("the connection was cut");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", call);
      this.#wakes.delete(call);
    }
  }

  async call(call: ApiCall, signal: AbortSignal): Promise<Json> {
    await turn(signal);
    if (this.away) throw this.away;
    this.calls.push(call);
    this.before(call);
    if (call.path === "/version") return { major: "1", minor: "33", gitVersion: "v1.33.0" };
    const place = placeOf(call.path);
    const body = call.body as JsonObject | undefined;
    if (place.collection.endsWith("/tokenreviews"))
      return { ...body, status: this.review(objectAt(body ?? {}, "spec")) };
    if (call.method === "POST") return this.#create(place, body ?? {});
    const known = this.#objects.get(keyOf(place));
    if (call.method === "PATCH") return this.#patch(place, known, call);
    if (!known) throw new ApiError(404, "NotFound", `${place.collection} "${place.name}" not found`);
    if (call.method === "DELETE") this.delete(call.path);
    if (call.method !== "PUT") return known;
    return this.#replace(place, known, body ?? {});
  }

  close(): void {}

  #create(place: Place, object: JsonObject): JsonObject {
    const metadata = objectAt(object, "metadata");
    const at = {
      ...place,
      name: textAt(metadata, "name"),
      namespace: place.namespace || textAt(metadata, "namespace"),
    };
    if (this.#objects.has(keyOf(at))) throw new ApiError(409, "AlreadyExists", `"${at.name}" already exists`);
    return this.#store(at, object);
  }

  #replace(place: Place, known: JsonObject, object: JsonObject): JsonObject {
    const version = resourceVersionOf(object);
    if (version !== "" && version !== resourceVersionOf(known)) {
      throw new ApiError(
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
      );
    }
    return this.#store(place, object);
  }

  #patch(place: Place, known: JsonObject | undefined, { body, contentType }: ApiCall): JsonObject {
    if (contentType === "application/apply-patch+yaml") return this.#store(place, applied(known, body as JsonObject));
    if (!known) throw new ApiError(404, "NotFound", `${place.collection} "${place.name}" not found`);
    const next =
      contentType === "application/json-patch+json"
        ? jsonPatched(known, body ?? [])
        : merged(known, body as JsonObject);
    return this.#replace(place, known, next);
  }

  #store(place: Place, object: JsonObject): JsonObject {
    const { name, namespace } = place;
    const version = ++this.#version;
    const before = this.#objects.get(keyOf(place));
    const metadata = {
      ...objectAt(object, "metadata"),
      name,
      ...(namespace === "" ? {} : { namespace }),
      resourceVersion: String(version),
    };
    const stored = { ...object, metadata };
    this.#objects.set(keyOf(place), stored);
    this.#tell(place, before ? "MODIFIED" : "ADDED", stored);
    return stored;
  }

  #isAt(object: JsonObject, { collection, namespace, query }: Place): boolean {
    const metadata = objectAt(object, "metadata");
    const [, wanted] = /^metadata\.name=(.*)$/.exec(query.get("fieldSelector") ?? "") ?? [];
    if (wanted !== undefined && wanted !== textAt(metadata, "name")) return false;
    return (namespace === "" || namespace === textAt(metadata, "namespace")) && this.#homes.get(object) === collection;
  }

  #tell({ collection }: Place, type: "ADDED" | "MODIFIED" | "DELETED", object: JsonObject): void {
    this.#homes.set(object, collection);
    this.#log.push({ version: this.#version, collection, event: { type, object } });
    for (const wake of this.#wakes) wake();
  }
}

function keyOf({ collection, namespace, name }: Pick<Place, "collection" | "namespace" | "name">): string {
  return `${collection} ${namespace} ${name}`;
}

/** `/api/v1/namespaces/NAMESPACE/PLURAL/NAME`, `/apis/GROUP/VERSION/PLURAL/NAME`, and what leaves out parts of them. */
export function placeOf(path: string): Place {
  const [before = "", query = ""] = path.split("?");
  const parts = before.split("/").slice(1);
  const base = parts.slice(0, parts[0] === "api" ? 2 : 3);
  const rest = parts.slice(base.length);
  const within = rest[0] === "namespaces" && rest.length > 2;
  const [plural = "", name = ""] = within ? rest.slice(2) : rest;
  return {
    collection: `/${[...base, plural].join("/")}`,
    namespace: within ? (rest[1] ?? "") : "",
    name,
    query: new URLSearchParams(query),
  };
}

async function turn(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}
