/**
 * The resources of every sidecar, encoded and versioned by content. What all sidecars share (clusters, endpoints, most
 * routes) exists once; a sidecar has only its listeners and its application's cluster of its own. A change translates
 * what was made from the parts that changed, and tells which names those are.
 */
import { hash } from "node:crypto";
import { askedPlace } from "../model/on-demand.ts";
import { WORKLOAD_ROOTS } from "../model/tls.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import { type CacheChange, ChangeBuilder } from "./cache-change.ts";
import { InterceptionCache } from "./interception-cache.ts";
import { httpOf } from "./manifest/port-protocol.ts";
import { DEFAULT_SETTINGS, type MeshState } from "./mesh/state.ts";
import type { Workload } from "./mesh/workload.ts";
import { NodeCache } from "./node-cache.ts";
import { AskedNames, endpointNames, PlaceIndex } from "./on-demand.ts";
import { difference, type NamedResource, routeTableNames, tells } from "./reach.ts";
import { type Moved, ReachScopes, type Scope } from "./reach-scopes.ts";
import { type EncodedResource, type EncodeResource, RESOURCE_KINDS } from "./resource.ts";
import { outboundCluster, serviceEndpoints } from "./translate/cluster.ts";
import { httpProxyRouteTable } from "./translate/http-proxy.ts";
import { clusterName, httpProxyRouteTableName, routeTableName, serviceOfResource } from "./translate/names.ts";
import { consumerNamespaces, serviceRouteTable } from "./translate/route-table.ts";
import { COLLECTOR_CLUSTER, collectorCluster } from "./translate/telemetry.ts";
import { type PortOfService, portsOf } from "./translate/translate.ts";

/** A sidecar that holds so many services, and so great a share of the mesh, was not asking for them one by one. */
const MANY = 100;
const NEARLY_ALL = 0.9;

