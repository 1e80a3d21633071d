/**
 * A mesh's configuration out of a Kubernetes API. Nothing is given out until every kind was read once; from then on what
 * changed within a moment is given out together, and says what it was, so that its cost follows the change.
 */
import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "../../core/clock.ts";
import { formatProblem, messageOf } from "../../core/errors.ts";
import { type Logger, logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { type Watch, WatchCell } from "../../core/watch.ts";
import { KINDS, type ManifestKind } from "../manifest/kinds.ts";
import type { Cluster, Pod } from "../mesh/cluster.ts";
import type { Workload } from "../mesh/workload.ts";
import type { KindReport, MeshContent, MeshSource, ReadGeneration } from "../source.ts";
import type { JsonObject, KubernetesApi } from "./api.ts";
import { collectionsOf, SOURCE_KINDS, type SourceKind } from "./kinds.ts";
import { LiveObjects } from "./live-objects.ts";
import { objectAt, textsAt } from "./objects/fields.ts";
import { hasStatus, readManifest } from "./objects/manifest.ts";
import { readReach } from "./objects/namespace.ts";
import { readPod } from "./objects/pod.ts";
import { PodIndex } from "./pod-index.ts";
import { type ObjectPlace, Reflector } from "./reflector.ts";
import { readStatus, type StatusedEntry } from "./status/reported.ts";

export interface KubernetesSourceOptions {
  /** Closed with the source. */
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Logger;
  /** Changes within this time after the first are given out together, ms. Default: 20. */
  readonly quietMs?: number;
}

/** After a content nothing is given out for so many times what it took, but for no longer than this, ms. */
const REST = 4;
const MAX_REST_MS = 500;

const ZONE_LABEL = "topology.kubernetes.io/zone";

export class KubernetesSource implements MeshSource {
  readonly #options: KubernetesSourceOptions;
  readonly #log: Logger;
  readonly #cell = new WatchCell<MeshContent>();
  readonly #moments = new WatchCell<number>(0);
  readonly #reflectors: {
    readonly synced: boolean;
    start(): void;
    hurry(): void;
    close(): Promise<void>;
    report(): KindReport;
  }[] = [];
  readonly #manifests = new Map<ManifestKind, Reflector<StatusedEntry>>();
  readonly #objects = new LiveObjects();
  readonly #pods = new PodIndex();
  readonly #zones = new Map<string, string>();
  readonly #serviceAccounts = new Set<string>();
  readonly #reach = new Map<string, ReadonlySet<string>>();
  readonly #cluster: Cluster = {
    pods: this.#pods.pods,
    zones: this.#zones,
    serviceAccounts: this.#serviceAccounts,
    reach: this.#reach,
  };
  #changedObjects = new Set<string>();
  #changedPods = new Set<string>();
  #surroundings = false;
  #told = new Set<string>();
  #timer: Timer | null = null;
  /** What the last content took of those who follow, ms. */
  #tookMs = 0;
  #ready: (() => void) | null = null;
  #closed = false;

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
    this.#log = options.log ?? logger("kubernetes");
    for (const kind of Object.keys(KINDS) as ManifestKind[]) this.#followManifests(kind);
    const pods = this.#follow<Pod | null>("Pod", readPod, (names) => {
      for (const name of names) {
        this.#pods.set(name, pods.get(name) ?? null);
        this.#changedPods.add(name);
      }
    });
    const nodes = this.#follow<string>("Node", zoneOf, (names) => {
      for (const name of names) {
        const zone = nodes.get(name);
        if (zone === undefined) this.#zones.delete(name);
        else this.#zones.set(name, zone);
      }
      this.#surroundings = true;
    });
    const namespaces = this.#follow<ReadonlySet<string> | null>("Namespace", readReach, (names) => {
      for (const name of names) {
        const reach = namespaces.get(name) ?? null;
        if (reach === null) this.#reach.delete(name);
        else this.#reach.set(name, reach);
        this.#surroundings = true;
      }
    });
    const accounts = this.#follow<true>(
      "ServiceAccount",
      () => true,
      (names) => {
        for (const name of names) {
          if (accounts.get(name)) this.#serviceAccounts.add(name);
          else this.#serviceAccounts.delete(name);
        }
        this.#surroundings = true;
      },
    );
  }

  get content(): Watch<MeshContent> {
    return this.#cell;
  }

  /** Waits for as long as the API server can't be reached or does not let everything be read: `report` tells. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    for (const reflector of this.#reflectors) reflector.start();
    await ready;
  }

  async rescan(): Promise<void> {
    for (const reflector of this.#reflectors) reflector.hurry();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all(this.#reflectors.map((reflector) => reflector.close()));
    this.#options.api.close();
    this.#ready?.();
  }

  report(): readonly KindReport[] {
    return this.#reflectors.map((reflector) => reflector.report());
  }

  /** Counts the moments with changes, of what no content tells, too (statuses); set after the content of the moment. */
  get moments(): Watch<number> {
    return this.#moments;
  }

  /** Whether what was read is what was given out, so that no moment is about to come. */
  get settled(): boolean {
    return this.#timer === null;
  }

  /** The objects of a kind, as they were last read, whether or not they are in force. */
  entries(kind: ManifestKind): Iterable<StatusedEntry> {
    return this.#manifests.get(kind)?.values() ?? [];
  }

  /** What was last read of an object, with its place; null: there is none of that name (`shop/orders`). */
  find(kind: ManifestKind, name: string): (ObjectPlace & { readonly statused: StatusedEntry }) | null {
    const reflector = this.#manifests.get(kind);
    const [place, statused] = [reflector?.place(name), reflector?.get(name)];
    return place && statused ? { ...place, statused } : null;
  }

  generation(key: string): ReadGeneration | null {
    const slash = key.indexOf("/");
    const kind = key.slice(0, slash) as ManifestKind;
    const found = this.find(kind, key.slice(slash + 1));
    if (!found) return null;
    const given = this.settled || !(this.#changedObjects.has(key) || this.#objects.rejectionsChanged);
    return { generation: hasStatus(kind) ? found.statused.entry.generation : null, given };
  }

  /** By its pod: labels, and names of ports. */
  describe(workload: Workload): Workload {
    const addresses = [workload.address, ...workload.addresses].filter((address) => isIP(address) !== 0);
    const pod = this.#pods.at(addresses, workload.namespace);
    // Not seen yet: its own labels will do until it is.
    if (pod === null) return { ...workload, pod: workload.pod ?? workload.id };
    return { ...workload, pod: pod.name, labels: pod.labels, namedPorts: pod.ports };
  }

  #followManifests(kind: ManifestKind): void {
    const read = (object: JsonObject, last: StatusedEntry | undefined): StatusedEntry => {
      const entry = readManifest(kind, object, last?.entry);
      // A status or a generation that is new makes nothing new of what is in force.
      const same = last !== undefined && isDeepStrictEqual(last.entry.manifest, entry.manifest);
      return { entry: same ? { ...entry, manifest: last.entry.manifest } : entry, status: readStatus(kind, object) };
    };
    const reflector = this.#follow(kind, read, (names) => {
      for (const name of names) {
        const key = `${kind}/${name}`;
        if (this.#objects.set(key, reflector.get(name)?.entry)) this.#changedObjects.add(key);
      }
    });
    this.#manifests.set(kind, reflector);
  }

  #follow<T>(
    kind: SourceKind,
    read: (object: JsonObject, last: T | undefined) => T,
    take: (names: readonly string[]) => void,
  ): Reflector<T> {
    const { api, clock, random } = this.#options;
    const reflector = new Reflector<T>({
      kind,
      collections: collectionsOf(SOURCE_KINDS[kind]),
      pageSize: SOURCE_KINDS[kind].pageSize,
      api,
      clock,
      random,
      log: this.#log,
      read,
      changed: (names) => {
        take(names);
        this.#publishSoon();
      },
    });
    this.#reflectors.push(reflector);
    return reflector;
  }

  #publishSoon(): void {
    if (this.#closed || this.#timer !== null || !this.#reflectors.every(({ synced }) => synced)) return;
    const { clock, quietMs = 20 } = this.#options;
    const delayMs = Math.max(quietMs, Math.min(MAX_REST_MS, this.#tookMs * REST));
    this.#timer = clock.after(delayMs, () => {
      this.#timer = null;
      const began = clock.now();
      this.#publish();
      this.#tookMs = clock.now() - began;
      this.#moments.set((this.#moments.get() ?? 0) + 1);
    });
  }

  #publish(): void {
    const before = this.#cell.get();
    const nothing = this.#changedObjects.size + this.#changedPods.size === 0 && !this.#surroundings;
    if (before && nothing && !this.#objects.rejectionsChanged) return;
    const manifests = this.#objects.give();
    this.#tellRejections(manifests.rejections.flatMap(({ problems }) => problems.map(formatProblem)));
    const change = before && {
      since: before.revision,
      objects: this.#changedObjects,
      pods: this.#changedPods,
      surroundings: this.#surroundings,
    };
    this.#changedObjects = new Set();
    this.#changedPods = new Set();
    this.#surroundings = false;
    if (!before) this.#log.info({ objects: manifests.objects.size, pods: this.#pods.pods.size }, "cluster read");
    const revision = (before?.revision ?? 0) + 1;
    try {
      this.#cell.set({ revision, manifests, cluster: this.#cluster, change: change ?? null });
    } catch (error) {
      // A fault of ours: one object that nobody thought of must not take the mesh's control plane away.
      this.#log.error({ error: messageOf(error) }, "a change could not be applied: what was before stays in force");
    }
    this.#ready?.();
  }

  #tellRejections(texts: readonly string[]): void {
    for (const text of texts) if (!this.#told.has(text)) this.#log.error({}, `object refused: ${text}`);
    this.#told = new Set(texts);
  }
}

function zoneOf(node: JsonObject): string {
  return textsAt(objectAt(node, "metadata"), "labels")[ZONE_LABEL] ?? "";
}
