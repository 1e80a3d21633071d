/**
 * One upstream cluster at run time: its endpoints, balancer, limits, breaker and outlier detection, which live on when
 * its configuration changes. It does no I/O of its own except DNS; pools are made by whoever creates it.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import type { SharedState } from "../../core/shared-state.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import { formatAddress } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { EndpointSet } from "../../model/endpoint.ts";
import { type Breaker, type BreakerListener, LocalBreaker } from "./breaker.ts";
import { breakerEvent } from "./breaker-events.ts";
import { type ClusterReport, explainEndpoints, reportEndpoint, reportLimits } from "./cluster-report.ts";
import { ClusterStats } from "./cluster-stats.ts";
import { SharedCounts } from "./count.ts";
import { DnsDiscovery } from "./discovery-dns.ts";
import { type DnsResolver, systemResolver } from "./dns-resolver.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { ClusterEvent, ClusterObserver } from "./events.ts";
import { type Destination, type LbContext, LoadBalancer } from "./load-balancer/load-balancer.ts";
import { Membership } from "./membership.ts";
import { OriginalDstHosts, type OriginalDstOwner } from "./original-dst.ts";
import { OutlierDetector } from "./outlier/detector.ts";
import type { Pool } from "./pool.ts";
import { COUNTS_OF_CLUSTER, countsOf, localCounts, ResourceLimits } from "./resource-limits.ts";
import { SharedBreaker } from "./shared-breaker.ts";

export interface ClusterDeps<P extends Pool> {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  readonly log: Logger;
  readonly observer: ClusterObserver;
  /** Counts of the process. Absent or null: this thread is the only one. */
  readonly shared?: SharedState | null;
  readonly createPool: (endpoint: EndpointState<P>, cluster: ClusterState<P>) => P;
  /** Absent: the machine's own. */
  readonly resolver?: DnsResolver;
  /** The first endpoints are there (or it is known that there are none). */
  readonly onReady?: (cluster: ClusterState<P>) => void;
}

export class ClusterState<P extends Pool = Pool> {
  readonly stats = new ClusterStats();
  /** Of requests with default and with high priority. */
  readonly limits: ResourceLimits;
  readonly highLimits: ResourceLimits;
  /** null: this thread counts alone. */
  readonly #counts: SharedCounts | null;
  #config: Cluster;
  readonly #deps: ClusterDeps<P>;
  readonly #observer: ClusterObserver;
  readonly #membership: Membership<P>;
  /** The set in force; null: none yet. */
  #endpointSet: EndpointSet | null = null;
  /** Built when next needed after a change of endpoints or their health. */
  #balancer: LoadBalancer<EndpointState<P>> | null = null;
  #breaker: Breaker | null = null;
  #detector: OutlierDetector | null = null;
  #dns: DnsDiscovery | null = null;
  /** null: the endpoints are not the callers' to name. */
  #originalDst: OriginalDstHosts<P> | null = null;
  #ready = false;

