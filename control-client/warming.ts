/**
 * One round of warming: from what is desired, what has arrived and what served before, the clusters, listeners and route
 * tables that may serve now. Envoy's rules, plus two that keep traffic whole while a push is only half there: a route
 * waits for the clusters that it names, and a removed cluster for the routes that still name it, both for a limited time
 * (Envoy answers 503 NC in between, and so do we when that time is over).
 */
import type { ConfigSource } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import {
  clusterReferences,
  listenerClusters,
  listenerReferences,
  type Reference,
  tableClusters,
} from "./references.ts";
import type { NamedKind } from "./resources.ts";
import * as wait from "./waiting.ts";

/** Resources that have arrived, by kind and name. */
export type Held = { readonly [K in ResourceKind]: Map<string, ResourceModels[K]> };

export type Active = Pick<Snapshot, "clusters" | "listeners" | "routes">;

/** Names to fetch, each with the source to ask (undefined: the ADS stream). */
export type Wanted = { readonly [K in NamedKind]: Map<string, ConfigSource | undefined> };

export interface WarmingInput {
  readonly base: Snapshot;
  readonly held: Held;
  readonly before: Active;
  readonly localSecrets: ReadonlySet<string>;
  readonly givenUp: ReadonlySet<string>;
  readonly graceMs: number;
  /** Whether clusters can come at all; if not, nobody waits for one that is not there. */
  readonly clustersMayCome: boolean;
}

export interface WarmingResult {
  readonly active: Active;
  readonly waiting: readonly wait.Waiting[];
  readonly wanted: Wanted;
  /** The given-up waits that would still be waited for: the others are forgotten, so that they can be waited for anew. */
  readonly givenUp: Set<string>;
}

/**
 * Runs one round. Pure: changes none of its inputs, which must not change until it has ended. Yields after each resource,
 * so that the caller can give way to other work.
 */
export function* warm(input: WarmingInput): Generator<void, WarmingResult> {
  const round = new Round(input);
  yield* round.warmClusters();
  yield* round.warmRoutes();
  yield* round.warmListeners();
  yield* round.keepClustersInUse();
  const wanted = yield* round.wanted();
  // Who refers to a secret later does not wait again for one that did not come in time.
  for (const name of wanted.secret.keys()) {
    const key = wait.referenceKey("secret", name);
    if (input.givenUp.has(key) && !input.held.secret.has(name)) round.givenUp.add(key);
  }
  const { clusters, listeners, routes } = round;
  return { active: { clusters, listeners, routes }, waiting: round.waiting, wanted, givenUp: round.givenUp };
}

class Round {
  readonly clusters = new Map<string, Cluster>();
  readonly listeners = new Map<string, Listener>();
  readonly routes = new Map<string, RouteTable>();
  readonly waiting: wait.Waiting[] = [];
  readonly givenUp = new Set<string>();
  readonly #in: WarmingInput;
  readonly #desiredClusters: ReadonlyMap<string, Cluster>;
  readonly #desiredListeners: ReadonlyMap<string, Listener>;

  constructor(input: WarmingInput) {
    this.#in = input;
    // A dynamic resource never takes the place of a static one of the same name (as in Envoy).
    this.#desiredClusters = new Map([...input.held.cluster, ...input.base.clusters]);
    this.#desiredListeners = new Map([...input.held.listener, ...input.base.listeners]);
  }

  *warmClusters(): Generator<void, void> {
    const { before } = this.#in;
    for (const [name, desired] of this.#desiredClusters) {
      const old = before.clusters.get(name);
      const missing = desired === old ? [] : this.#missing(`cluster ${name}`, clusterReferences(desired));
      const serving = missing.length === 0 ? desired : old;
      if (serving) this.clusters.set(name, serving);
      this.waiting.push(...missing);
      yield;
    }
  }

  *warmRoutes(): Generator<void, void> {
    for (const name of yield* this.#tablesInUse()) {
      const desired = this.#in.held.route.get(name);
      if (!desired) continue;
      const old = this.#in.before.routes.get(name);
      const blocks = desired === old ? [] : this.#blocks(`route table ${name}`, tableClusters(desired));
      const serving = blocks.length === 0 ? desired : old;
      if (serving) this.routes.set(name, serving);
      this.waiting.push(...blocks);
      yield;
    }
  }

