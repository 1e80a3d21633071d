/** Which service a sidecar asks for that names it by where a call was going. */
import { isIP } from "node:net";
import { formatAddress } from "../model/address.ts";
import { askedName, askedPlace } from "../model/on-demand.ts";
import type { MeshState, ServiceState } from "./mesh/state.ts";
import { serviceKey } from "./mesh/state.ts";
import { portlessPort } from "./translate/http-proxy.ts";
import { HTTP_PROXY_LISTENER } from "./translate/listener.ts";
import { clusterName } from "./translate/names.ts";

/** What was asked for: a service, and the name of the listener that takes its calls. */
export interface Found {
  readonly service: string;
  readonly listener: string;
}

/** `stock`, `stock.bank`, `stock.bank.svc` and `stock.bank.svc.cluster.local`, each with or without a port. */
const HOST = /^([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?)?\.?(?::(\d{1,5}))?$/;

/** Names that sidecars have asked for, and by whom. */
export class AskedNames {
  readonly #nodes = new Map<string, Set<string>>();

  add(name: string, nodeId: string): void {
    const nodes = this.#nodes.get(name);
    if (nodes) nodes.add(nodeId);
    else this.#nodes.set(name, new Set([nodeId]));
  }

  delete(name: string, nodeId: string): void {
    const nodes = this.#nodes.get(name);
    nodes?.delete(nodeId);
    if (nodes?.size === 0) this.#nodes.delete(name);
  }

  /** Forgets all that a sidecar has asked for. */
  leave(nodeId: string): void {
    for (const name of this.#nodes.keys()) this.delete(name, nodeId);
  }

  by(name: string): Iterable<string> {
    return this.#nodes.get(name) ?? [];
  }

  names(): Iterable<string> {
    return this.#nodes.keys();
  }

  get size(): number {
    return this.#nodes.size;
  }
}

/** Finds services by place; what it looks up in is made when it is first needed, and anew for a new state. */
export class PlaceIndex {
  #services: MeshState["services"] = new Map();
  #addresses: ReadonlyMap<string, Found> | null = null;
  #endpoints: ReadonlyMap<string, Found> | null = null;

  /** `addressesChanged`: services came, went, or have other ports or addresses. */
  update({ services }: MeshState, addressesChanged: boolean): void {
    this.#services = services;
    this.#endpoints = null;
    if (addressesChanged) this.#addresses = null;
  }

  /** null: the mesh has nothing of that name for clients of this namespace. */
  find(name: string, clientNamespace: string): Found | null {
    const place = askedPlace(name);
    if (place === null) return null;
    if (isIP(place.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")) === 0) return this.#byHost(place, clientNamespace);
    this.#addresses ??= index(this.#services, addressesOf);
    const found = this.#addresses.get(place);
    if (found) return found;
    // As sidecars do it: an endpoint's own address stands for its service.
    this.#endpoints ??= index(this.#services, endpointsOf);
    return this.#endpoints.get(place) ?? null;
  }

  #byHost(host: string, clientNamespace: string): Found | null {
    const [, name = "", namespace = clientNamespace, port] = HOST.exec(host) ?? [];
    const service = serviceKey(namespace, name);
    const definition = this.#services.get(service)?.definition;
    const at = port === undefined ? definition && portlessPort(definition) : Number(port);
    if (!definition || at === undefined || !definition.ports.some((one) => one.port === at)) return null;
    // Hosts are for the sidecar as an HTTP proxy, whose routes are what is asked for.
    return { service, listener: HTTP_PROXY_LISTENER };
  }
}

/** Names by which the endpoints of a service may have been asked for. */
export function endpointNames(service: ServiceState): readonly string[] {
  return endpointsOf(service).map(([place]) => askedName(place));
}

type Place = readonly [place: string, port: number];

function index(
  services: MeshState["services"],
  placesOf: (service: ServiceState) => readonly Place[],
): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>();
  for (const [service, state] of services) {
    // Without an address there is no listener that could take the call.
    if (state.definition.addresses.length === 0) continue;
    for (const [place, port] of placesOf(state)) {
      if (!found.has(place)) found.set(place, { service, listener: clusterName(state.definition, port) });
    }
  }
  return found;
}

function addressesOf({ definition: { addresses, ports } }: ServiceState): readonly Place[] {
  return addresses.flatMap((host) => ports.map(({ port }): Place => [placeOf(host, port), port]));
}

function endpointsOf({ endpoints }: ServiceState): readonly Place[] {
  return [...endpoints].flatMap(([port, list]) =>
    list.flatMap(({ host, additionalHosts, port: at }) =>
      [host, ...additionalHosts].map((one): Place => [placeOf(one, at), port]),
    ),
  );
}

function placeOf(host: string, port: number): string {
  return formatAddress({ kind: "tcp", host, port });
}
