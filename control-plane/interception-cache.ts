/**
 * The listeners of service ports as intercepted sidecars have them. They do not depend on the sidecar: only on what the
 * namespace of a client routes differently, and with tracing on whose spans they are. So each variant that some sidecar
 * has asked for exists once.
 */
import type { ResourceModels } from "../xds/resources.ts";
import { mayBeOpaque } from "./manifest/port-protocol.ts";
import type { MeshSettings, MeshState, OpaqueRouting } from "./mesh/state.ts";
import type { EncodedResource } from "./resource.ts";
import { BLACK_HOLE, INBOUND_PASSTHROUGH, PASSTHROUGH } from "./translate/application-cluster.ts";
import { connectionScope } from "./translate/connection-rules.ts";
import type { Client } from "./translate/listener.ts";
import { consumerNamespaces, routeScope } from "./translate/route-table.ts";
import { interceptedListener, type PortOfService } from "./translate/translate.ts";

type Encode = <K extends "listener" | "cluster">(kind: K, name: string, value: ResourceModels[K]) => EncodedResource;

/** What all variants of a port's listener are made from. */
export interface ListenerSource {
  readonly definition: PortOfService["service"]["definition"];
  readonly port: PortOfService["port"];
  /** null: the port carries nothing but HTTP. */
  readonly opaque: OpaqueRouting | null;
}

/** What a port's listener is made from, on whichever sidecar. */
export function listenerSource({ service, port }: PortOfService): ListenerSource {
  return { definition: service.definition, port, opaque: mayBeOpaque(port.protocol) ? service.opaque : null };
}

export function sameSource(a: ListenerSource, b: ListenerSource): boolean {
  return a.definition === b.definition && a.port === b.port && a.opaque === b.opaque;
}

interface Entry {
  readonly source: ListenerSource;
  readonly scopes: string;
  readonly of: PortOfService;
  readonly variants: Map<string, { readonly client: Client; readonly encoded: EncodedResource }>;
}

export class InterceptionCache {
  readonly #encode: Encode;
  readonly #entries = new Map<string, Entry>();
  readonly #clusters = new Map<string, EncodedResource>();
  #state: MeshState;
  #settings: MeshSettings;

  constructor(encode: Encode, state: MeshState) {
    this.#encode = encode;
    this.#state = state;
    this.#settings = state.settings;
  }

  /** A cluster that is the same for every sidecar that has it. */
  cluster(name: string): EncodedResource | undefined {
    const known = this.#clusters.get(name);
    if (known) return known;
    const value = [PASSTHROUGH, BLACK_HOLE, INBOUND_PASSTHROUGH].find((cluster) => cluster.name === name);
    if (!value) return undefined;
    const encoded = this.#encode("cluster", name, value);
    this.#clusters.set(name, encoded);
    return encoded;
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }

  /** The listener of that name for a client; undefined: there is none. */
  lookup(name: string, client: Client): EncodedResource | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    const key = this.#variant(entry, client);
    const known = entry.variants.get(key);
    if (known) return known.encoded;
    const encoded = this.#make(entry.of, client);
    if (encoded) entry.variants.set(key, { client, encoded });
    return encoded;
  }

  /** Follows the mesh; gives the names of listeners that may have changed for some client. */
  update(state: MeshState, ports: ReadonlyMap<string, PortOfService>): ReadonlySet<string> {
    const changed = new Set<string>();
    const everything = state.settings !== this.#settings;
    this.#state = state;
    this.#settings = state.settings;
    for (const name of this.#entries.keys()) {
      if (ports.has(name)) continue;
      this.#entries.delete(name);
      changed.add(name);
    }
    for (const [name, of] of ports) {
      if (of.service.definition.addresses.length === 0) {
        if (this.#entries.delete(name)) changed.add(name);
        continue;
      }
      const source = listenerSource(of);
      const scopes = scopesOf(of);
      const known = this.#entries.get(name);
      if (known && !everything && known.scopes === scopes && sameSource(known.source, source)) {
        this.#entries.set(name, { ...known, of });
        continue;
      }
      const entry: Entry = { source, scopes, of, variants: new Map() };
      this.#entries.set(name, entry);
      if (!known || everything || known.scopes !== scopes) changed.add(name);
      else if (this.#remake(known, entry)) changed.add(name);
    }
    return changed;
  }

  /** Makes the variants of `known` anew; whether any came out differently. */
  #remake(known: Entry, entry: Entry): boolean {
    let differs = false;
    for (const [key, { client, encoded }] of known.variants) {
      const made = this.#make(entry.of, client);
      if (made) entry.variants.set(key, { client, encoded: made });
      differs ||= made?.version !== encoded.version;
    }
    return differs;
  }

  #make(of: PortOfService, client: Client): EncodedResource | undefined {
    const listener = interceptedListener(this.#state, client, of);
    return listener === null ? undefined : this.#encode("listener", listener.name, listener);
  }

  #variant({ of: { service } }: Entry, { namespace, tracedAs }: Client): string {
    const [routes, connections] = [routeScope(service, namespace), connectionScope(service.opaque, namespace)];
    const traced = this.#settings.tracing === null ? "" : tracedAs;
    // Most have but one: it is looked up for each sidecar and each service.
    return routes === null && connections === null ? traced : [routes, connections, traced].join(" ");
  }
}

/** Whose clients have variants of their own. */
function scopesOf({ service }: PortOfService): string {
  return [...consumerNamespaces(service), "", ...service.opaque.rules.map((rule) => rule.clientNamespace)].join(" ");
}
