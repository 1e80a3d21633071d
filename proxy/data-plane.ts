/**
 * The data plane as a whole: takes each frozen snapshot, builds what is new, swaps it in, and drains what is gone.
 * Make before break: clusters come before the routes that use them, and go after them.
 */

import type { WorkloadCertificate } from "../certs/workload-certificate.ts";
import { type Clock, EventClock } from "../core/clock.ts";
import { messageOf, type Problem, UserError } from "../core/errors.ts";
import { logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import type { SharedState } from "../core/shared-state.ts";
import { Pace } from "../core/slices.ts";
import { TimerWheel, WheelTimer } from "../core/timer-wheel.ts";
import type { Watch } from "../core/watch.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { EMPTY_SNAPSHOT } from "../model/snapshot.ts";
import { HttpStats } from "./http/http-stats.ts";
import { Interception } from "./interception.ts";
import type { ListeningPlaces } from "./listener/places.ts";
import { ListenerRuntime } from "./listener-runtime.ts";
import { type NameService, OnDemand } from "./on-demand.ts";
import { type OutboundObserver, UpstreamClusters } from "./outbound.ts";
import type { ProxyTelemetry } from "./proxy-telemetry.ts";
import { type CompiledRouteTable, compileRouteTable } from "./router/compile-routes.ts";
import { findLocalAddress } from "./router/forwarded.ts";
import { ContextCache } from "./tls/context-cache.ts";
import { secretsView } from "./tls/secrets-view.ts";

export interface DataPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: ProxyTelemetry;
  readonly clusterObserver: OutboundObserver;
  /** The workload's own certificate and roots; null where only the configuration brings certificates. */
  readonly identity: Pick<Watch<WorkloadCertificate>, "get"> | null;
  /** Name of the workload in metrics: `orders.default`. */
  readonly workload: string;
  /** How long connections of a listener that is gone or draining may last, ms. */
  readonly drainMs: number;
  /** What all data-plane threads of the process count together. Absent: this is the only one. */
  readonly shared?: SharedState;
  /** Where the listeners of all those threads are. Absent: this is the only one. */
  readonly places?: ListeningPlaces;
  /** Whom to ask for what is called and not known. Absent: nobody. */
  readonly names?: NameService;
  /** Common to all those threads, so that any of them resumes TLS sessions that another began. Absent: this is the only one. */
  readonly ticketSecret?: Uint8Array;
}

/**
 * In a drain, how long an idle connection is kept for a request that may be on its way. Callers that ask more often than
 * this learn from an answer that the connection ends; for others a longer wait would only hold up the end.
 */
const IDLE_GRACE_MS = 1000;

/** How often connections that follow an older configuration are looked after. */
const SWEEP_MS = 1000;