  constructor(config: Cluster, deps: ClusterDeps<P>) {
    this.#config = config;
    this.#deps = deps;
    this.#observer = { onClusterEvent: (event) => this.#tell(event) };
    const dryRun = config.outrigger?.mode === "dry_run";
    const counts = deps.shared ? SharedCounts.acquire(deps.shared, `cluster ${config.name}`, COUNTS_OF_CLUSTER) : null;
    const limits = (priority: "default" | "high"): ResourceLimits =>
      new ResourceLimits(
        config.limits[priority],
        this.stats,
        dryRun,
        counts === null ? localCounts() : countsOf(counts, priority),
      );
    this.#counts = counts;
    this.limits = limits("default");
    this.highLimits = limits("high");
    this.#membership = new Membership<P>({
      onAdded: (endpoint) => this.#detector?.add(endpoint),
      onRemoved: (endpoint) => {
        this.#detector?.remove(endpoint);
        endpoint.pool?.drain("the endpoint was removed");
      },
      onReconnect: (endpoint) =>
        this.#renewPool(endpoint, "the endpoint's name, additional addresses or TLS settings changed"),
    });
    this.#makeBreaker();
    this.#makeDetector();
    this.#discover();
  }

  get name(): string {
    return this.#config.name;
  }

  get config(): Cluster {
    return this.#config;
  }

  /** null: the cluster has none. */
  get breaker(): Breaker | null {
    return this.#breaker;
  }

  /** Whether its first endpoints are known: static ones at once, others when discovery has answered. */
  get ready(): boolean {
    return this.#ready;
  }

  get endpoints(): Iterable<EndpointState<P>> {
    return this.#membership.values();
  }

  limitsFor(priority: "default" | "high"): ResourceLimits {
    return priority === "high" ? this.highLimits : this.limits;
  }

  /** Takes a new configuration of the same name; what did not change is kept, connections and counts above all. */
  updateConfig(config: Cluster): void {
    const before = this.#config;
    // A control plane sends all clusters again when one has changed.
    if (config === before || isDeepStrictEqual(config, before)) return;
    this.#config = config;
    const dryRun = config.outrigger?.mode === "dry_run";
    this.limits.update(config.limits.default, dryRun);
    this.highLimits.update(config.limits.high, dryRun);
    const same = (part: (cluster: Cluster) => unknown): boolean => isDeepStrictEqual(part(before), part(config));
    if (!same((c) => [c.outrigger?.breaker, c.outrigger?.mode])) this.#makeBreaker();
    if (
      !same((c) => [c.outlierDetection, c.outrigger?.probeBeforeReadmission, c.outrigger?.mode, c.outrigger === null])
    ) {
      this.#makeDetector();
    }
    if (!same((c) => [c.tls, c.tlsMatches, c.http, c.bindAddress, c.tcpKeepalive])) {
      for (const endpoint of this.endpoints) this.#renewPool(endpoint, "the cluster's connection settings changed");
    }
    if (!same((c) => c.discovery)) this.#discover();
    if (!same((c) => [c.lbPolicy, c.commonLb, c.outlierDetection, c.outrigger])) this.#onHealthChange();
  }

  /** Takes a set of endpoints; those that are known by their address keep their pools and counts. */
  updateEndpoints(set: EndpointSet): void {
    this.stats.update_success++;
    this.#apply(set);
  }

  /** The endpoint for one attempt, null if none may be used (UH). */
  choose(context: LbContext): EndpointState<P> | null {
    const { destination } = context;
    if (destination !== null || this.#originalDst !== null) return this.#meant(destination);
    const detector = this.#detector;
    detector?.catchUp();
    // A first attempt may serve as a probe; a retry goes where it is likeliest to succeed.
    if (detector?.hasProbes === true && context.hostSelectionRetries === 0) {
      const probe = detector.takeProbe();
      if (probe !== null) return this.#membership.get(probe.key);
    }
    const endpoint = (this.#balancer ?? this.#rebuild()).choose(context);
    if (endpoint === null) this.stats.upstream_cx_none_healthy++;
    else if (
      context.triedHosts.length > 0 &&
      this.#config.outrigger !== null &&
      context.triedHosts.includes(endpoint)
    ) {
      return this.#untried(context.triedHosts) ?? endpoint;
    }
    return endpoint;
  }

  /** The endpoint that the caller called: made where the cluster is ORIGINAL_DST, else the one of that address. */
  #meant(destination: Destination | null): EndpointState<P> | null {
    let endpoint: EndpointState<P> | null = null;
    if (destination !== null) {
      endpoint = this.#originalDst?.at(destination) ?? this.#membership.at({ kind: "tcp", ...destination });
    }
    if (endpoint === null) this.stats.upstream_cx_none_healthy++;
    return endpoint;
  }

  /**
   * A healthy endpoint that was not tried, the least busy of the best priority. Envoy draws a few times and then takes what
   * came: as often as not the one that is down, which by its load looks the best.
   */
  #untried(tried: readonly object[]): EndpointState<P> | null {
    let best: EndpointState<P> | null = null;
    for (const endpoint of this.endpoints) {
      if (!endpoint.healthy || tried.includes(endpoint)) continue;
      const order =
        best === null ? -1 : endpoint.priority - best.priority || endpoint.activeRequests - best.activeRequests;
      if (order < 0) best = endpoint;
    }
    return best;
  }

  /** The endpoint's pool, made when it is first needed. */
  poolOf(endpoint: EndpointState<P>): P {
    return (endpoint.pool ??= this.#deps.createPool(endpoint, this));
  }

  /** A call that the breaker allowed has ended for good, retries included. */
  recordOutcome(success: boolean, durationMs: number): void {
    this.#breaker?.record(success, durationMs);
  }

  /** A call that the breaker allowed ended without an outcome: the caller went away. */
  recordAbandoned(): void {
    this.#breaker?.abandon();
  }

  /** Why endpoints are out, as one sentence: `10.0.0.3:80 ejected 4 s ago: 5 consecutive 5xx; …`. */
  why(destination: Destination | null = null): string {
    if (this.#originalDst !== null) return "nothing tells where the call was going: its connection was not intercepted";
    if (destination !== null) {
      return `${formatAddress({ kind: "tcp", ...destination })}, which was called by its own address, is no endpoint any more`;
    }
    this.#detector?.catchUp();
    return explainEndpoints(this.endpoints, this.#ready, this.#detector);
  }

  /** Everything that `/clusters` and metrics show. */
  report(): ClusterReport {
    this.#detector?.catchUp();
    return {
      name: this.name,
      ready: this.#ready,
      stats: this.stats,
      limits: { default: reportLimits(this.limits), high: reportLimits(this.highLimits) },
      breaker: this.#breaker?.stats() ?? null,
      outlier: this.#detector?.stats ?? null,
      endpoints: [...this.endpoints].map((endpoint) => reportEndpoint(endpoint, this.#detector)),
    };
  }

  /** Ends timers and discovery and drains the pools: the cluster is gone from the configuration. */
  drain(reason: string): void {
    this.#stop();
    for (const endpoint of this.endpoints) endpoint.pool?.drain(reason);
  }

  /** As `drain`, but closes connections at once. */
  close(): void {
    this.#stop();
    for (const endpoint of this.endpoints) endpoint.pool?.close();
  }

  #stop(): void {
    this.#dns?.close();
    this.#originalDst?.close();
    this.#breaker?.close();
    this.#detector?.close();
    this.#counts?.close();
  }

  #apply(set: EndpointSet): void {
    if (!isDeepStrictEqual(set, this.#endpointSet)) {
      this.#endpointSet = set;
      if (this.#membership.update(set, this.#config.discovery.kind)) this.stats.membership_change++;
      this.#onHealthChange();
    }
    if (this.#ready) return;
    this.#ready = true;
    this.#deps.onReady?.(this);
  }

  /** Endpoints came, went, or changed their health: the next request builds the balancer anew. */
  #onHealthChange(): void {
    this.#balancer = null;
    let healthy = 0;
    let degraded = 0;
    for (const endpoint of this.endpoints) {
      if (endpoint.healthy) healthy++;
      else if (endpoint.degraded) degraded++;
    }
    this.stats.membership_total = this.#membership.size;
    this.stats.membership_healthy = healthy;
    this.stats.membership_degraded = degraded;
  }

  #discover(): void {
    this.#dns?.close();
    this.#dns = null;
    const { discovery } = this.#config;
    const nobody: EndpointSet = { name: this.name, localities: [], overprovisioningFactor: 140 };
    if (this.#originalDst !== null) {
      this.#originalDst.close();
      this.#originalDst = null;
      this.#membership.update(nobody, discovery.kind);
    }
    if (discovery.kind === "original_dst") {
      this.#originalDst = new OriginalDstHosts(discovery.cleanupIntervalMs, this.#originalDstOwner, this.#deps.wheel);
      this.#apply(nobody);
    }
    if (discovery.kind === "static") this.#apply(discovery.endpoints);
    if (discovery.kind !== "strict_dns" && discovery.kind !== "logical_dns") return;
    const { clock, random, resolver = systemResolver, log } = this.#deps;
    this.#dns = new DnsDiscovery(discovery.endpoints, discovery.kind === "logical_dns", discovery.dns, {
      clock,
      random,
      resolver,
      onEndpoints: (set) => this.#apply(set),
      onAttempt: (host, error) => {
        this.stats.update_attempt++;
        if (error === "") {
          this.stats.update_success++;
          return;
        }
        this.stats.update_failure++;
        log.warn({ cluster: this.name, host, error }, "DNS name not resolved; the last result stays in force");
      },
    });
    this.#dns.start();
  }

  readonly #originalDstOwner: OriginalDstOwner<P> = {
    add: (config, source) => {
      const endpoint = this.#membership.addOne(config, source);
      this.stats.membership_change++;
      this.stats.membership_total++;
      this.stats.membership_healthy++;
      return endpoint;
    },
    remove: (endpoints) => {
      for (const endpoint of endpoints) this.#membership.removeOne(endpoint);
      this.stats.membership_change++;
      this.#onHealthChange();
    },
  };

  #makeBreaker(): void {
    this.#breaker?.close();
    this.#breaker = null;
    const { outrigger, name } = this.#config;
    if (outrigger === null || outrigger.breaker === null) return;
    const { breaker: policy, mode } = outrigger;
    const { clock, wheel, shared } = this.#deps;
    const { stats } = this;
    const onChange: BreakerListener = (after, totals, before) =>
      this.#tell(breakerEvent(name, before, after, totals, policy, mode));
    this.#breaker =
      (shared ? SharedBreaker.acquire(name, policy, mode, { clock, shared, stats }, onChange) : null) ??
      new LocalBreaker(policy, mode, { clock, wheel, stats }, onChange);
  }

  #makeDetector(): void {
    this.#detector?.close();
    this.#detector = null;
    const { outlierDetection, outrigger, name } = this.#config;
    if (outlierDetection === null) return;
    const { clock, random, shared = null } = this.#deps;
    const own =
      outrigger === null
        ? null
        : { probeBeforeReadmission: outrigger.probeBeforeReadmission, dryRun: outrigger.mode === "dry_run" };
    this.#detector = new OutlierDetector(outlierDetection, own, {
      cluster: name,
      clock,
      random,
      observer: this.#observer,
      shared,
      onChange: () => this.#onHealthChange(),
    });
    for (const endpoint of this.endpoints) this.#detector.add(endpoint);
  }

  #rebuild(): LoadBalancer<EndpointState<P>> {
    const { lbPolicy, commonLb } = this.#config;
    this.#balancer = new LoadBalancer(
      { policy: lbPolicy, common: commonLb, overprovisioningFactor: this.#endpointSet?.overprovisioningFactor ?? 140 },
      this.#membership.levels,
      this.#deps.random,
      this.stats,
    );
    return this.#balancer;
  }

  #renewPool(endpoint: EndpointState<P>, reason: string): void {
    endpoint.pool?.drain(reason);
    endpoint.pool = null;
  }

  #tell(event: ClusterEvent): void {
    const { cluster, endpoint, message } = event;
    this.#deps.log.info(endpoint === "" ? { cluster } : { cluster, endpoint }, message);
    this.#deps.observer.onClusterEvent(event);
  }
}

/** A cluster ready for use; its endpoints come from its configuration, DNS, or `updateEndpoints` (EDS). */
export function createClusterState<P extends Pool>(config: Cluster, deps: ClusterDeps<P>): ClusterState<P> {
  return new ClusterState(config, deps);
}
