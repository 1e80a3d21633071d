/**
 * Puts resources together into snapshots: a pure state machine in which nothing serves until all that it refers to is
 * there, and a changed resource serves its old version until the new one is warm (make before break). It knows neither
 * time nor streams: who drives it hands in what arrived and which waits are over.
 */
import { complete } from "../core/slices.ts";
import type { ConfigSource } from "../model/bootstrap.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import type { RouteTable } from "../model/route.ts";
import type { Secret } from "../model/secret.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import type { ResourceKind } from "../xds/resources.ts";
import { emptyEndpoints, emptyRoutes } from "./placeholders.ts";
import { clusterReferences, endpointName, listenerReferences, type Reference } from "./references.ts";
import { FACTS, KINDS, type ResourceUpdate, type UpdateOf } from "./resources.ts";
import { reuseMaps } from "./reuse.ts";
import { discoveryKey, isHarmless, referenceKey, splitKey, type Waiting, waitsForDiscovery } from "./waiting.ts";
import { type Active, type Held, type Wanted, warm } from "./warming.ts";

export interface AssemblerOptions {
  /** `static_resources`: under whatever arrives. */
  readonly base: Snapshot;
  /** Where clusters and listeners come from as a whole; null: only the static ones. */
  readonly clusters: ConfigSource | null;
  readonly listeners: ConfigSource | null;
  /** SDS names that another part of the process supplies: the workload's own certificate and roots. */
  readonly localSecrets: ReadonlySet<string>;
  /** How long routes wait for a cluster that they name, and a removed cluster for routes that still name it, ms. */
  readonly graceMs: number;
}

export interface Assembly {
  /** null until the first wave is complete. The same object as before when nothing changed. */
  readonly snapshot: Snapshot | null;
  readonly waiting: readonly Waiting[];
  readonly wanted: Wanted;
}

export class Assembler {
  readonly #options: AssemblerOptions;
  readonly #held: Held = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };
  /** The version last taken of each kind. */
  readonly #versions = new Map<ResourceKind, string>();
  #givenUp = new Set<string>();
  /** What may serve, whether or not the first snapshot is out yet. */
  #active: Active = EMPTY_SNAPSHOT;
  #last: Assembly | null = null;
  /** Names whose values alone are new since the last assembly; null: more than that has changed. */
  #refreshed: { readonly endpoint: Set<string>; readonly secret: Set<string> } | null = null;

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  /** Takes what a source says has changed. */
  apply(update: ResourceUpdate): void {
    this.#noteRefresh(update);
    this.#take(update);
    this.#versions.set(update.kind, update.version);
    for (const name of update.removed) {
      if (update.kind === "cluster" || update.kind === "listener") this.#held[update.kind].delete(name);
      // Envoy ignores the removal of what was fetched by name, save that nobody waits for it any longer.
      else this.giveUp(referenceKey(update.kind, name));
    }
  }