export class DataPlane {
  readonly wheel: TimerWheel;
  readonly clusters: UpstreamClusters;
  readonly #options: DataPlaneOptions;
  /** Read once per event; the data path asks for the time often. */
  readonly #clock: EventClock;
  readonly #listeners = new Map<string, ListenerRuntime>();
  /** Gone from the configuration, with connections that are ending; and when what is open of them is cut. */
  readonly #retired = new Map<ListenerRuntime, number>();
  /** Armed while connections are open that follow an older configuration. */
  readonly #sweepTimer = new WheelTimer(() => this.#sweep());
  /** Compiled route tables by the data that they were compiled from. */
  readonly #tables = new WeakMap<RouteTable, CompiledRouteTable>();
  /** By `stat_prefix`; kept while a configuration names it. */
  readonly #httpStats = new Map<string, HttpStats>();
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #applying: Promise<unknown> = Promise.resolve();
  /** This machine's, asked for once for each configuration; null: not yet. */
  #localAddress: string | null = null;
  #draining = false;
  #closed = false;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    const clock = new EventClock(options.clock);
    this.#clock = clock;
    this.wheel = new TimerWheel(clock);
    const secrets = secretsView({ get: () => this.#snapshot }, options.identity);
    const contexts = new ContextCache(options.ticketSecret);
    this.clusters = new UpstreamClusters({
      clock,
      wheel: this.wheel,
      random: options.random,
      log: logger("cluster"),
      observer: options.clusterObserver,
      shared: options.shared ?? null,
      secrets,
      contexts,
    });
    this.#interception = new Interception(this.clusters, () => this.#listeners.values(), clock);
    this.#onDemand = options.names ? new OnDemand(options.names, clock, this.wheel, options.telemetry.onDemand) : null;
    this.#deps = {
      ...options,
      onDemand: this.#onDemand,
      interception: this.#interception,
      clock,
      wheel: this.wheel,
      clusters: this.clusters,
      secrets,
      contexts,
      httpStats: (prefix) => this.#statsOf(prefix),
      table: (t) => this.#table(t),
      localAddress: () => (this.#localAddress ??= findLocalAddress()),
    };
  }

  readonly #deps: ConstructorParameters<typeof ListenerRuntime>[1];
  readonly #interception: Interception;
  readonly #onDemand: OnDemand | null;

  /** The snapshot in force. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Numbers of the connections that callers have opened, by the connection managers' `stat_prefix`. */
  get httpStats(): ReadonlyMap<string, HttpStats> {
    return this.#httpStats;
  }

  get listeners(): Iterable<ListenerRuntime> {
    return this.#listeners.values();
  }

  /**
   * Puts a snapshot in force; calls are carried out one after another. Returns what could not be done (a port in use):
   * the rest is in force all the same.
   */
  apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    const done = this.#applying.then(() => this.#apply(snapshot));
    this.#applying = done.catch(() => undefined);
    return done;
  }

