/**
 * One kind of objects, as the API server has them: listed in pages, then followed. What holds is replaced when a list is
 * complete, never before; a watch that ends goes on where it was, by objects or bookmarks, and one whose past is gone
 * (410) begins with a new list. Nothing ends it but `close`.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { Pace } from "../../core/slices.ts";
import type { KindReport } from "../source.ts";
import { ApiError, type Collection, type JsonObject, type KubernetesApi } from "./api.ts";
import { nameOf, resourceVersionOf } from "./decode.ts";
import { Pause } from "./pause.ts";

export interface ReflectorOptions<T> {
  readonly kind: string;
  /** The kind's versions, the preferred first. */
  readonly collections: readonly Collection[];
  readonly api: KubernetesApi;
  /** What is kept of an object; `last` is what is kept of the one before it. Must not throw. */
  readonly read: (object: JsonObject, last: T | undefined) => T;
  /** Called after `items` has changed, with the names that did; and once when it is first complete, however empty. */
  readonly changed: (names: readonly string[]) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly pageSize: number;
}

/** Where the API server has an object. */
export interface ObjectPlace {
  /** `/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/orders` */
  readonly path: string;
  /** `metadata.resourceVersion` of what was last read of it. */
  readonly version: string;
}

interface Item<T> {
  readonly version: string;
  readonly value: T;
}

