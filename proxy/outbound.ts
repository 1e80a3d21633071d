/**
 * The way out: the clusters of the configuration in force, each from its balancer and breaker down to the sockets. Only
 * what belongs to which stands here; `cluster/` decides, `endpoint/` keeps connections, `tls/` secures them.
 */
import type { EventClock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import type { SharedState } from "../core/shared-state.ts";
import type { TimerWheel } from "../core/timer-wheel.ts";
import type { Cluster } from "../model/cluster.ts";
import type { EndpointMetadata, EndpointSet } from "../model/endpoint.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { UpstreamTls } from "../model/tls.ts";
import { ClusterState } from "./cluster/cluster-state.ts";
import type { EndpointState } from "./cluster/endpoint-state.ts";
import type { ClusterObserver } from "./cluster/events.ts";
import type { UpstreamTlsConnector } from "./endpoint/connector.ts";
import { OwnConnections } from "./endpoint/own-connections.ts";
import { EndpointPool } from "./endpoint/pool.ts";
import { ClientTlsContext } from "./tls/client-context.ts";
import type { ContextCache } from "./tls/context-cache.ts";
import type { TlsFailureKind } from "./tls/failure.ts";
import type { SecretsView } from "./tls/secrets-view.ts";

export type UpstreamCluster = ClusterState<EndpointPool>;

/** What is told of clusters and of their connections. */
export interface OutboundObserver extends ClusterObserver {
  onUpstreamTls(cluster: string, version: string, resumed: boolean): void;
  onUpstreamTlsFailure(cluster: string, kind: TlsFailureKind): void;
}

export interface OutboundDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  readonly log: Logger;
  readonly observer: OutboundObserver;
  /** null: this thread is the only one. */
  readonly shared: SharedState | null;
  readonly secrets: SecretsView;
  readonly contexts: ContextCache;
}

const EMPTY: Omit<EndpointSet, "name"> = { localities: [], overprovisioningFactor: 140 };

const REMOVED = "the cluster was removed from the configuration";

export class UpstreamClusters {
  /** All connections of these clusters, for whoever has to tell them from those of callers. */
  readonly own = new OwnConnections();
  readonly #deps: OutboundDeps;
  readonly #clusters = new Map<string, UpstreamCluster>();
  /** Gone from the configuration, but not from that of connections which are ending. */
  readonly #leaving = new Map<string, UpstreamCluster>();
  /** The endpoint set that each EDS cluster was last given. */
  readonly #endpoints = new Map<string, EndpointSet>();
  /** TLS contexts live as long as the configuration that they are made of. */
  readonly #tls = new WeakMap<UpstreamTls, ClientTlsContext>();
  #onReady: () => void = () => undefined;

  constructor(deps: OutboundDeps) {
    this.#deps = deps;
  }

  get(name: string): UpstreamCluster | null {
    return this.#clusters.get(name) ?? null;
  }

  /** For connections that still follow an older configuration: a cluster of that name, though it may be gone since. */
  getForOld(name: string): UpstreamCluster | null {
    return this.#clusters.get(name) ?? this.#leaving.get(name) ?? null;
  }

  all(): Iterable<UpstreamCluster> {
    return this.#clusters.values();
  }

  /** Names of clusters whose first endpoints are not known yet. */
  unready(): string[] {
    return [...this.#clusters.values()].filter((cluster) => !cluster.ready).map((cluster) => cluster.name);
  }

  /** Calls back each time a cluster becomes ready. */
  onReady(callback: () => void): void {
    this.#onReady = callback;
  }

  /**
   * Adds and changes clusters, yielding between them; `removeUnused` takes the others away once nothing refers to them.
   */
  *addAndChange(snapshot: Snapshot): Generator<void, void> {
    for (const config of snapshot.clusters.values()) {
      yield;
      let cluster = this.#clusters.get(config.name);
      if (cluster === undefined) {
        cluster = this.#create(config);
        this.#clusters.set(config.name, cluster);
      } else cluster.updateConfig(config);
      if (config.discovery.kind !== "eds") continue;
      const name = config.discovery.serviceName || config.name;
      const set = snapshot.endpoints.get(name) ?? null;
      const before = this.#endpoints.get(config.name);
      if (set !== null && set !== before) {
        this.#endpoints.set(config.name, set);
        cluster.updateEndpoints(set);
      } else if (set === null && before === undefined) {
        // The control plane's patience has run out (`initial_fetch_timeout`): the cluster serves, with nobody in it.
        const empty = { name, ...EMPTY };
        this.#endpoints.set(config.name, empty);
        cluster.updateEndpoints(empty);
      }
    }
  }

  /** Takes clusters out of use that the snapshot does not have; they end with `forgetLeaving`. */
  removeUnused(snapshot: Snapshot): void {
    for (const [name, cluster] of this.#clusters) {
      if (snapshot.clusters.has(name)) continue;
      this.#clusters.delete(name);
      this.#endpoints.delete(name);
      this.#leaving.get(name)?.drain(REMOVED);
      this.#leaving.set(name, cluster);
    }
  }

  /** No connection follows an older configuration any more. Yields between clusters. */
  *forgetLeaving(): Generator<void, void> {
    for (const [name, cluster] of this.#leaving) {
      this.#leaving.delete(name);
      cluster.drain(REMOVED);
      yield;
    }
  }

  close(): void {
    for (const cluster of [...this.#clusters.values(), ...this.#leaving.values()]) cluster.close();
    this.#clusters.clear();
    this.#leaving.clear();
  }

  #create(config: Cluster): UpstreamCluster {
    const { clock, wheel, random, log, observer, shared } = this.#deps;
    return new ClusterState<EndpointPool>(config, {
      clock,
      wheel,
      random,
      log,
      observer,
      shared,
      onReady: () => this.#onReady(),
      createPool: (endpoint, cluster) =>
        new EndpointPool(
          endpoint,
          {
            get config() {
              return cluster.config;
            },
            stats: cluster.stats,
            limits: cluster.limits,
            tls: (target) => this.#tlsFor(cluster.config, target),
          },
          { clock, wheel, random, own: this.own },
        ),
    });
  }

  /** Envoy's `transport_socket_matches`: the first whose labels the endpoint has, else the cluster's own. */
  #tlsFor(config: Cluster, endpoint: EndpointState<EndpointPool>): UpstreamTlsConnector | null {
    const labels = endpoint.config.transportSocketMatch;
    const match = config.tlsMatches.find((candidate) => includes(labels, candidate.match));
    const tls = match === undefined ? config.tls : match.tls;
    if (tls === null) return null;
    let context = this.#tls.get(tls);
    if (context === undefined) {
      context = new ClientTlsContext(tls, this.#deps.secrets, this.#deps.contexts, this.#deps.clock, {
        onHandshake: (version, resumed) => this.#deps.observer.onUpstreamTls(config.name, version, resumed),
        onFailure: (kind) => this.#deps.observer.onUpstreamTlsFailure(config.name, kind),
      });
      this.#tls.set(tls, context);
    }
    return context;
  }
}

function includes(labels: EndpointMetadata, wanted: EndpointMetadata): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
