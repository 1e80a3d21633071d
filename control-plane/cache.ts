/**
 * The resources of every sidecar, encoded and versioned by content. What all sidecars share (clusters, endpoints, most
 * routes) exists once; a sidecar has only its listeners and its application's cluster of its own. A change translates
 * what was made from the parts that changed, and tells which names those are.
 */
import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { WORKLOAD_ROOTS } from "../model/tls.ts";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import { type CacheChange, ChangeBuilder } from "./cache-change.ts";
import { InterceptionCache } from "./interception-cache.ts";
import { httpOf } from "./manifest/port-protocol.ts";
import type { Reach } from "./mesh/cluster.ts";
import { DEFAULT_SETTINGS, type MeshState } from "./mesh/state.ts";
import type { Workload } from "./mesh/workload.ts";
import { NodeCache } from "./node-cache.ts";
import { type EncodedResource, type EncodeResource, RESOURCE_KINDS } from "./resource.ts";
import { outboundCluster, serviceEndpoints } from "./translate/cluster.ts";
import { httpProxyRouteTable } from "./translate/http-proxy.ts";
import { clusterName, httpProxyRouteTableName, namespaceOfResource, routeTableName } from "./translate/names.ts";
import { consumerNamespaces, serviceRouteTable } from "./translate/route-table.ts";
import { COLLECTOR_CLUSTER, collectorCluster } from "./translate/telemetry.ts";
import { type PortOfService, portsOf } from "./translate/translate.ts";

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
  /** Namespaces with sidecars without interception, with their number: each has an http_proxy route table. */
  readonly #namespaces = new Map<string, number>();
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
    if (node && !reaches(this.#state.reach, node.workload.namespace, name)) return undefined;
    return node?.lookup(kind, name) ?? this.#shared.get(kind)?.get(name);
  }

  /** All names of a kind for a sidecar. */
  names(nodeId: string, kind: ResourceKind): readonly string[] {
    const node = this.#nodes.get(nodeId);
    const all = [...(node?.names(kind) ?? []), ...(this.#shared.get(kind)?.keys() ?? [])];
    const namespace = node?.workload.namespace ?? "";
    if (!this.#state.reach.has(namespace)) return all;
    return all.filter((name) => reaches(this.#state.reach, namespace, name));
  }

  /** Service ports that a sidecar has no address for. */
  unplaced(nodeId: string): number {
    return this.#nodes.get(nodeId)?.unplaced ?? 0;
  }

  /** A sidecar whose resources are wanted from now on. */
  addNode(workload: Workload): void {
    const change = new ChangeBuilder();
    const previous = this.#nodes.get(workload.id);
    const encode = <K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K]) =>
      this.#encoded(kind, name, value);
    const node = new NodeCache(workload, encode, this.#interception);
    node.update(this.#state, this.#ports, null);
    this.#nodes.set(workload.id, node);
    if (previous) this.#releaseNamespace(previous.workload, change);
    this.#holdNamespace(workload, change);
    for (const kind of ["listener", "cluster"] as const) {
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
    this.#releaseNamespace(node.workload, change);
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
    const keys = new Set([...before.services.keys(), ...state.services.keys()]);
    for (const key of keys) {
      const [old, next] = [before.services.get(key), state.services.get(key)];
      if (old === next) continue;
      const definitionChanged = old?.definition !== next?.definition;
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
    if (routesChanged) for (const namespace of this.#namespaces.keys()) this.#putHttpProxyRoutes(namespace, change);
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
    if (state.reach !== before.reach) this.#touchReach(before.reach, change);
    this.#publish(change);
  }

  /** What sidecars are told of from now on, or no longer. */
  #touchReach(before: Reach, change: ChangeBuilder): void {
    const { reach } = this.#state;
    for (const [id, node] of this.#nodes) {
      const { namespace } = node.workload;
      if (isDeepStrictEqual(reach.get(namespace), before.get(namespace))) continue;
      for (const kind of RESOURCE_KINDS) {
        for (const name of [...node.names(kind), ...(this.#shared.get(kind)?.keys() ?? [])]) {
          if (reaches(reach, namespace, name) === reaches(before, namespace, name)) continue;
          change.touchNode(id, kind, name);
        }
      }
    }
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

  #holdNamespace({ namespace, loopback }: Workload, change: ChangeBuilder): void {
    if (loopback === null) return;
    const count = this.#namespaces.get(namespace) ?? 0;
    this.#namespaces.set(namespace, count + 1);
    if (count === 0) this.#putHttpProxyRoutes(namespace, change);
  }

  #releaseNamespace({ namespace, loopback }: Workload, change: ChangeBuilder): void {
    if (loopback === null) return;
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

/** Whether sidecars of a namespace are told of a resource. */
function reaches(reach: Reach, namespace: string, name: string): boolean {
  const told = reach.get(namespace);
  if (told === undefined) return true;
  const of = namespaceOfResource(name);
  return of === null || of === namespace || told.has(of);
}

function clusterNameOf(service: PortOfService["service"] | undefined, port: number): string {
  return service ? clusterName(service.definition, port) : "";
}

function routeTableNames(service: PortOfService["service"]): readonly string[] {
  return [null, ...consumerNamespaces(service)].flatMap((scope) =>
    service.definition.ports.map(({ port }) => routeTableName(service.definition, port, scope)),
  );
}
