/**
 * From a bootstrap, or a control plane's address, to a stream of snapshots: joins sources, assembler and the cache on
 * disk, and holds the timers that end waits.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { Problem } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import { Slices } from "../core/slices.ts";
import { type Watch, WatchCell } from "../core/watch.ts";
import type { Bootstrap, ConfigSource, DynamicResources } from "../model/bootstrap.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { DecodeOptions } from "../xds/place.ts";
import type { ResourceKind } from "../xds/resources.ts";
import type { GrpcTarget } from "./ads/grpc-transport.ts";
import { AskedNames } from "./asked-names.ts";
import { Assembler, type Assembly } from "./assemble.ts";
import { CachedStart } from "./cached-start.ts";
import type { LastGoodFile } from "./last-good.ts";
import { noObserver, type XdsObserver } from "./observer.ts";
import { FACTS, type ResourceUpdate } from "./resources.ts";
import type { SourceStatus } from "./source/source.ts";
import { SourceTable } from "./source/source-table.ts";
import { sourceFactory } from "./source-factory.ts";
import type { Waiting } from "./waiting.ts";
import { XdsDecoder } from "./xds-decoder.ts";

export interface ControlClientOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Outrigger's version, told to control planes. */
  readonly version: string;
  readonly bootstrap: Bootstrap;
  /** Reads files and environment variables that resources name. */
  readonly decode: DecodeOptions;
  /** Where the ADS stream goes, if not to the clusters that the bootstrap names. */
  readonly adsTargets?: readonly GrpcTarget[];
  readonly observer?: XdsObserver;
  /** SDS names that another part of the process supplies: the workload's own certificate and roots. */
  readonly localSecrets?: ReadonlySet<string>;
  /** The last good configuration on disk; absent: none is kept. */
  readonly lastGood?: LastGoodFile;
  /** How long to wait for the control plane before the last good configuration is used, ms. */
  readonly cacheAfterMs?: number;
  /** See `AssemblerOptions.graceMs`. */
  readonly graceMs?: number;
}

export interface ControlClient {
  readonly snapshots: Watch<Snapshot>;
  /** Asks for a listener by a name that is not its own (`model/on-demand.ts`). */
  ask(name: string): void;
  /** Names that were asked for and stand for nothing. */
  readonly absent: Watch<ReadonlySet<string>>;
  status(): ControlClientStatus;
  /** Ends streams and watches; resolves when the cache on disk is written. */
  close(): Promise<void>;
}

export interface ControlClientStatus {
  /** Every source that is in use is connected (true where nothing is dynamic). */
  readonly connected: boolean;
  /** Where the snapshot in force comes from; "none" while there is none. */
  readonly source: "none" | "static" | "live" | "cache";
  /** Age of a cached snapshot, ms; null unless `source` is "cache". */
  readonly cacheAgeMs: number | null;
  /** Of the snapshot in force. */
  readonly revision: string;
  /** The version last taken of each kind (`CDS`, `EDS`, …). */
  readonly versions: Readonly<Record<string, string>>;
  /** Sentences that say what is missing. */
  readonly waitingFor: readonly string[];
  /** What was refused and not yet put right. */
  readonly lastErrors: readonly Rejection[];
  readonly sources: readonly SourceStatus[];
}

export interface Rejection {
  readonly api: string;
  /** Unix ms. */
  readonly at: number;
  readonly problems: readonly Problem[];
}

/** How long routes wait for clusters and clusters for routes; see `AssemblerOptions.graceMs`. */
const GRACE_MS = 5000;
const CACHE_AFTER_MS = 2000;

/** Starts; the first snapshot is there at once if nothing is dynamic. */
export function startControlClient(options: ControlClientOptions): ControlClient {
  return new Client(options);
}

class Client implements ControlClient {
  readonly #o: ControlClientOptions;
  readonly #cell = new WatchCell<Snapshot>();
  readonly #assembler: Assembler;
  readonly #decoder: XdsDecoder;
  readonly #sources: SourceTable;
  readonly #cache: CachedStart | null;
  readonly #asked: AskedNames;
  readonly #limits = new Map<string, Timer>();
  readonly #rejections = new Map<ResourceKind, Rejection>();
  #assembly: Assembly;
  #wanted: Assembly["wanted"] | null = null;
  #scheduled = false;
  /** Set while an assembly is under way, which nothing may change. */
  #assembling = false;
  /** What came meanwhile, to be taken in afterwards. */
  #changes: (() => void)[] = [];
  readonly #slices: Slices;
  #closed = false;