  *warmListeners(): Generator<void, void> {
    for (const [name, desired] of this.#desiredListeners) {
      const holder = `listener ${name}`;
      const old = this.#in.before.listeners.get(name);
      const missing =
        desired === old
          ? []
          : [...this.#missing(holder, listenerReferences(desired)), ...this.#blocks(holder, listenerClusters(desired))];
      const serving = missing.length === 0 ? desired : old;
      if (serving) this.listeners.set(name, serving);
      this.waiting.push(...missing);
      yield;
    }
  }

  *keepClustersInUse(): Generator<void, void> {
    const inUse = new Set<string>();
    for (const listener of this.listeners.values()) {
      for (const name of listenerClusters(listener)) inUse.add(name);
      yield;
    }
    // Of a listener that is still to serve too: the table is in force already, and will not be looked at again.
    for (const listener of [...this.listeners.values(), ...this.#desiredListeners.values()]) {
      for (const { kind, name } of listenerReferences(listener)) {
        const table = kind === "route" ? this.routes.get(name) : undefined;
        if (table) for (const cluster of tableClusters(table)) inUse.add(cluster);
      }
      yield;
    }
    for (const [name, cluster] of this.#in.before.clusters) {
      if (this.#desiredClusters.has(name) || !inUse.has(name)) continue;
      const item = wait.lingers(name, this.#in.graceMs);
      if (this.#stillWaits(item.key)) {
        this.clusters.set(name, cluster);
        this.waiting.push(item);
      }
    }
  }

  /** What is desired needs its references, and so does what still serves. */
  *wanted(): Generator<void, Wanted> {
    const wanted: Wanted = { endpoint: new Map(), route: new Map(), secret: new Map() };
    const add = (references: readonly Reference[]): void => {
      for (const reference of references) {
        if (!this.#isLocal(reference)) wanted[reference.kind].set(reference.name, reference.source);
      }
    };
    for (const cluster of [...this.clusters.values(), ...this.#desiredClusters.values()]) {
      add(clusterReferences(cluster));
      yield;
    }
    for (const listener of [...this.listeners.values(), ...this.#desiredListeners.values()]) {
      add(listenerReferences(listener));
      yield;
    }
    return wanted;
  }

  *#tablesInUse(): Generator<void, Set<string>> {
    const names = new Set<string>();
    const listeners = [...this.#in.before.listeners.values(), ...this.#desiredListeners.values()];
    for (const listener of listeners) {
      for (const { kind, name } of listenerReferences(listener)) if (kind === "route") names.add(name);
      yield;
    }
    return names;
  }

  #missing(holder: string, references: readonly Reference[]): wait.Waiting[] {
    return references
      .filter((reference) => !this.#isThere(reference))
      .map((reference) =>
        reference.kind === "route" && this.#in.held.route.has(reference.name)
          ? wait.waitsForTable(holder, reference.name)
          : wait.waitsForReference(holder, reference),
      )
      .filter((item) => this.#stillWaits(item.key));
  }

  #isThere(reference: Reference): boolean {
    if (this.#isLocal(reference)) return true;
    // A table that has come but waits for its clusters is not there yet.
    if (reference.kind === "route") return this.routes.has(reference.name);
    return this.#in.held[reference.kind].has(reference.name);
  }

  #isLocal({ kind, name, source }: Reference): boolean {
    if (kind !== "secret") return false;
    return this.#in.localSecrets.has(name) || (source === undefined && this.#in.base.secrets.has(name));
  }

  #blocks(holder: string, clusters: ReadonlySet<string>): wait.Waiting[] {
    const items: wait.Waiting[] = [];
    for (const name of clusters) {
      if (this.clusters.has(name) || this.#lingers(name)) continue;
      if (!this.#in.clustersMayCome && !this.#desiredClusters.has(name)) continue;
      const item = wait.waitsForCluster(holder, name, this.#desiredClusters.has(name), this.#in.graceMs);
      if (this.#stillWaits(item.key)) items.push(item);
    }
    return items;
  }

  #lingers(cluster: string): boolean {
    return this.#in.before.clusters.has(cluster) && !this.#in.givenUp.has(wait.lingerKey(cluster));
  }

  #stillWaits(key: string): boolean {
    if (!this.#in.givenUp.has(key)) return true;
    this.givenUp.add(key);
    return false;
  }
}
