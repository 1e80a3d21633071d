/** An API server in miniature, which can be made to fail in ways that a real one cannot be made to show. */
import { isDeepStrictEqual } from "node:util";
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
import { nameOf } from "../decode.ts";
import { collectionsOf, SOURCE_KINDS, type SourceKind } from "../kinds.ts";

/** What a call is to come to instead of an answer. */
export type Fault = (call: "list" | "watch", path: string) => Error | null;

/** How a watch is to end after an event: of itself, with an error, or not yet. */
export type Cut = (path: string, delivered: number) => "end" | Error | null;

interface Logged {
  readonly version: number;
  readonly path: string;
  readonly event: WatchEvent;
}

interface OpenWatch {
  readonly path: string;
  next: number;
  delivered: number;
  end: Error | "end" | null;
  wake: () => void;
}

export class FakeApi implements KubernetesApi {
  readonly lists: string[] = [];
  readonly watches: { readonly path: string; readonly resourceVersion: string }[] = [];
  /** Those that are neither lists nor watches. */
  readonly calls: ApiCall[] = [];
  fault: Fault = () => null;
  refuse: (call: ApiCall) => Error | null = () => null;
  cut: Cut = () => null;
  /** Kinds that are not installed. */
  readonly unknown = new Set<string>();
  /** Called between the pages of a list. */
  betweenPages: () => void = () => {};
  #version = 100;
  /** Events of this version and before are forgotten. */
  #compacted = 0;
  readonly #objects = new Map<string, Map<string, JsonObject>>();
  readonly #log: Logged[] = [];
  readonly #open = new Set<OpenWatch>();
  readonly #pages = new Map<
    string,
    { readonly items: readonly JsonObject[]; readonly version: number; readonly from: number }
  >();
  #tokens = 0;

  /** Creates or changes an object; `metadata` gets its version. */
  put(kind: SourceKind, object: JsonObject): void {
    this.#store(pathOf(kind), object);
  }

  get(kind: SourceKind, name: string): JsonObject | undefined {
    return this.#collection(pathOf(kind)).get(name);
  }

  delete(kind: SourceKind, name: string): void {
    const path = pathOf(kind);
    const object = this.#collection(path).get(name);
    if (!object) return;
    const version = ++this.#version;
    this.#collection(path).delete(name);
    const last = { ...object, metadata: { ...(object["metadata"] as JsonObject), resourceVersion: String(version) } };
    this.#tell({ version, path, event: { type: "DELETED", object: last } });
  }

