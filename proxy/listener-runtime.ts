/**
 * One listener as it lives through configurations. Its socket stays bound and its connections stay open as long as the
 * filter chain that they came through means the same; only what is new to a connection applies to new ones.
 */
import { isDeepStrictEqual } from "node:util";
import type { EventClock } from "../core/clock.ts";
import type { Random } from "../core/random.ts";
import type { SharedState } from "../core/shared-state.ts";
import type { TimerWheel } from "../core/timer-wheel.ts";
import type { HttpConnectionManager } from "../model/http.ts";
import type { FilterChain, Listener } from "../model/listener.ts";
import type { RouteTable } from "../model/route.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { TcpProxy } from "../model/tcp.ts";
import { ActiveFaults } from "./filters/active-faults.ts";
import { OnDemandStage } from "./filters/on-demand.ts";
import { compileNetworkRbac } from "./filters/rbac-network.ts";
import { compileRuntime, type RuntimeParts, serverOptions } from "./http/compile-runtime.ts";
import type { HttpStats } from "./http/http-stats.ts";
import { compileObserve } from "./http/observe.ts";
import type { HttpContext, HttpRuntime } from "./http/runtime.ts";
import { HttpTerminal } from "./http/terminal.ts";
import { InboundListener } from "./inbound.ts";
import type { Interception, TakingListener } from "./interception.ts";
import type { Arrival } from "./listener/arrival.ts";
import type { CompiledFilterChain } from "./listener/compile-chain.ts";
import { ConnectionLog } from "./listener/connection-log.ts";
import { BoundListener } from "./listener/listener.ts";
import type { ListeningPlaces } from "./listener/places.ts";
import type { Terminal } from "./listener/terminal.ts";
import type { OnDemand } from "./on-demand.ts";
import type { UpstreamClusters } from "./outbound.ts";
import type { ProxyTelemetry } from "./proxy-telemetry.ts";
import type { CompiledRouteTable } from "./router/compile-routes.ts";
import { newRequestId } from "./router/request-id.ts";
import { compileTcp, TcpTerminal } from "./tcp/compile-tcp.ts";
import type { TcpRuntime } from "./tcp/runtime.ts";
import type { ContextCache } from "./tls/context-cache.ts";
import type { SecretsView } from "./tls/secrets-view.ts";
import { ServerTlsContext } from "./tls/server-context.ts";

export interface ListenerDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  readonly telemetry: ProxyTelemetry;
  readonly clusters: UpstreamClusters;
  readonly secrets: SecretsView;
  readonly contexts: ContextCache;
  readonly workload: string;
  readonly interception: Interception;
  /** null: there is nobody to ask. */
  readonly onDemand: OnDemand | null;
  /** Counts of all threads of the process. Absent: this is the only one. */
  readonly shared?: SharedState;
  /** Where other threads listen as well. Absent: this is the only one. */
  readonly places?: ListeningPlaces;
  /** The numbers of connection managers with that `stat_prefix`. */
  readonly httpStats: (statPrefix: string) => HttpStats;
  /** This machine's address, for callers on loopback. */
  readonly localAddress: () => string;
  /** Compiles a route table, or finds it compiled. */
  readonly table: (table: RouteTable) => CompiledRouteTable;
}

/** What connections of a chain run on, one for all versions of the chain that mean the same to a connection. */
interface SharedRuntime {
  /** null: opaque bytes. */
  runtime: HttpRuntime | null;
  /** What new opaque connections begin with, and keep; null: HTTP. */
  tcp: TcpRuntime | null;
  /** Whether that runtime's configuration is the one in force. */
  standing: { inForce: boolean };
}

/** Where the runtime of a filter chain is kept: replaced under the connections that came through the chain. */
interface ChainSlot {
  readonly config: FilterChain;
  shared: SharedRuntime;
}