  constructor(options: ControlClientOptions) {
    this.#o = options;
    const { bootstrap, log } = options;
    this.#slices = new Slices(options.clock);
    this.#assembler = new Assembler({
      base: bootstrap.static,
      clusters: bootstrap.dynamic?.clusters ?? null,
      listeners: bootstrap.dynamic?.listeners ?? null,
      localSecrets: options.localSecrets ?? new Set(),
      graceMs: options.graceMs ?? GRACE_MS,
    });
    this.#decoder = new XdsDecoder(options.decode, (notes) => log.debug({ notes }, "accepted and ignored"));
    this.#sources = new SourceTable(
      sourceFactory({
        ...options,
        observer: options.observer ?? noObserver,
        decoder: this.#decoder,
        clusterOf: (name) => bootstrap.static.clusters.get(name) ?? this.#cell.get()?.clusters.get(name),
        secretOf: (name) => this.#cell.get()?.secrets.get(name) ?? bootstrap.static.secrets.get(name),
        sink: {
          update: (update) => this.#onUpdate(update),
          refused: (kind, names, problems) => this.#onRefused(kind, names, problems),
        },
      }),
    );
    const listeners = bootstrap.dynamic?.listeners;
    this.#asked = new AskedNames((names, dropped) => {
      if (listeners && !this.#closed) this.#sources.ask(listeners, names, dropped);
    });
    this.#assembly = this.#assembler.assemble();
    this.#cache = options.lastGood && bootstrap.dynamic ? this.#startCache(options.lastGood, bootstrap) : null;
    if (bootstrap.dynamic) this.#discover(bootstrap.dynamic);
    this.#after(this.#assembly);
  }

  get snapshots(): Watch<Snapshot> {
    return this.#cell;
  }

  ask(name: string): void {
    this.#asked.ask(name);
  }

  get absent(): Watch<ReadonlySet<string>> {
    return this.#asked.absent;
  }

  status(): ControlClientStatus {
    const sources = this.#sources.status();
    return {
      connected: sources.every((source) => source.connected),
      source: this.#sourceInForce(),
      cacheAgeMs: this.#cache?.ageMs() ?? null,
      revision: this.#cell.get()?.revision ?? "",
      versions: this.#assembler.versions(),
      waitingFor: this.#assembly.waiting.map((item) => item.message),
      lastErrors: [...this.#rejections.values()],
      sources,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#slices.clear();
    this.#sources.close();
    for (const timer of this.#limits.values()) timer.cancel();
    this.#limits.clear();
    await this.#cache?.close();
  }

  #sourceInForce(): ControlClientStatus["source"] {
    if (this.#cache?.inForce) return "cache";
    if (!this.#cell.get()) return "none";
    return this.#o.bootstrap.dynamic ? "live" : "static";
  }

  #startCache(file: LastGoodFile, bootstrap: Bootstrap): CachedStart {
    return new CachedStart({
      file,
      clock: this.#o.clock,
      log: this.#o.log,
      base: bootstrap.static,
      afterMs: this.#o.cacheAfterMs ?? CACHE_AFTER_MS,
      use: (snapshot) => {
        this.#decoder.known = snapshot;
        this.#cell.set(snapshot);
      },
    });
  }

  #discover({ clusters, listeners }: DynamicResources): void {
    const all: ["cluster" | "listener", ConfigSource | null][] = [
      ["cluster", clusters],
      ["listener", listeners],
    ];
    for (const [kind, source] of all) if (source) this.#sources.wantAll(kind, source);
  }

  #onUpdate(update: ResourceUpdate): void {
    this.#asked.take(update);
    this.#change(() => {
      this.#assembler.apply(update);
      this.#rejections.delete(update.kind);
    });
  }

  #onRefused(kind: ResourceKind, names: readonly string[], problems: readonly Problem[]): void {
    const rejection = { api: FACTS[kind].api, at: this.#o.clock.wallTime(), problems };
    this.#change(() => {
      this.#assembler.refuse(kind, names);
      this.#rejections.set(kind, rejection);
    });
  }

  /** Changes what there is to assemble, in the order in which it is called. */
  #change(change: () => void): void {
    if (this.#assembling) {
      this.#changes.push(change);
      return;
    }
    change();
    this.#schedule();
  }

  /** Updates of one turn of the event loop leave together. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#closed) this.#slices.run(this.#assemble());
    });
  }

  /** A big configuration takes many slices; what served before serves until it is whole. */
  *#assemble(): Generator<void, void> {
    this.#assembling = true;
    const assembly = yield* this.#assembler.assembling();
    this.#assembling = false;
    this.#after(assembly);
    for (const change of this.#changes.splice(0)) this.#change(change);
  }

  #after(assembly: Assembly): void {
    this.#assembly = assembly;
    const { snapshot, waiting, wanted } = assembly;
    if (wanted !== this.#wanted) {
      this.#wanted = wanted;
      for (const kind of ["endpoint", "route", "secret"] as const) this.#sources.want(kind, wanted[kind]);
    }
    this.#limit(waiting);
    if (snapshot === null || snapshot === this.#cell.get()) return;
    if (this.#cache?.inForce)
      this.#o.log.info({ revision: snapshot.revision }, "the control plane's configuration replaces the cached one");
    this.#cache?.live(snapshot);
    this.#decoder.known = null;
    this.#cell.set(snapshot);
  }

  /** One timer for each thing that is waited for with a limit. */
  #limit(waiting: readonly Waiting[]): void {
    const keys = new Set(waiting.map((item) => item.key));
    for (const [key, timer] of this.#limits) {
      if (keys.has(key)) continue;
      timer.cancel();
      this.#limits.delete(key);
    }
    for (const item of waiting) {
      if (item.limitMs !== null && !this.#limits.has(item.key)) this.#armLimit(item, item.limitMs);
    }
  }

  #armLimit(item: Waiting, limitMs: number): void {
    const { key, message } = item;
    const timer = this.#o.clock.after(limitMs, () => {
      // The last good configuration is better than one without what the control plane has not even been asked for yet.
      if (this.#cache?.inForce && !this.#assembler.discovered) {
        this.#armLimit(item, limitMs);
        return;
      }
      this.#limits.delete(key);
      this.#o.log.warn({ afterMs: limitMs }, `${message}: gave up`);
      this.#change(() => this.#assembler.giveUp(key));
    });
    this.#limits.set(key, timer);
  }
}
