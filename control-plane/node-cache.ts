/** The resources that one sidecar has of its own: its listeners and the clusters of its application. */
import { isDeepStrictEqual } from "node:util";
import type { ResourceKind, ResourceModels } from "../xds/resources.ts";
import { type InterceptionCache, type ListenerSource, listenerSource, sameSource } from "./interception-cache.ts";
import type { MeshState } from "./mesh/state.ts";
import { isInterceptedInbound, type Workload } from "./mesh/workload.ts";
import type { EncodedResource } from "./resource.ts";
import { allocateSlots, slotCount } from "./translate/addresses.ts";
import { inboundCluster } from "./translate/application-cluster.ts";
import { type InboundPort, inboundPorts, otherPorts } from "./translate/inbound-port.ts";
import { type Client, clientOf, httpProxyListener } from "./translate/listener.ts";
import { routeScope } from "./translate/route-table.ts";
import { commonClusters, loopbackListener, ownListeners, type PortOfService } from "./translate/translate.ts";

export type Encode = <K extends ResourceKind>(kind: K, name: string, value: ResourceModels[K]) => EncodedResource;

/** What a port's listener was made from. */
interface ListenerInputs {
  readonly source: ListenerSource;
  readonly scope: string | null;
  readonly slot: number;
}

/** What the listeners for peers and the clusters of the application were made from. */
interface InboundInputs {
  readonly ports: readonly InboundPort[];
  readonly others: InboundPort | null;
}

type Change = readonly [ResourceKind, string];

export class NodeCache {
  readonly workload: Workload;
  /** Service ports that the sidecar's address range had no room for. */
  unplaced = 0;
  readonly #encode: Encode;
  /** null: the sidecar's listeners for services are its own. */
  readonly #interception: InterceptionCache | null;
  readonly #client: Client;
  readonly #listeners = new Map<string, EncodedResource>();
  readonly #clusters = new Map<string, EncodedResource>();
  readonly #inputs = new Map<string, ListenerInputs>();
  #ports: ReadonlyMap<string, PortOfService> | null = null;
  #inbound: InboundInputs | null = null;

  constructor(workload: Workload, encode: Encode, interception: InterceptionCache) {
    this.workload = workload;
    this.#encode = encode;
    this.#interception = workload.interception === null ? null : interception;
    this.#client = clientOf(workload);
  }

  lookup(kind: ResourceKind, name: string): EncodedResource | undefined {
    if (kind === "cluster") return this.#clusters.get(name);
    if (kind !== "listener") return undefined;
    return this.#listeners.get(name) ?? this.#interception?.lookup(name, this.#client);
  }

  names(kind: ResourceKind): Iterable<string> {
    if (kind === "cluster") return this.#clusters.keys();
    if (kind !== "listener") return [];
    return [...this.#listeners.keys(), ...(this.#interception?.names() ?? [])];
  }

  /** Follows the mesh from `before` (null: from nothing) to `state`; gives what changed of its own. */
  update(state: MeshState, ports: ReadonlyMap<string, PortOfService>, before: MeshState | null): readonly Change[] {
    const changed: Change[] = [];
    const everything = before === null || state.settings !== before.settings;
    if (everything || ports !== this.#ports || state.access !== before.access || state.mtls !== before.mtls) {
      this.#updateInbound(state, everything, changed);
    }
    if (everything) {
      const proxy = httpProxyListener(this.workload, state.settings);
      if (proxy) this.#put("listener", proxy, changed);
      this.#updateCommonClusters(state, changed);
    }
    if (everything || ports !== this.#ports) this.#updatePorts(state, ports, everything, changed);
    this.#ports = ports;
    return changed;
  }

  #updateInbound(state: MeshState, everything: boolean, changed: Change[]): void {
    const inbound: InboundInputs = {
      ports: inboundPorts(state, this.workload),
      others: isInterceptedInbound(this.workload) ? otherPorts(state, this.workload) : null,
    };
    if (!everything && isDeepStrictEqual(inbound, this.#inbound)) return;
    this.#inbound = inbound;
    for (const listener of ownListeners(state, this.workload, inbound.ports)) this.#put("listener", listener, changed);
    const stale = new Set([...this.#clusters.keys()].filter((name) => name.startsWith("inbound|")));
    for (const port of inbound.ports) {
      const cluster = inboundCluster(this.workload, port);
      stale.delete(cluster.name);
      this.#put("cluster", cluster, changed);
    }
    for (const name of stale) {
      this.#clusters.delete(name);
      changed.push(["cluster", name]);
    }
  }

  #updateCommonClusters(state: MeshState, changed: Change[]): void {
    const wanted = new Set(commonClusters(state, this.workload).map(({ name }) => name));
    for (const name of this.#clusters.keys()) {
      if (wanted.has(name) || name.startsWith("inbound|")) continue;
      this.#clusters.delete(name);
      changed.push(["cluster", name]);
    }
    for (const name of wanted) {
      const encoded = this.#interception?.cluster(name);
      if (!encoded || this.#clusters.has(name)) continue;
      this.#clusters.set(name, encoded);
      changed.push(["cluster", name]);
    }
  }

  #updatePorts(
    state: MeshState,
    ports: ReadonlyMap<string, PortOfService>,
    everything: boolean,
    changed: Change[],
  ): void {
    const { loopback } = this.workload;
    if (loopback === null) return;
    const slots = allocateSlots(ports.keys(), slotCount(loopback));
    this.unplaced = ports.size - slots.size;
    for (const name of this.#inputs.keys()) {
      if (slots.has(name)) continue;
      this.#inputs.delete(name);
      this.#listeners.delete(name);
      changed.push(["listener", name]);
    }
    for (const [name, of] of ports) {
      const slot = slots.get(name);
      if (slot === undefined) continue;
      const inputs = { source: listenerSource(of), scope: routeScope(of.service, this.workload.namespace), slot };
      const known = this.#inputs.get(name);
      if (!everything && known && sameInputs(known, inputs)) continue;
      this.#inputs.set(name, inputs);
      this.#put("listener", loopbackListener(state, this.workload, loopback, of, slot), changed);
    }
  }

  #put<K extends "listener" | "cluster">(kind: K, value: ResourceModels[K], changed: Change[]): void {
    const resources = kind === "listener" ? this.#listeners : this.#clusters;
    const encoded = this.#encode(kind, value.name, value);
    if (resources.get(value.name)?.version === encoded.version) return;
    resources.set(value.name, encoded);
    changed.push([kind, value.name]);
  }
}

function sameInputs(a: ListenerInputs, b: ListenerInputs): boolean {
  return a.scope === b.scope && a.slot === b.slot && sameSource(a.source, b.source);
}
