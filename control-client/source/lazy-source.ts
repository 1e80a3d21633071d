/**
 * A source whose code is loaded only when it is used: gRPC costs 20 MB and tens of milliseconds, which a proxy that
 * runs a static file should not pay.
 */
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceSource, SourceStatus } from "./source.ts";

export class LazySource implements ResourceSource {
  readonly #load: () => Promise<ResourceSource>;
  readonly #wanted = new Map<ResourceKind, ReadonlySet<string>>();
  #asks: Parameters<NonNullable<ResourceSource["ask"]>>[] = [];
  #source: ResourceSource | null = null;
  #closed = false;

  constructor(load: () => Promise<ResourceSource>) {
    this.#load = load;
  }

  start(): void {
    void this.#load().then((source) => {
      if (this.#closed) return;
      this.#source = source;
      for (const [kind, names] of this.#wanted) source.want(kind, names);
      this.#wanted.clear();
      for (const ask of this.#asks.splice(0)) source.ask?.(...ask);
      source.start();
    });
  }

  want(kind: ResourceKind, names: ReadonlySet<string>): void {
    if (this.#source) this.#source.want(kind, names);
    else this.#wanted.set(kind, names);
  }

  ask(kind: ResourceKind, names: readonly string[], dropped: readonly string[]): void {
    if (this.#source) this.#source.ask?.(kind, names, dropped);
    else this.#asks.push([kind, names, dropped]);
  }

  status(): SourceStatus {
    return this.#source?.status() ?? { connected: false, target: "", server: "", lastError: "not started yet" };
  }

  close(): void {
    this.#closed = true;
    this.#source?.close();
  }
}
