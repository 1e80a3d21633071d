/**
 * What listeners need to know of each other and of the rest of the process where connections are intercepted: where a
 * connection was going, which listener stands for that place, and whose connections are the sidecar's own.
 */
import type { Clock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { complete } from "../core/slices.ts";
import { formatAddress } from "../model/address.ts";
import type { Listener } from "../model/listener.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { OwnConnections } from "./endpoint/own-connections.ts";
import type { Arrival } from "./listener/arrival.ts";
import { DetectionMemory } from "./listener/detection-memory.ts";
import { restoresDestination } from "./listener/listener-filters.ts";
import {
  loadOriginalDestination,
  NO_ORIGINAL_DESTINATION,
  type OriginalDestination,
} from "./listener/original-destination.ts";
import { OwnAddresses } from "./listener/own-addresses.ts";
import { loadSystemSockets } from "./listener/system-sockets.ts";
import type { UpstreamClusters } from "./outbound.ts";

/** A listener that takes connections which were accepted by another. */
export interface TakingListener {
  readonly config: Listener;
  take(arrival: Arrival): void;
}

interface ListenerIndex {
  /** By `host:port`. */
  readonly places: ReadonlyMap<string, TakingListener>;
  /** Services by the addresses of their endpoints. */
  readonly endpoints: ReadonlyMap<string, TakingListener>;
}

export class Interception {
  /** Of the kernel, from the first configuration on that asks for it. */
  original: OriginalDestination = NO_ORIGINAL_DESTINATION;
  readonly memory = new DetectionMemory();
  readonly addresses: OwnAddresses;
  readonly own: OwnConnections;
  readonly #clusters: UpstreamClusters;
  readonly #listeners: () => Iterable<TakingListener>;
  /** Built when first asked for; null: it was not yet. */
  #index: ListenerIndex | null = null;

  constructor(clusters: UpstreamClusters, listeners: () => Iterable<TakingListener>, clock: Clock) {
    this.addresses = new OwnAddresses(clock);
    this.#clusters = clusters;
    this.own = clusters.own;
    this.#listeners = listeners;
  }

  /** Loads what a configuration needs of the system, before anything of it is in force. */
  async prepare(snapshot: Snapshot): Promise<void> {
    const listeners = [...snapshot.listeners.values()];
    this.own.watching = listeners.some(({ outrigger }) => outrigger?.virtual !== undefined);
    if (this.original === NO_ORIGINAL_DESTINATION && listeners.some(restoresDestination)) {
      this.original = await loadOriginalDestination();
    }
    for (const { bindAddress } of snapshot.clusters.values()) {
      if (bindAddress?.kind !== "tcp" || bindAddress.networkNamespace === undefined) continue;
      await loadSystemSockets();
      return;
    }
  }

  /** Throws a UserError where this machine can't serve what only intercepted connections are for. */
  check(listener: Listener): void {
    if (listener.outrigger?.virtual === undefined || this.original !== NO_ORIGINAL_DESTINATION) return;
    throw new UserError([
      {
        resource: `listener "${listener.name}"`,
        message:
          "where intercepted connections were going is not to be had here: that needs Linux and the optional package koffi",
      },
    ]);
  }

  /**
   * Listeners and endpoints have changed: looks them up anew, yielding on the way. Until it has ended connections go where
   * they went before, so that no half of a big configuration is ever looked up.
   */
  *renew(): Generator<void, void> {
    if (this.#index !== null) this.#index = yield* this.#build();
  }

  /**
   * Hands a connection to the listener of its restored destination: the one at that address, else, from a virtual listener,
   * that of the service whose endpoint is there, else the one at that port of any address. False: there is none but `from`.
   */
  handOver(arrival: Arrival, from: Listener): boolean {
    if (!arrival.restored) return false;
    this.#index ??= complete(this.#build());
    const { places, endpoints } = this.#index;
    const { destinationAddress: host, destinationPort: port } = arrival;
    const key = placeOf(host, port);
    let to = places.get(key);
    if (to === undefined && from.outrigger?.virtual?.kind === "outbound") {
      to = endpoints.get(key);
      if (to !== undefined) arrival.pinned = to.config.name;
    }
    to ??= places.get(placeOf(host.includes(":") ? "::" : "0.0.0.0", port));
    if (to === undefined || to.config.name === from.name) return false;
    to.take(arrival);
    return true;
  }

  *#build(): Generator<void, ListenerIndex> {
    const places = new Map<string, TakingListener>();
    const services = new Map<string, TakingListener>();
    for (const listener of this.#listeners()) {
      yield;
      const { name, address, additionalAddresses, outrigger } = listener.config;
      if (outrigger?.service) services.set(name, listener);
      // Nobody means to call a virtual listener; that its port is taken here says nothing about other machines.
      if (outrigger?.virtual !== undefined) continue;
      for (const place of [address, ...(additionalAddresses ?? [])]) {
        if (place.kind !== "tcp") continue;
        places.set(placeOf(place.host, place.port), listener);
        if (place.host === "::" && place.ipv4Compat) places.set(placeOf("0.0.0.0", place.port), listener);
      }
    }
    const endpoints = new Map<string, TakingListener>();
    for (const cluster of this.#clusters.all()) {
      yield;
      const listener = services.get(cluster.name);
      if (listener === undefined || cluster.config.discovery.kind !== "eds") continue;
      for (const { key, config } of cluster.endpoints) {
        if (!endpoints.has(key)) endpoints.set(key, listener);
        for (const address of config.additionalAddresses ?? []) {
          const more = formatAddress(address);
          if (!endpoints.has(more)) endpoints.set(more, listener);
        }
      }
    }
    return { places, endpoints };
  }
}

function placeOf(host: string, port: number): string {
  return formatAddress({ kind: "tcp", host, port });
}
