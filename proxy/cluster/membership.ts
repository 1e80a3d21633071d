/** Turns endpoint sets into endpoint states and priority levels, finding again those that are known already. */
import { isDeepStrictEqual } from "node:util";
import { type Address, formatAddress } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Endpoint, EndpointSet, LocalityEndpoints } from "../../model/endpoint.ts";
import { EndpointState } from "./endpoint-state.ts";
import type { PriorityLevel } from "./load-balancer/load-balancer.ts";
import type { Pool } from "./pool.ts";

/** Who is told of endpoints that come and go. */
export interface MembershipListener<P extends Pool> {
  onAdded(endpoint: EndpointState<P>): void;
  onRemoved(endpoint: EndpointState<P>): void;
  /** It stays, but connections to it are to be made differently: another name, other TLS, other additional addresses. */
  onReconnect(endpoint: EndpointState<P>): void;
}

const NO_LOCALITY: LocalityEndpoints = {
  locality: { region: "", zone: "", subZone: "" },
  weight: null,
  priority: 0,
  endpoints: [],
};

export class Membership<P extends Pool> {
  readonly #endpoints = new Map<string, EndpointState<P>>();
  /** Endpoints by their additional addresses. */
  #others: ReadonlyMap<string, EndpointState<P>> = new Map();
  readonly #listener: MembershipListener<P>;
  #levels: readonly PriorityLevel<EndpointState<P>>[] = [];

  constructor(listener: MembershipListener<P>) {
    this.#listener = listener;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** By priority; within it by locality. */
  get levels(): readonly PriorityLevel<EndpointState<P>>[] {
    return this.#levels;
  }

  get(key: string): EndpointState<P> | null {
    return this.#endpoints.get(key) ?? null;
  }

  /** The endpoint that has this address among its own. */
  at(address: Address): EndpointState<P> | null {
    const key = formatAddress(address);
    return this.#endpoints.get(key) ?? this.#others.get(key) ?? null;
  }

  values(): Iterable<EndpointState<P>> {
    return this.#endpoints.values();
  }

  /** Takes a new set; true if an endpoint came or went. Of several endpoints with one address the first counts. */
  update(set: EndpointSet, kind: Cluster["discovery"]["kind"]): boolean {
    const seen = new Set<string>();
    const levels: { localities: { weight: number | null; hosts: EndpointState<P>[] }[] }[] = [];
    let added = false;
    for (const locality of set.localities) {
      while (levels.length <= locality.priority) levels.push({ localities: [] });
      const hosts: EndpointState<P>[] = [];
      for (const config of locality.endpoints) {
        // A LOGICAL_DNS cluster has one endpoint, whose address changes under it.
        const key = kind === "logical_dns" ? config.hostname : formatAddress(config.address);
        if (seen.has(key)) continue;
        seen.add(key);
        const known = this.#endpoints.get(key);
        added ||= known === undefined;
        hosts.push(known === undefined ? this.#add(key, config, locality) : this.#renew(known, config, locality));
      }
      levels[locality.priority]?.localities.push({ weight: locality.weight, hosts });
    }
    this.#levels = levels;
    const gone = [...this.#endpoints.values()].filter(({ key }) => !seen.has(key));
    for (const endpoint of gone) this.#remove(endpoint);
    this.#others = othersOf(this.#endpoints.values());
    return added || gone.length > 0;
  }

  /** Adds one that discovery makes by itself; it belongs to no priority level. `source`: "" for any. */
  addOne(config: Endpoint, source: string): EndpointState<P> {
    const address = formatAddress(config.address);
    return this.#add(source === "" ? address : `${address} from ${source}`, config, NO_LOCALITY, source);
  }

  removeOne(endpoint: EndpointState<P>): void {
    this.#remove(endpoint);
  }

  #add(key: string, config: Endpoint, { locality, priority }: LocalityEndpoints, source = ""): EndpointState<P> {
    const endpoint = new EndpointState<P>(key, config, locality, priority, source);
    this.#endpoints.set(key, endpoint);
    this.#listener.onAdded(endpoint);
    return endpoint;
  }

  #renew(endpoint: EndpointState<P>, config: Endpoint, at: LocalityEndpoints): EndpointState<P> {
    const before = endpoint.config;
    endpoint.config = config;
    endpoint.address = config.address;
    endpoint.locality = at.locality;
    endpoint.priority = at.priority;
    const same =
      before.hostname === config.hostname &&
      isDeepStrictEqual(before.transportSocketMatch, config.transportSocketMatch) &&
      isDeepStrictEqual(before.additionalAddresses, config.additionalAddresses);
    if (!same) this.#listener.onReconnect(endpoint);
    return endpoint;
  }

  #remove(endpoint: EndpointState<P>): void {
    this.#endpoints.delete(endpoint.key);
    endpoint.removed = true;
    this.#listener.onRemoved(endpoint);
  }
}

/** Of several endpoints with one additional address the first counts. */
function othersOf<P extends Pool>(endpoints: Iterable<EndpointState<P>>): ReadonlyMap<string, EndpointState<P>> {
  const others = new Map<string, EndpointState<P>>();
  for (const endpoint of endpoints) {
    for (const address of endpoint.config.additionalAddresses ?? []) {
      const key = formatAddress(address);
      if (!others.has(key)) others.set(key, endpoint);
    }
  }
  return others;
}