export class ListenerRuntime implements TakingListener {
  readonly #deps: ListenerDeps;
  #config: Listener;
  /** One for each address; none with `bind_to_port: false`. */
  #bound: readonly BoundListener[] = [];
  #inbound: InboundListener;
  /** Earlier versions whose connections are still open, and when what is open of them is cut (monotonic ms). */
  readonly #old = new Map<InboundListener, number>();
  #slots: ChainSlot[] = [];
  /** RDS tables in force, by name. */
  #tables: ReadonlyMap<string, CompiledRouteTable> = new Map();

  constructor(config: Listener, deps: ListenerDeps) {
    this.#deps = deps;
    this.#config = config;
    this.#inbound = this.#compile(config);
  }

  get config(): Listener {
    return this.#config;
  }

  get boundAddress(): { readonly host: string; readonly port: number } | null {
    return this.#bound[0]?.boundAddress ?? null;
  }

  /** Open connections, those of earlier versions and those still in their handshake included; who waits to be accepted, as one. */
  get connections(): number {
    let { open } = this.#inbound;
    for (const bound of this.#bound) if (bound.emptying) open++;
    for (const old of this.#old.keys()) open += old.open;
    return open;
  }

  /** Whether connections are open that follow a configuration which is not in force any more. */
  get hasLeaving(): boolean {
    for (const [old, end] of this.#old) if (old.leaving > 0 || (end !== Infinity && old.open > 0)) return true;
    return false;
  }

  /** Forgets earlier versions whose connections have ended, and cuts those whose time is up. */
  sweep(now: number): void {
    for (const [old, end] of this.#old) {
      if (now >= end) old.close();
      else old.sweep(now);
      if (old.open === 0) this.#old.delete(old);
    }
  }

  /** Takes a connection that another listener has accepted. */
  take(arrival: Arrival): void {
    this.#inbound.take(arrival);
  }

  /** Binds; from a listener in `leaving` that is bound to the same address its socket is taken over. */
  async bind(leaving: readonly ListenerRuntime[]): Promise<void> {
    const theirs = leaving.flatMap((listener) => listener.#bound);
    this.#bound = await BoundListener.bindAll(this.#config, theirs, this.#inbound.accept, this.#deps.places);
    for (const listener of leaving) listener.#bound = listener.#bound.filter((bound) => !this.#bound.includes(bound));
  }

  useRoutes(snapshot: Snapshot): void {
    const tables = new Map<string, CompiledRouteTable>();
    for (const name of routeNames(this.#config)) {
      const table = snapshot.routes.get(name);
      if (table !== undefined) tables.set(name, this.#deps.table(table));
    }
    this.#tables = tables;
  }

  async update(config: Listener, snapshot: Snapshot, drainMs: number): Promise<void> {
    // A control plane sends all listeners again when one has changed.
    if (config === this.#config || isDeepStrictEqual(config, this.#config)) {
      this.#config = config;
      this.useRoutes(snapshot);
      return;
    }
    const moved = !isDeepStrictEqual(placesOf(this.#config), placesOf(config));
    const old = this.#inbound;
    const oldSlots = this.#slots;
    let next: InboundListener;
    try {
      next = this.#compile(config);
      if (moved) {
        const bound = await BoundListener.bindAll(config, this.#bound, next.accept, this.#deps.places);
        for (const before of this.#bound) if (!bound.includes(before)) before.stopAccepting();
        this.#bound = bound;
      } else for (const bound of this.#bound) bound.update(config, next.accept);
    } catch (error) {
      this.#slots = oldSlots;
      throw error;
    }
    this.#config = config;
    this.useRoutes(snapshot);
    this.#inbound = next;
    for (const slot of oldSlots) this.#adopt(slot);
    const now = this.#deps.clock.now();
    this.#old.set(old, Infinity);
    for (const [version, end] of this.#old) {
      if (moved) {
        version.drain(drainMs);
        this.#old.set(version, Math.min(end, now + drainMs));
      } else version.drainLeaving(drainMs, now + drainMs);
    }
    this.sweep(now);
  }

  /** Accepts no more; connections end with their next response, at the latest after `graceMs`. */
  drain(graceMs: number): void {
    for (const bound of this.#bound) bound.stopAccepting();
    this.#inbound.drain(graceMs);
    for (const old of this.#old.keys()) old.drain(graceMs);
  }

  /** The listener is gone from the configuration: what is open lives on with what it had. */
  leave(graceMs: number): void {
    this.drain(graceMs);
    for (const { shared } of this.#slots) shared.standing.inForce = false;
  }

  close(): void {
    for (const bound of this.#bound) bound.close();
    this.#inbound.close();
    for (const old of this.#old.keys()) old.close();
  }

  /** Connections of the slot's chain follow the new configuration if its chain means the same to a connection. */
  #adopt(slot: ChainSlot): void {
    const heir = this.#slots.find(
      ({ config, shared }) =>
        config.name === slot.config.name &&
        (shared.runtime === null) === (slot.shared.runtime === null) &&
        isDeepStrictEqual([config.match, config.tls], [slot.config.match, slot.config.tls]) &&
        // Calls are judged one by one by the rules in force; an opaque connection was judged when it was accepted.
        (shared.runtime !== null || isDeepStrictEqual(config.filters.slice(0, -1), slot.config.filters.slice(0, -1))),
    );
    if (heir === undefined) {
      slot.shared.standing.inForce = false;
      return;
    }
    slot.shared.runtime = heir.shared.runtime;
    slot.shared.tcp = heir.shared.tcp;
    slot.shared.standing = heir.shared.standing;
    heir.shared = slot.shared;
  }

  #compile(config: Listener): InboundListener {
    this.#slots = [];
    const { clock, wheel, telemetry, interception, onDemand } = this.#deps;
    return new InboundListener(config, (chain) => this.#compileChain(config, chain), {
      clock,
      wheel,
      observer: telemetry.connections(config),
      interception,
      onDemand,
      log: config.accessLogs.length === 0 ? null : new ConnectionLog(telemetry.accessLogs(config.accessLogs), clock),
    });
  }

  #compileChain(listener: Listener, chain: FilterChain): CompiledFilterChain {
    const { secrets, contexts } = this.#deps;
    const checks = chain.filters.flatMap((filter) =>
      filter.kind === "rbac"
        ? (compileNetworkRbac(filter.policy, this.#deps.telemetry.rbac(filter.statPrefix)) ?? [])
        : [],
    );
    const { tls } = chain;
    const end = this.#compileTerminal(listener, chain);
    return {
      name: chain.name,
      tls: tls === null ? null : new ServerTlsContext(tls, secrets, contexts),
      readsHello: tls !== null && (tls.alpn.length > 0 || tls.certificates.length > 1),
      handshakeTimeoutMs: chain.transportSocketConnectTimeoutMs,
      check: (info) => {
        for (const check of checks) {
          const verdict = check(info);
          if (!verdict.allowed) return verdict;
        }
        return null;
      },
      terminal: end?.terminal ?? null,
      get inForce() {
        return end === null || end.slot.shared.standing.inForce;
      },
    };
  }

  /** null: the chain has no terminal filter. */
  #compileTerminal(
    listener: Listener,
    chain: FilterChain,
  ): { readonly terminal: Terminal; readonly slot: ChainSlot } | null {
    const filter = chain.filters.at(-1);
    const standing = { inForce: true };
    if (filter?.kind === "tcp_proxy") {
      const slot: ChainSlot = { config: chain, shared: { runtime: null, tcp: null, standing } };
      const tcp = this.#compileTcp(listener, filter.config, slot);
      slot.shared.tcp = tcp;
      this.#slots.push(slot);
      const source = {
        get runtime() {
          return slot.shared.tcp ?? tcp;
        },
        get inForce() {
          return slot.shared.standing.inForce;
        },
      };
      return { terminal: new TcpTerminal(source), slot };
    }
    if (filter?.kind !== "http_connection_manager") return null;
    const { config } = filter;
    const runtime = this.#compileRuntime(listener, config, standing);
    const shared = { runtime, tcp: null, standing };
    const slot: ChainSlot & { shared: { runtime: HttpRuntime } } = { config: chain, shared };
    this.#slots.push(slot);
    const terminal = new HttpTerminal(config.codecType, serverOptions(config), () => slot.shared.runtime);
    return { terminal, slot };
  }

  #unknown({ outrigger }: Listener): RuntimeParts["unknown"] {
    const { onDemand } = this.#deps;
    if (onDemand === null || !outrigger?.onDemand?.virtualHost) return null;
    const { virtualHost, timeoutMs } = outrigger.onDemand;
    return { virtualHost, stage: new OnDemandStage(onDemand, timeoutMs) };
  }

  #compileTcp(listener: Listener, config: TcpProxy, slot: ChainSlot): TcpRuntime {
    const { clock, wheel, random, clusters, telemetry, workload } = this.#deps;
    return compileTcp(config, {
      clock,
      wheel,
      random,
      telemetry,
      workload,
      listener,
      cluster: (name) => (slot.shared.standing.inForce ? clusters.get(name) : clusters.getForOld(name)),
      bufferLimit: listener.perConnectionBufferLimitBytes,
      direction: listener.trafficDirection,
    });
  }

  #compileRuntime(
    listener: Listener,
    config: HttpConnectionManager,
    standing: { readonly inForce: boolean },
  ): HttpRuntime {
    const { clock, wheel, random, clusters, telemetry, workload } = this.#deps;
    const localAddress = this.#deps.localAddress();
    const context: HttpContext = {
      clock,
      wheel,
      random,
      localAddress,
      cluster: (name) => (standing.inForce ? clusters.get(name) : clusters.getForOld(name)),
    };
    const { routes } = config;
    const inline = routes.kind === "inline" ? this.#deps.table(routes.table) : null;
    const name = routes.kind === "rds" ? routes.name : "";
    const stats = this.#deps.httpStats(config.statPrefix);
    return compileRuntime({
      config,
      context,
      manager: { clock, newRequestId, localAddress },
      filters: {
        random,
        counters: (filter, outcome) => telemetry.filterCounter(filter, outcome),
        activeFaults: () => (stats.faults ??= new ActiveFaults(config.statPrefix, this.#deps.shared ?? null)).count,
      },
      tracer: telemetry.tracer(config),
      // Only Outrigger's own configuration says so: under plain Envoy configuration the bodies are Envoy's.
      callerIsLocal: listener.trafficDirection === "outbound" && listener.outrigger !== null,
      stats,
      unknown: this.#unknown(listener),
      bufferLimit: listener.perConnectionBufferLimitBytes,
      routes: () => inline ?? this.#tables.get(name) ?? null,
      observe: compileObserve({
        metrics: telemetry.requests,
        accessLogs: telemetry.accessLogs(config.accessLogs),
        filters: config.filters,
        grpcStats: telemetry.grpcStats,
        onDenied: ({ responseCodeDetails, explanation }) =>
          telemetry.onCallDenied(listener.name, responseCodeDetails, explanation),
        direction: listener.trafficDirection,
        workload,
        destination: (cluster) => {
          const service = clusters.get(cluster)?.config.outrigger?.service;
          return service ? `${service.name}.${service.namespace}` : cluster;
        },
      }),
    });
  }
}

/** What a listener's sockets are bound to. */
function placesOf({ address, additionalAddresses, bindToPort }: Listener): readonly unknown[] {
  return [address, additionalAddresses ?? [], bindToPort];
}

function routeNames(listener: Listener): string[] {
  const chains = listener.defaultFilterChain
    ? [...listener.filterChains, listener.defaultFilterChain]
    : listener.filterChains;
  return chains.flatMap((chain) =>
    chain.filters.flatMap((filter) =>
      filter.kind === "http_connection_manager" && filter.config.routes.kind === "rds"
        ? [filter.config.routes.name]
        : [],
    ),
  );
}