export class ResourceCache {
  /** How often each kind was translated since the start: the cost of changes. */
  readonly translated: Record<ResourceKind, number> = { cluster: 0, endpoint: 0, listener: 0, route: 0, secret: 0 };
  readonly #encode: EncodeResource;
  readonly #listeners = new Set<(change: CacheChange) => void>();
  readonly #shared = new Map<ResourceKind, Map<string, EncodedResource>>(
    RESOURCE_KINDS.map((kind) => [kind, new Map()]),
  );
  readonly #nodes = new Map<string, NodeCache>();
  /** What sidecars with interception share. */
  readonly #interception: InterceptionCache;
  /** Namespaces with sidecars without interception that are told of everything, with their number: each has an http_proxy route table. */
  readonly #namespaces = new Map<string, number>();
  /** Sidecars that are not told of everything. */
  readonly #scopes = new ReachScopes();
  readonly #asked = new AskedNames();
  readonly #places = new PlaceIndex();
  #state: MeshState;
  #ports: ReadonlyMap<string, PortOfService> = new Map();
  #revision = 0;

  constructor(encode: EncodeResource, state: MeshState) {
    this.#encode = encode;
    this.#state = { ...state, services: new Map(), settings: DEFAULT_SETTINGS, reach: new Map() };
    this.#interception = new InterceptionCache((kind, name, value) => this.#encoded(kind, name, value), this.#state);
    this.update(state);
  }

  /** Counts the changes that had any effect. */
  get revision(): number {
    return this.#revision;
  }

  subscribe(listener: (change: CacheChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The resource of that name for a sidecar; undefined: there is none. */
  lookup(nodeId: string, kind: ResourceKind, name: string): EncodedResource | undefined {
    const node = this.#nodes.get(nodeId);
    if (kind === "listener" && node && askedPlace(name) !== null) {
      const found = this.#places.find(name, node.workload.namespace);
      return found === null ? undefined : this.lookup(nodeId, kind, found.listener);
    }
    const scope = this.#scopes.of(nodeId);
    if (scope) {
      if (!tells(scope.told, kind, name)) return undefined;
      if (kind === "route" && scope.table?.name === name) return scope.table;
    }
    return node?.lookup(kind, name) ?? this.#shared.get(kind)?.get(name);
  }

  /** All names of a kind for a sidecar. */
  names(nodeId: string, kind: ResourceKind): readonly string[] {
    const node = this.#nodes.get(nodeId);
    const all = [...(node?.names(kind) ?? []), ...(this.#shared.get(kind)?.keys() ?? [])];
    const scope = this.#scopes.of(nodeId);
    if (scope === null) return all;
    const told = all.filter((name) => tells(scope.told, kind, name));
    return kind === "route" && scope.table !== null ? [...new Set([...told, scope.table.name])] : told;
  }

  /** A sidecar wants the listener of a place: its workload uses that service from now on, if there is one. */
  ask(nodeId: string, name: string): void {
    const node = this.#nodes.get(nodeId);
    if (!node || askedPlace(name) === null) return;
    this.#asked.add(name, nodeId);
    const change = new ChangeBuilder();
    this.#answer(nodeId, name, change);
    this.#publish(change);
  }

  /**
   * A sidecar comes back and holds these clusters or listeners: those of services that it was told of because its workload
   * uses them stay, also where that was another control plane. Who was told of everything begins anew.
   */
  keep(nodeId: string, held: readonly string[]): void {
    const scope = this.#scopes.of(nodeId);
    if (scope === null || !scope.asks) return;
    const { services } = this.#state;
    const kept = new Set<string>();
    for (const name of held) {
      const service = serviceOfResource(name);
      if (service !== null && services.has(service) && !tells(scope.told, "cluster", name)) kept.add(service);
    }
    if (kept.size > MANY && kept.size > services.size * NEARLY_ALL) return;
    const change = new ChangeBuilder();
    this.#touchMoved(this.#scopes.use(scope, kept, this.#state), change);
    this.#publish(change);
  }

  unask(nodeId: string, name: string): void {
    this.#asked.delete(name, nodeId);
  }

  /** Widens what a sidecar is told of by what it has asked for; true if there is such a service. */
  #answer(nodeId: string, name: string, change: ChangeBuilder): boolean {
    const scope = this.#scopes.of(nodeId);
    const found = this.#places.find(name, this.#nodes.get(nodeId)?.workload.namespace ?? "");
    if (found === null) return false;
    if (scope !== null) this.#touchMoved(this.#scopes.use(scope, [found.service], this.#state), change);
    return true;
  }

  /** Service ports that a sidecar has no address for. */
  unplaced(nodeId: string): number {
    return this.#nodes.get(nodeId)?.unplaced ?? 0;
  }

  /** A sidecar whose resources are wanted from now on. */
  addNode(workload: Workload): void {
    const change = new ChangeBuilder();
    const previous = this.#nodes.get(workload.id);
    if (previous) this.#releaseTable(previous.workload, change);
    this.#scopes.place(workload, this.#state);
    const encode = <K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K]) =>
      this.#encoded(kind, name, value);
    const node = new NodeCache(workload, encode, this.#interception);
    node.update(this.#state, this.#ports, null);
    this.#nodes.set(workload.id, node);
    this.#holdTable(workload, change);
    // Nobody can have asked yet for what is of one that was not there.
    for (const kind of previous ? (["listener", "cluster"] as const) : []) {
      for (const name of new Set([...node.names(kind), ...(previous?.names(kind) ?? [])])) {
        if (previous?.lookup(kind, name)?.version !== node.lookup(kind, name)?.version) {
          change.touchNode(workload.id, kind, name);
        }
      }
    }
    this.#publish(change);
  }

  /** As `addNode`, for a sidecar whose resources are wanted already. */
  changeNode(workload: Workload): void {
    if (this.#nodes.has(workload.id)) this.addNode(workload);
  }

  removeNode(nodeId: string): void {
    const node = this.#nodes.get(nodeId);
    if (!node) return;
    const change = new ChangeBuilder();
    this.#nodes.delete(nodeId);
    this.#releaseTable(node.workload, change);
    this.#scopes.leave(nodeId);
    this.#asked.leave(nodeId);
    this.#publish(change);
  }

  /** The mesh's roots, PEM. */
  setRoots(roots: string): void {
    const change = new ChangeBuilder();
    this.#put("secret", WORKLOAD_ROOTS, { kind: "trust", name: WORKLOAD_ROOTS, material: { roots, crl: "" } }, change);
    this.#publish(change);
  }

  /** Takes a new state of the mesh; parts that are the same objects as before are not looked at. */
  update(state: MeshState): void {
    const before = this.#state;
    if (state === before) return;
    const change = new ChangeBuilder();
    this.#state = state;
    let routesChanged = false;
    let portsChanged = false;
    let servicesChanged = before.services.size !== state.services.size;
    const concerned = new Set<string>();
    const keys = new Set([...before.services.keys(), ...state.services.keys()]);
    for (const key of keys) {
      const [old, next] = [before.services.get(key), state.services.get(key)];
      if (old === next) continue;
      const definitionChanged = old?.definition !== next?.definition;
      servicesChanged ||= definitionChanged || old?.routing !== next?.routing || old?.opaque !== next?.opaque;
      if (this.#asked.size > 0 && next) for (const name of endpointNames(next)) concerned.add(name);
      portsChanged ||= definitionChanged || old?.opaque !== next?.opaque;
      if (definitionChanged || old?.routing !== next?.routing) {
        routesChanged = true;
        portsChanged ||= String(old && consumerNamespaces(old)) !== String(next && consumerNamespaces(next));
        this.#updateRoutes(old, next, change);
      }
      const clustersChanged = definitionChanged || old?.traffic !== next?.traffic || old?.peers !== next?.peers;
      for (const { port } of old?.definition.ports ?? []) {
        const name = clusterNameOf(old, port);
        if (next?.definition.ports.some((p) => p.port === port)) continue;
        this.#drop("cluster", name, change);
        this.#drop("endpoint", name, change);
      }
      if (!next) continue;
      for (const port of next.definition.ports) {
        const name = clusterNameOf(next, port.port);
        if (clustersChanged) this.#put("cluster", name, outboundCluster(next, port, state.trustDomain), change);
        if (definitionChanged || old?.endpoints.get(port.port) !== next.endpoints.get(port.port)) {
          this.#put("endpoint", name, serviceEndpoints(next, port.port), change);
        }
      }
    }
    if (state.settings !== before.settings) this.#updateCollector(change);
    const placesChanged = state.reach !== before.reach || state.settings.reach !== before.settings.reach;
    if (placesChanged) for (const { workload } of this.#nodes.values()) this.#releaseTable(workload, change);
    if (placesChanged || servicesChanged) {
      const workloads = [...this.#nodes.values()].map(({ workload }) => workload);
      this.#touchMoved(this.#scopes.update(state, placesChanged ? workloads : null), change);
    }
    for (const [id, { workload }] of placesChanged ? this.#nodes : []) {
      this.#holdTable(workload, change);
      if (workload.loopback !== null) change.touchNode(id, "route", httpProxyRouteTableName(workload.namespace));
    }
    if (routesChanged) {
      for (const namespace of this.#namespaces.keys()) this.#putHttpProxyRoutes(namespace, change);
      for (const scope of this.#scopes.all()) this.#putScopeRoutes(scope, change);
    }
    if (portsChanged) this.#ports = new Map(portsOf(state).map((port) => [port.name, port]));
    const settingsChanged = state.settings !== before.settings;
    const intercepted = portsChanged || settingsChanged ? this.#interception.update(state, this.#ports) : [];
    if (portsChanged || settingsChanged || state.access !== before.access || state.mtls !== before.mtls) {
      for (const [id, node] of this.#nodes) {
        for (const [kind, name] of node.update(state, this.#ports, before)) change.touchNode(id, kind, name);
        if (node.workload.interception === null) continue;
        for (const name of intercepted) change.touchNode(id, "listener", name);
      }
    }
    this.#places.update(state, servicesChanged);
    this.#answerAgain(servicesChanged ? this.#asked.names() : concerned, change);
    this.#publish(change);
  }

  /** Names that were asked for may be those of a service now. */
  #answerAgain(names: Iterable<string>, change: ChangeBuilder): void {
    for (const name of names) {
      for (const nodeId of this.#asked.by(name)) {
        if (this.#answer(nodeId, name, change)) change.touchNode(nodeId, "listener", name);
      }
    }
  }

  /** What sidecars are told of from now on, or no longer. */
  #touchMoved(moved: readonly Moved[], change: ChangeBuilder): void {
    const scopes = new Set<Scope>();
    let [before, after, differing]: [Moved["before"], Moved["after"], readonly NamedResource[]] = [null, null, []];
    for (const { nodeId, ...step } of moved) {
      // Those of one scope move together.
      if (step.before !== before || step.after !== after) {
        [before, after] = [step.before, step.after];
        differing = difference(before, after, this.#state);
      }
      for (const [kind, name] of differing) change.touchNode(nodeId, kind, name);
      const scope = this.#scopes.of(nodeId);
      if (scope) scopes.add(scope);
    }
    for (const scope of scopes) this.#putScopeRoutes(scope, change);
  }

  #updateRoutes(
    old: PortOfService["service"] | undefined,
    next: PortOfService["service"] | undefined,
    change: ChangeBuilder,
  ): void {
    const stale = new Set(old ? routeTableNames(old) : []);
    if (next) {
      for (const scope of [null, ...consumerNamespaces(next)]) {
        for (const { port, protocol } of next.definition.ports) {
          if (httpOf(protocol) === null) continue;
          const name = routeTableName(next.definition, port, scope);
          stale.delete(name);
          this.#put("route", name, serviceRouteTable(next, port, scope), change);
        }
      }
    }
    for (const name of stale) this.#drop("route", name, change);
  }

  #updateCollector(change: ChangeBuilder): void {
    const collector = collectorCluster(this.#state.settings);
    if (collector) this.#put("cluster", COLLECTOR_CLUSTER, collector, change);
    else this.#drop("cluster", COLLECTOR_CLUSTER, change);
  }

  /** A sidecar that is not intercepted has a route table for `http_proxy`: its namespace's, or its scope's. */
  #holdTable({ id, namespace, loopback }: Workload, change: ChangeBuilder): void {
    if (loopback === null) return;
    const scope = this.#scopes.of(id);
    if (scope !== null) {
      this.#putScopeRoutes(scope, change);
      return;
    }
    const count = this.#namespaces.get(namespace) ?? 0;
    this.#namespaces.set(namespace, count + 1);
    if (count === 0) this.#putHttpProxyRoutes(namespace, change);
  }

  #releaseTable({ id, namespace, loopback }: Workload, change: ChangeBuilder): void {
    if (loopback === null || this.#scopes.of(id) !== null) return;
    const count = this.#namespaces.get(namespace) ?? 0;
    if (count > 1) this.#namespaces.set(namespace, count - 1);
    else {
      this.#namespaces.delete(namespace);
      this.#drop("route", httpProxyRouteTableName(namespace), change);
    }
  }

  #putHttpProxyRoutes(namespace: string, change: ChangeBuilder): void {
    this.#put("route", httpProxyRouteTableName(namespace), httpProxyRouteTable(this.#state, namespace), change);
  }

  #putScopeRoutes(scope: Scope, change: ChangeBuilder): void {
    const nodes = [...scope.nodes.values()].filter(({ loopback }) => loopback !== null);
    if (nodes.length === 0) {
      scope.table = null;
      return;
    }
    const table = httpProxyRouteTable(this.#state, scope.namespace, scope.told.services);
    const encoded = this.#encoded("route", table.name, table);
    if (encoded.version === scope.table?.version) return;
    scope.table = encoded;
    for (const { id } of nodes) change.touchNode(id, "route", table.name);
  }

  #put<K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K], change: ChangeBuilder): void {
    const resources = this.#shared.get(kind);
    const encoded = this.#encoded(kind, name, value);
    if (resources?.get(name)?.version === encoded.version) return;
    resources?.set(name, encoded);
    change.touchShared(kind, name);
  }

  #drop(kind: ResourceKind, name: string, change: ChangeBuilder): void {
    if (this.#shared.get(kind)?.delete(name)) change.touchShared(kind, name);
  }

  #encoded<K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K]): EncodedResource {
    this.translated[kind]++;
    const bytes = this.#encode(kind, value).value;
    return { name, bytes, version: hash("sha256", bytes).slice(0, 16) };
  }

  #publish(change: ChangeBuilder): void {
    if (change.shared.size === 0 && change.nodes.size === 0) return;
    this.#revision++;
    for (const listener of this.#listeners) listener(change);
  }
}

function clusterNameOf(service: PortOfService["service"] | undefined, port: number): string {
  return service ? clusterName(service.definition, port) : "";
}
