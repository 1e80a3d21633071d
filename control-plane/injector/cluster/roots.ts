/**
 * Keeps the mesh's roots in a ConfigMap of each namespace that has sidecars: they know their control plane by it. A pod
 * whose namespace has none yet waits for its volume, and starts once it is there.
 */
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import type { Random } from "../../../core/random.ts";
import type { Watch } from "../../../core/watch.ts";
import { type CallCluster, isPlaceGone } from "./call.ts";
import { Keeper } from "./keeper.ts";

export interface RootsPublisherOptions {
  readonly call: CallCluster;
  /** PEM. */
  readonly roots: Watch<string>;
  /** Namespaces that are to have them: those that ask for sidecars, and those whose pods have some. */
  readonly namespaces: Watch<ReadonlySet<string>>;
  /** Of the ConfigMap, and of its key (InjectorSettings). */
  readonly name: string;
  readonly key: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Who else changes the ConfigMap has it changed back after this long. */
const REFRESH_MS = 10 * 60_000;
/** Calls at a time. */
const AT_ONCE = 4;

export class RootsPublisher {
  readonly #options: RootsPublisherOptions;
  readonly #keeper: Keeper;
  /** What was written, by namespace. */
  readonly #written = new Map<string, string>();
  /** Namespaces in which a pod is being made just now. */
  readonly #wanted = new Set<string>();
  #refreshAt = 0;
  #stopFollowing: (() => void)[] = [];

  constructor(options: RootsPublisherOptions) {
    const { clock, random, log } = options;
    this.#options = options;
    const make = (): Promise<void> => this.#publish();
    this.#keeper = new Keeper({ what: "the mesh's roots", make, everyMs: REFRESH_MS, clock, random, log });
  }

  /** To be called where this control plane leads: two that know different roots would undo each other's. */
  start(): void {
    const { roots, namespaces } = this.#options;
    this.#keeper.start();
    this.#stopFollowing = [roots, namespaces].map((watch: Watch<unknown>) =>
      watch.subscribe(() => this.#keeper.poke()),
    );
  }

  stop(): void {
    for (const stop of this.#stopFollowing.splice(0)) stop();
    this.#keeper.stop();
    this.#written.clear();
  }

  /** A pod with a sidecar is being made there: its volume will not wait for the watch. */
  want(namespace: string): void {
    if (this.#written.has(namespace) || this.#wanted.has(namespace)) return;
    this.#wanted.add(namespace);
    this.#keeper.poke();
  }

  async #publish(): Promise<void> {
    const { roots, namespaces, clock } = this.#options;
    const pem = roots.get();
    if (pem === undefined) return;
    if (clock.now() >= this.#refreshAt) {
      this.#written.clear();
      this.#refreshAt = clock.now() + REFRESH_MS;
    }
    const all = new Set([...(namespaces.get() ?? []), ...this.#wanted]);
    for (const namespace of this.#written.keys()) if (!all.has(namespace)) this.#written.delete(namespace);
    const missing = [...all].filter((namespace) => this.#written.get(namespace) !== pem);
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (let namespace = missing.pop(); namespace !== undefined && this.#keeper.running; namespace = missing.pop()) {
        await this.#write(namespace, pem).catch((error: unknown) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (failures.length > 0) throw failures[0];
  }

  async #write(namespace: string, pem: string): Promise<void> {
    const { call, name, key } = this.#options;
    try {
      // Server-side apply: makes it where it is missing, and takes back what others have changed of it.
      await call({
        method: "PATCH",
        path: `/api/v1/namespaces/${namespace}/configmaps/${name}?fieldManager=outrigger&force=true`,
        contentType: "application/apply-patch+yaml",
        body: {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name, namespace, labels: { "app.kubernetes.io/managed-by": "outrigger" } },
          data: { [key]: pem },
        },
      });
      this.#written.set(namespace, pem);
      if (this.#options.namespaces.get()?.has(namespace)) this.#wanted.delete(namespace);
    } catch (error) {
      // There is nobody to write for.
      if (!isPlaceGone(error)) throw error;
      this.#wanted.delete(namespace);
    }
  }
}
