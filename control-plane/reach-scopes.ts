/**
 * Sidecars that are told the same, and not of everything: those of one namespace, or those of one workload where it asks
 * for what it calls. What a workload has used outlives its sidecars, so that the next one is told of it at its start.
 */
import type { MeshState } from "./mesh/state.ts";
import type { Workload } from "./mesh/workload.ts";
import { asks, sameTold, scopeKey, type Told, toldOf } from "./reach.ts";
import type { EncodedResource } from "./resource.ts";

/** How many lists are kept of workloads that have no sidecar at the time. */
const MAX_KEPT = 1000;

export class Scope {
  readonly namespace: string;
  /** Its sidecars ask for what they are not told of. */
  readonly asks: boolean;
  /** Services that were asked for, `namespace/name`. */
  readonly used: Set<string>;
  readonly nodes = new Map<string, Workload>();
  told: Told;
  /** Routes of the `http_proxy` listener; null: none of its sidecars has one. */
  table: EncodedResource | null = null;

  constructor(namespace: string, asks: boolean, used: Set<string>, told: Told) {
    this.namespace = namespace;
    this.asks = asks;
    this.used = used;
    this.told = told;
  }
}

/** A sidecar that is told of something else than before. */
export interface Moved {
  readonly nodeId: string;
  readonly before: Told | null;
  readonly after: Told | null;
}

export class ReachScopes {
  readonly #scopes = new Map<string, Scope>();
  readonly #byNode = new Map<string, Scope>();
  /** What was used, by scope: least recently begun first. */
  readonly #used = new Map<string, Set<string>>();

  /** null: the sidecar is told of everything. */
  of(nodeId: string): Scope | null {
    return this.#byNode.get(nodeId) ?? null;
  }

  all(): Iterable<Scope> {
    return this.#scopes.values();
  }

  /** Puts a sidecar where it belongs. */
  place(workload: Workload, state: MeshState): void {
    this.leave(workload.id);
    const key = scopeKey(state, workload);
    if (key === null) return;
    let scope = this.#scopes.get(key);
    if (!scope) {
      const asking = asks(state.settings, workload);
      const used = asking ? this.#usedBy(key) : new Set<string>();
      scope = new Scope(workload.namespace, asking, used, toldOf(state, workload.namespace, used));
      this.#scopes.set(key, scope);
    }
    scope.nodes.set(workload.id, workload);
    this.#byNode.set(workload.id, scope);
  }

  leave(nodeId: string): void {
    const scope = this.#byNode.get(nodeId);
    if (!scope) return;
    this.#byNode.delete(nodeId);
    scope.nodes.delete(nodeId);
    if (scope.nodes.size > 0) return;
    for (const [key, other] of this.#scopes) if (other === scope) this.#scopes.delete(key);
    this.#forgetSome();
  }

  /** Follows the mesh; `workloads`: all of them, where they may belong elsewhere now. Gives who is told of something else. */
  update(state: MeshState, workloads: Iterable<Workload> | null): readonly Moved[] {
    const before = new Map([...this.#byNode].map(([id, { told }]) => [id, told]));
    if (workloads) for (const workload of workloads) this.place(workload, state);
    for (const scope of this.#scopes.values()) this.#retell(scope, state);
    const moved: Moved[] = [];
    for (const nodeId of new Set([...before.keys(), ...this.#byNode.keys()])) {
      const change = { nodeId, before: before.get(nodeId) ?? null, after: this.of(nodeId)?.told ?? null };
      if (change.before !== change.after) moved.push(change);
    }
    return moved;
  }

  /** Sidecars of the scope are told of services from now on. */
  use(scope: Scope, services: Iterable<string>, state: MeshState): readonly Moved[] {
    const { size } = scope.used;
    if (scope.asks) for (const service of services) scope.used.add(service);
    if (scope.used.size === size) return [];
    const before = scope.told;
    this.#retell(scope, state);
    if (scope.told === before) return [];
    return [...scope.nodes.keys()].map((nodeId) => ({ nodeId, before, after: scope.told }));
  }

  #retell(scope: Scope, state: MeshState): void {
    const told = toldOf(state, scope.namespace, scope.used);
    if (!sameTold(told, scope.told)) scope.told = told;
  }

  #usedBy(key: string): Set<string> {
    const used = this.#used.get(key) ?? new Set<string>();
    this.#used.delete(key);
    this.#used.set(key, used);
    return used;
  }

  #forgetSome(): void {
    const idle = [...this.#used.keys()].filter((key) => !this.#scopes.has(key));
    for (const key of idle.slice(0, Math.max(0, idle.length - MAX_KEPT))) this.#used.delete(key);
  }
}