  async #apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    this.#clock.refresh();
    const pace = new Pace(this.#options.clock);
    const problems: Problem[] = [];
    await this.#interception.prepare(snapshot);
    this.#snapshot = snapshot;
    this.#localAddress = null;
    await this.#inSlices(this.clusters.addAndChange(snapshot), pace);
    let leaving = this.#leaving(snapshot);
    const failed: Listener[] = [];
    for (const listener of inOrder(snapshot.listeners.values())) {
      if (this.#draining) break;
      if ((await this.#applyListener(listener, snapshot, leaving)) !== null) failed.push(listener);
      if (pace.due) await this.#rest(pace);
    }
    for (const runtime of leaving) {
      this.#retire(runtime);
      if (pace.due) await this.#rest(pace);
    }
    leaving = [];
    // What was in the way may have moved since.
    for (const listener of failed) {
      const problem = this.#draining ? null : await this.#applyListener(listener, snapshot, leaving);
      if (problem !== null) problems.push(problem);
    }
    await this.#inSlices(this.#interception.renew(), pace);
    if (this.#closed) return problems;
    this.#onDemand?.look();
    this.clusters.removeUnused(snapshot);
    this.#sweep();
    return problems;
  }

  /** Carries out a task, giving way to requests where it takes long; what is left of it is not done once all is closed. */
  async #inSlices(task: Generator<void, void>, pace: Pace): Promise<void> {
    while (!this.#closed && !task.next().done) if (pace.due) await this.#rest(pace);
  }

  async #rest(pace: Pace): Promise<void> {
    await pace.rest();
    this.#clock.refresh();
  }

  async #applyListener(
    listener: Listener,
    snapshot: Snapshot,
    leaving: readonly ListenerRuntime[],
  ): Promise<Problem | null> {
    const known = this.#listeners.get(listener.name);
    try {
      this.#interception.check(listener);
      if (known !== undefined) {
        await known.update(listener, snapshot, this.#options.drainMs);
        return null;
      }
      const runtime = new ListenerRuntime(listener, this.#deps);
      runtime.useRoutes(snapshot);
      await runtime.bind(leaving);
      this.#listeners.set(listener.name, runtime);
      return null;
    } catch (error) {
      const [problem] = error instanceof UserError ? error.problems : [];
      return { resource: `listener "${listener.name}"`, message: messageOf(error), ...problem };
    }
  }

  /** Listeners that the snapshot has no more. */
  #leaving(snapshot: Snapshot): ListenerRuntime[] {
    return [...this.#listeners.values()].filter(({ config }) => !snapshot.listeners.has(config.name));
  }

  /** Its connections end with their next response, or are cut after the time for a drain. */
  #retire(runtime: ListenerRuntime): void {
    const { drainMs } = this.#options;
    this.#listeners.delete(runtime.config.name);
    this.#retired.set(runtime, this.#clock.now() + drainMs);
    runtime.leave(drainMs);
  }

  /** Looks after connections that follow older configurations; with the last of them go the clusters of those. */
  #sweep(): void {
    const now = this.#clock.now();
    for (const listener of this.#listeners.values()) listener.sweep(now);
    for (const [listener, end] of this.#retired) {
      if (now >= end) listener.close();
      if (listener.connections === 0) this.#retired.delete(listener);
    }
    const leaving = this.#retired.size > 0 || [...this.#listeners.values()].some(({ hasLeaving }) => hasLeaving);
    if (leaving) this.wheel.arm(this.#sweepTimer, SWEEP_MS);
    else {
      void this.#inSlices(this.clusters.forgetLeaving(), new Pace(this.#options.clock));
      this.#forgetStats();
    }
  }

  /** Numbers go with the last connection manager and the last connection of their prefix: prefixes may change for ever. */
  #forgetStats(): void {
    const used = new Set([...this.#listeners.values()].flatMap(({ config }) => statPrefixes(config)));
    for (const [prefix, stats] of this.#httpStats) {
      if (used.has(prefix) || stats.connections > 0) continue;
      this.#httpStats.delete(prefix);
      stats.faults?.close();
    }
  }

  #statsOf(prefix: string): HttpStats {
    let stats = this.#httpStats.get(prefix);
    if (stats === undefined) {
      stats = new HttpStats();
      this.#httpStats.set(prefix, stats);
    }
    return stats;
  }

  #table(table: RouteTable): CompiledRouteTable {
    let compiled = this.#tables.get(table);
    if (compiled === undefined) {
      compiled = compileRouteTable(table);
      this.#tables.set(table, compiled);
    }
    return compiled;
  }

  /**
   * Stops accepting, tells callers to go (`Connection: close`), and waits until requests under way have ended or the
   * deadline has passed; then everything is closed. One deadline for all of it.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#clock.refresh();
    const graceMs = Math.min(IDLE_GRACE_MS, deadlineMs / 2);
    for (const listener of this.#open()) listener.drain(graceMs);
    const { clock } = this.#options;
    const end = clock.now() + deadlineMs;
    while (clock.now() < end && this.#open().some((listener) => listener.connections > 0)) {
      await new Promise<void>((resolve) => clock.after(10, resolve));
    }
    this.close();
  }

  close(): void {
    this.#draining = true;
    this.#closed = true;
    this.wheel.cancel(this.#sweepTimer);
    this.#onDemand?.close();
    for (const listener of this.#open()) listener.close();
    this.clusters.close();
  }

  /** Listeners that have or may get connections. */
  #open(): ListenerRuntime[] {
    return [...this.#listeners.values(), ...this.#retired.keys()];
  }
}

/** Those that only take what others hand over come first: the others may accept connections for them at once. */
function inOrder(listeners: Iterable<Listener>): Listener[] {
  return [...listeners].sort((a, b) => Number(a.bindToPort) - Number(b.bindToPort));
}

/** Of a listener's connection managers. */
function statPrefixes({ filterChains, defaultFilterChain }: Listener): string[] {
  const chains = defaultFilterChain === null ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ filters }) =>
    filters.flatMap((filter) => (filter.kind === "http_connection_manager" ? [filter.config.statPrefix] : [])),
  );
}