  #take<K extends ResourceKind>(update: UpdateOf<K>): void {
    for (const [name, value] of update.upserts) this.#held[update.kind].set(name, value);
  }

  /** New values for endpoints and secrets that are held already let nothing begin or end to serve. */
  #noteRefresh({ kind, upserts, removed }: ResourceUpdate): void {
    if ((kind !== "endpoint" && kind !== "secret") || removed.length > 0) this.#refreshed = null;
    else
      for (const name of upserts.keys()) {
        if (this.#held[kind].has(name)) this.#refreshed?.[kind].add(name);
        else this.#refreshed = null;
      }
  }

  /** The source's answer was refused: a first value is not waited for any longer, later ones leave the last in force. */
  refuse(kind: ResourceKind, names: readonly string[]): void {
    if (kind === "cluster" || kind === "listener") this.giveUp(discoveryKey(kind));
    else for (const name of names) this.giveUp(referenceKey(kind, name));
  }

  /** Ends the wait with this key (`Waiting.key`). */
  giveUp(key: string): void {
    this.#givenUp.add(key);
    this.#refreshed = null;
  }

  /** Works out what can serve now, what is still missing and what must be fetched. */
  assemble(): Assembly {
    return complete(this.assembling());
  }

  /**
   * The same in steps, between which the caller can give way to other work. Until it has ended, nothing else may be asked
   * of the assembler.
   */
  *assembling(): Generator<void, Assembly> {
    const before = this.#last?.snapshot ?? null;
    if (this.#last && before && this.#refreshed) {
      const { endpoint, secret } = this.#refreshed;
      const endpoints = patched(before.endpoints, this.#held.endpoint, endpoint);
      const secrets = patched(before.secrets, this.#held.secret, secret);
      const next = { ...before, revision: this.#revision(), endpoints, secrets };
      this.#last = { ...this.#last, snapshot: reuseMaps(before, next) };
    } else {
      const { waiting, wanted } = yield* this.#warm();
      const ready = before !== null || waiting.every(isHarmless);
      this.#last = { snapshot: ready ? reuseMaps(before, yield* this.#build()) : null, waiting, wanted };
    }
    this.#refreshed = { endpoint: new Set(), secret: new Set() };
    return this.#last;
  }

  *#warm(): Generator<void, Pick<Assembly, "waiting" | "wanted">> {
    this.#placeStandIns();
    const { base, localSecrets, graceMs, clusters } = this.#options;
    const result = yield* warm({
      base,
      held: this.#held,
      before: this.#active,
      localSecrets,
      givenUp: this.#givenUp,
      graceMs,
      clustersMayCome: clusters !== null,
    });
    const waiting = [...this.#undiscovered(result.givenUp), ...result.waiting];
    this.#active = result.active;
    this.#givenUp = result.givenUp;
    for (const kind of ["endpoint", "route", "secret"] as const) {
      for (const name of this.#held[kind].keys()) if (!result.wanted[kind].has(name)) this.#held[kind].delete(name);
    }
    return { waiting, wanted: result.wanted };
  }

  /** Whether clusters and listeners have come from wherever they are discovered. */
  get discovered(): boolean {
    const { clusters, listeners } = this.#options;
    return (!clusters || this.#versions.has("cluster")) && (!listeners || this.#versions.has("listener"));
  }

  /** The version last taken of each kind, by Envoy's abbreviation (`CDS`). */
  versions(): Record<string, string> {
    return Object.fromEntries([...this.#versions].map(([kind, version]) => [FACTS[kind].api, version]));
  }

  #placeStandIns(): void {
    for (const key of this.#givenUp) {
      const [kind, name] = splitKey(key);
      if (kind === "endpoint" && !this.#held.endpoint.has(name)) this.#held.endpoint.set(name, emptyEndpoints(name));
      if (kind === "route" && !this.#held.route.has(name)) this.#held.route.set(name, emptyRoutes(name));
    }
  }

  #undiscovered(stillGivenUp: Set<string>): Waiting[] {
    const items: Waiting[] = [];
    for (const kind of ["cluster", "listener"] as const) {
      const source = kind === "cluster" ? this.#options.clusters : this.#options.listeners;
      if (source === null || this.#versions.has(kind)) continue;
      const item = waitsForDiscovery(kind, source);
      if (this.#givenUp.has(item.key)) stillGivenUp.add(item.key);
      else items.push(item);
    }
    return items;
  }

  *#build(): Generator<void, Snapshot> {
    const { clusters, listeners } = this.#active;
    const endpoints = new Map<string, EndpointSet>();
    const routes = new Map<string, RouteTable>();
    const secrets = new Map<string, Secret>(this.#options.base.secrets);
    for (const cluster of clusters.values()) {
      const name = endpointName(cluster);
      const found = name === null ? undefined : this.#held.endpoint.get(name);
      if (found) endpoints.set(name ?? "", found);
      this.#addSecrets(clusterReferences(cluster), secrets);
      yield;
    }
    for (const listener of listeners.values()) {
      for (const { kind, name } of listenerReferences(listener)) {
        const table = kind === "route" ? this.#active.routes.get(name) : undefined;
        if (table) routes.set(name, table);
      }
      this.#addSecrets(listenerReferences(listener), secrets);
      yield;
    }
    return { revision: this.#revision(), listeners, routes, clusters, endpoints, secrets };
  }

  #addSecrets(references: readonly Reference[], into: Map<string, Secret>): void {
    for (const { kind, name } of references) {
      const secret = kind === "secret" ? this.#held.secret.get(name) : undefined;
      if (secret) into.set(name, secret);
    }
  }

  /** The control plane's version where all kinds carry the same, else all of them; the base's while nothing came. */
  #revision(): string {
    const distinct = new Set(this.#versions.values());
    if (distinct.size === 0) return this.#options.base.revision;
    if (distinct.size === 1) return [...distinct].join();
    const known = KINDS.filter((kind) => this.#versions.has(kind));
    return known.map((kind) => `${FACTS[kind].api}=${this.#versions.get(kind)}`).join(",");
  }
}

/** `map` with the newest value of each of `names` that it has. */
function patched<T>(
  map: ReadonlyMap<string, T>,
  held: ReadonlyMap<string, T>,
  names: ReadonlySet<string>,
): ReadonlyMap<string, T> {
  if (names.size === 0) return map;
  const copy = new Map(map);
  for (const name of names) {
    const value = held.get(name);
    if (value !== undefined && copy.has(name)) copy.set(name, value);
  }
  return copy;
}