  /** Sends watches of a kind the present version. */
  bookmark(kind: SourceKind): void {
    const event: WatchEvent = { type: "BOOKMARK", resourceVersion: String(this.#version) };
    this.#tell({ version: this.#version, path: pathOf(kind), event });
  }

  /** Sends watches something by hand. */
  send(kind: SourceKind, event: WatchEvent): void {
    this.#tell({ version: this.#version, path: pathOf(kind), event });
  }

  /** Forgets all events, and with them the pages of lists that are under way. */
  compact(): void {
    this.#compacted = this.#version;
    this.#pages.clear();
  }

  /** Ends all open watches. */
  endWatches(how: Error | "end" = "end"): void {
    for (const watch of this.#open) {
      watch.end = how;
      watch.wake();
    }
  }

  get openWatches(): number {
    return this.#open.size;
  }

  async list({ path }: Collection, { limit, continue: token }: ListQuery, signal: AbortSignal): Promise<ListPage> {
    this.lists.push(path);
    await turn(signal);
    this.#check("list", path);
    let page = this.#pages.get(token);
    if (token !== "" && !page) throw new ApiError(410, "Expired", "the continue token is too old");
    page ??= { items: inOrder(this.#collection(path)), version: this.#version, from: 0 };
    const end = limit === 0 ? page.items.length : page.from + limit;
    const items = page.items.slice(page.from, end);
    const resourceVersion = String(page.version);
    if (end >= page.items.length) return { items, resourceVersion, continue: "" };
    const next = `token-${++this.#tokens}`;
    this.#pages.set(next, { ...page, from: end });
    this.betweenPages();
    return { items, resourceVersion, continue: next };
  }

  async *watch({ path }: Collection, { resourceVersion }: WatchQuery, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    this.watches.push({ path, resourceVersion });
    await turn(signal);
    this.#check("watch", path);
    const from = Number(resourceVersion);
    if (from < this.#compacted) throw new ApiError(410, "Expired", "too old resource version");
    const first = this.#log.findIndex(({ version }) => version > from);
    const watch: OpenWatch = {
      path,
      next: first < 0 ? this.#log.length : first,
      delivered: 0,
      end: null,
      wake: () => {},
    };
    const abort = (): void => watch.wake();
    signal.addEventListener("abort", abort);
    this.#open.add(watch);
    try {
      for (;;) {
        while (watch.next < this.#log.length) {
          const logged = this.#log[watch.next++];
          if (logged?.path !== path) continue;
          yield logged.event;
          const cut = this.cut(path, ++watch.delivered);
          if (cut === "end") return;
          if (cut) throw cut;
        }
        if (signal.aborted || watch.end === "end") return;
        if (watch.end) throw watch.end;
        await new Promise<void>((resolve) => {
          watch.wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", abort);
      this.#open.delete(watch);
    }
  }

  async call(call: ApiCall, signal: AbortSignal): Promise<Json> {
    this.calls.push(call);
    await turn(signal);
    const error = this.refuse(call);
    if (error) throw error;
    const [, group, namespace, plural, name] = /^(.*)\/namespaces\/(.+)\/(.+)\/(.+)\/status$/.exec(call.path) ?? [];
    if (call.method !== "PATCH" || !group) throw new ApiError(501, "", "no such calls here");
    return this.#patchStatus(`${group}/${plural}`, `${namespace}/${name}`, (call.body ?? {}) as JsonObject);
  }

  close(): void {
    this.endWatches();
  }

  /** A merge patch (RFC 7396) of fields of `status`. */
  #patchStatus(path: string, name: string, { metadata, status }: JsonObject): JsonObject {
    const object = this.#collection(path).get(name);
    if (!object) throw new ApiError(404, "NotFound", `"${name}" not found`);
    const { resourceVersion } = object["metadata"] as JsonObject;
    if ((metadata as JsonObject)["resourceVersion"] !== resourceVersion) {
      throw new ApiError(409, "Conflict", "the object has been modified");
    }
    const patched = { ...object, status: { ...(object["status"] as JsonObject), ...(status as JsonObject) } };
    // What changes nothing is no event.
    if (isDeepStrictEqual(patched, object)) return object;
    return this.#store(path, patched);
  }

  #store(path: string, object: JsonObject): JsonObject {
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...(object["metadata"] as JsonObject), resourceVersion: String(version) } };
    const objects = this.#collection(path);
    const name = nameOf(object) ?? "";
    const type = objects.has(name) ? "MODIFIED" : "ADDED";
    objects.set(name, stored);
    this.#tell({ version, path, event: { type, object: stored } });
    return stored;
  }

  #check(call: "list" | "watch", path: string): void {
    const error = this.fault(call, path);
    if (error) throw error;
    const known = this.unknown.has(path.slice(path.lastIndexOf("/") + 1));
    if (known) throw new ApiError(404, "NotFound", "the server could not find the requested resource");
  }

  #collection(path: string): Map<string, JsonObject> {
    const known = this.#objects.get(path) ?? new Map<string, JsonObject>();
    this.#objects.set(path, known);
    return known;
  }

  #tell(logged: Logged): void {
    this.#log.push(logged);
    for (const watch of this.#open) if (watch.path === logged.path) watch.wake();
  }
}

function pathOf(kind: SourceKind): string {
  return collectionsOf(SOURCE_KINDS[kind])[0]?.path ?? "";
}

async function turn(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** As etcd has its keys. */
function inOrder(objects: ReadonlyMap<string, JsonObject>): readonly JsonObject[] {
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}
