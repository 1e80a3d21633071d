/** Which source is asked for what: turns references with their config sources into subscriptions. */
import type { ConfigSource } from "../../model/bootstrap.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { NamedKind } from "../resources.ts";
import type { ResourceSource, SourceStatus } from "./source.ts";

export interface SourceFactory {
  /** The aggregated stream; null: there is none, and what refers to it is never fetched. */
  ads(): ResourceSource | null;
  /** A source for one kind that is not aggregated. */
  single(kind: ResourceKind, source: Exclude<ConfigSource, { kind: "ads" }>): ResourceSource;
}

const ADS = "ads";
const NONE: ReadonlySet<string> = new Set();

export class SourceTable {
  readonly #factory: SourceFactory;
  readonly #sources = new Map<string, ResourceSource>();

  constructor(factory: SourceFactory) {
    this.#factory = factory;
  }

  /** Subscribes to all clusters or listeners. */
  wantAll(kind: "cluster" | "listener", source: ConfigSource): void {
    this.#source(kind, source)?.want(kind, NONE);
  }

  /** Asks for listeners by other names than their own; see `ResourceSource.ask`. */
  ask(source: ConfigSource, names: readonly string[], dropped: readonly string[]): void {
    this.#source("listener", source)?.ask?.("listener", names, dropped);
  }

  /** Replaces the names wanted of a kind; a source of its own that has no names left is closed. */
  want(kind: NamedKind, wanted: ReadonlyMap<string, ConfigSource | undefined>): void {
    const names = new Map<string, { readonly source: ConfigSource | undefined; readonly names: Set<string> }>();
    for (const [name, source] of wanted) {
      const key = keyOf(kind, source);
      const group = names.get(key) ?? { source, names: new Set<string>() };
      group.names.add(name);
      names.set(key, group);
    }
    for (const { source, names: group } of names.values()) this.#source(kind, source)?.want(kind, group);
    for (const [key, source] of this.#sources) {
      if (names.has(key)) continue;
      if (key === ADS) source.want(kind, NONE);
      else if (key.startsWith(`${kind} `)) {
        source.close();
        this.#sources.delete(key);
      }
    }
  }

  status(): SourceStatus[] {
    return [...this.#sources.values()].map((source) => source.status());
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
    this.#sources.clear();
  }

  #source(kind: ResourceKind, source: ConfigSource | undefined): ResourceSource | undefined {
    const key = keyOf(kind, source);
    const known = this.#sources.get(key);
    if (known) return known;
    const made = isAggregated(source) ? this.#factory.ads() : this.#factory.single(kind, source);
    if (!made) return undefined;
    this.#sources.set(key, made);
    made.start();
    return made;
  }
}

function isAggregated(source: ConfigSource | undefined): source is undefined | Extract<ConfigSource, { kind: "ads" }> {
  return source === undefined || source.kind === "ads";
}

/** Names with the same source share it; the time that each may take is not part of where it comes from. */
function keyOf(kind: ResourceKind, source: ConfigSource | undefined): string {
  if (isAggregated(source)) return ADS;
  const where = source.kind === "file" ? `file ${source.path}` : `grpc ${JSON.stringify(source.source)}`;
  return `${kind} ${where}`;
}