const BACKOFF = { baseMs: 500, maxMs: 30_000 };
/** How often a missing kind is looked for, ms. */
const MISSING_MS = 30_000;
/** Answers in a row that a kind is unknown until its objects are taken for gone: a server that starts may say so, too. */
const MISSING_TIMES = 3;
/** A watch that ends sooner and brought nothing counts as a failure, ms. */
const SHORT_WATCH_MS = 1000;
const WATCH_SECONDS = 300;

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  #items = new Map<string, Item<T>>();
  readonly #abort = new AbortController();
  #running: Promise<void> | null = null;
  #collection = 0;
  /** null: there is no list to go on from. */
  #version: string | null = null;
  #synced = false;
  #failures = 0;
  #unknown = 0;
  /** Pages whose list expired on the way: the next one is asked for in one piece. */
  #whole = false;
  #phase: KindReport["phase"] = "listing";
  #lists = 0;
  #heardAt = 0;
  #error = "";
  readonly #pause: Pause;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#pause = new Pause(options.clock);
  }

  /** Whether all objects were read once. */
  get synced(): boolean {
    return this.#synced;
  }

  get(name: string): T | undefined {
    return this.#items.get(name)?.value;
  }

  /** Of a namespaced object; null: there is none of that name (`shop/orders`). */
  place(name: string): ObjectPlace | null {
    const item = this.#items.get(name);
    if (!item) return null;
    const { path } = this.#from;
    const plural = path.lastIndexOf("/");
    const [namespace, own] = name.split("/");
    return {
      path: `${path.slice(0, plural)}/namespaces/${namespace}${path.slice(plural)}/${own}`,
      version: item.version,
    };
  }

  *values(): Iterable<T> {
    for (const { value } of this.#items.values()) yield value;
  }

  report(): KindReport {
    return {
      kind: this.#options.kind,
      phase: this.#phase,
      objects: this.#items.size,
      lists: this.#lists,
      heardAt: this.#heardAt,
      error: this.#error,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends a wait, if there is one: the next try comes at once. */
  hurry(): void {
    this.#pause.wake();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#pause.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      let waitMs = 0;
      try {
        if (this.#version === null) await this.#list();
        else waitMs = await this.#watch(this.#version);
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        waitMs = this.#failed(error);
      }
      if (waitMs > 0 && !this.#abort.signal.aborted) await this.#pause.wait(waitMs);
    }
  }

  async #list(): Promise<void> {
    const { api, clock, pageSize, changed } = this.#options;
    this.#phase = "listing";
    const fresh = new Map<string, Item<T>>();
    const names: string[] = [];
    const limit = this.#whole ? 0 : pageSize;
    this.#whole = false;
    let version = "";
    let next = "";
    do {
      const page = await api.list(this.#from, { limit, continue: next }, this.#abort.signal);
      this.#heard();
      const pace = new Pace(clock);
      for (const object of page.items) {
        if (pace.due) await pace.rest();
        const name = nameOf(object);
        if (name === null) continue;
        const before = this.#items.get(name);
        const item = this.#item(object, before);
        fresh.set(name, item);
        if (before?.value !== item.value) names.push(name);
      }
      version = page.resourceVersion;
      next = page.continue;
    } while (next !== "" && !this.#abort.signal.aborted);
    if (this.#abort.signal.aborted) return;
    for (const name of this.#items.keys()) if (!fresh.has(name)) names.push(name);
    this.#items = fresh;
    this.#version = version;
    this.#lists++;
    this.#unknown = 0;
    this.#told(names, changed);
  }

  /** Resolves with the time to wait before it goes on, ms. */
  async #watch(from: string): Promise<number> {
    const { api, clock, random } = this.#options;
    const began = clock.now();
    // Not all of a server's watches are to end at once.
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + random()));
    this.#phase = "watching";
    const query = { resourceVersion: from, timeoutSeconds };
    for await (const event of api.watch(this.#from, query, this.#abort.signal)) {
      if (this.#abort.signal.aborted) return 0;
      this.#heard();
      this.#failures = 0;
      this.#error = "";
      if (event.type === "BOOKMARK") this.#version = event.resourceVersion;
      else this.#take(event.object, event.type === "DELETED");
    }
    if (this.#version !== from || clock.now() - began >= SHORT_WATCH_MS) {
      this.#failures = 0;
      this.#error = "";
      return 0;
    }
    return this.#backoff();
  }

  #take(object: JsonObject, gone: boolean): void {
    const name = nameOf(object);
    if (name === null) throw new ApiError(0, "", "the API server sent an object without a name");
    const before = this.#items.get(name);
    if (gone) this.#items.delete(name);
    else this.#items.set(name, this.#item(object, before));
    this.#version = resourceVersionOf(object);
    const after = this.#items.get(name);
    if (before?.value !== after?.value) this.#options.changed([name]);
  }

  /** What an object becomes; what is equal to what was keeps its identity. */
  #item(object: JsonObject, before: Item<T> | undefined): Item<T> {
    const version = resourceVersionOf(object);
    if (before && version !== "" && before.version === version) return before;
    const value = this.#options.read(object, before?.value);
    return { version, value: before && isDeepStrictEqual(before.value, value) ? before.value : value };
  }

  /** The time until the next try, ms. */
  #failed(error: unknown): number {
    const { kind, log } = this.#options;
    const status = error instanceof ApiError ? error.status : null;
    const message = messageOf(error);
    if (status === 404) return this.#isUnknown();
    this.#unknown = 0;
    if (message !== this.#error) log.warn({ kind, error: message }, `cannot follow ${kind}: trying again`);
    this.#error = message;
    this.#phase = "waiting";
    if (status === 410 && this.#version === null) this.#whole = true;
    // What a list can mend: a version that is gone, a request that is refused, an answer without sense.
    if (status !== null && MENDED_BY_LIST.test(String(status))) this.#version = null;
    return Math.max(this.#backoff(), error instanceof ApiError ? error.retryAfterMs : 0);
  }

  #isUnknown(): number {
    const { collections, kind, log, changed } = this.#options;
    this.#version = null;
    this.#collection = (this.#collection + 1) % collections.length;
    if (this.#collection !== 0) return 0;
    this.#unknown++;
    const message = `the API server does not know ${kind}: its CustomResourceDefinition is not installed`;
    if (message !== this.#error) log.warn({ kind }, message);
    this.#error = message;
    if (this.#synced && this.#items.size > 0 && this.#unknown < MISSING_TIMES) {
      this.#phase = "waiting";
      return this.#backoff();
    }
    this.#phase = "missing";
    const names = [...this.#items.keys()];
    this.#items = new Map();
    this.#told(names, changed);
    return MISSING_MS * (0.5 + this.#options.random());
  }

  #told(names: readonly string[], changed: ReflectorOptions<T>["changed"]): void {
    const first = !this.#synced;
    this.#synced = true;
    if (first || names.length > 0) changed(names);
  }

  get #from(): Collection {
    const collection = this.#options.collections[this.#collection];
    if (!collection) throw new Error(`no version of ${this.#options.kind} is known`);
    return collection;
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.wallTime();
  }

  /** At least half of a step, so that no two tries follow at once. */
  #backoff(): number {
    const bound = Math.min(BACKOFF.maxMs, BACKOFF.baseMs * 2 ** Math.min(this.#failures++, 10));
    return bound * (0.5 + this.#options.random() / 2);
  }
}

/** Not those that speak of who asks (401, 403), of time (408, 429) or of the server (5xx). */
const MENDED_BY_LIST = /^(0|400|405|406|409|410|415|422)$/;
