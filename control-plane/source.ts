/** The seam between where a mesh's configuration is kept (a directory, a Kubernetes API) and what is made of it. */
import type { Watch } from "../core/watch.ts";
import type { ManifestSet } from "./manifest/merge.ts";
import type { Cluster } from "./mesh/cluster.ts";
import type { Workload } from "./mesh/workload.ts";

/** All that a source knows at one moment. */
export interface MeshContent {
  /** Counts the contents that a source gave out. */
  readonly revision: number;
  /** A source may keep one map for all contents and edit it: `change` tells what is different. */
  readonly manifests: ManifestSet;
  /** null: there is no cluster, and the mesh's workloads are those that register. */
  readonly cluster: Cluster | null;
  /** What differs from the content of revision `since`; null: anything may. */
  readonly change: ContentChange | null;
}

/** Keys that came, went or stand for something else than before. */
export interface ContentChange {
  readonly since: number;
  /** Keys of manifests (`HTTPRoute/shop/orders`). */
  readonly objects: ReadonlySet<string>;
  /** `namespace/name` of pods. */
  readonly pods: ReadonlySet<string>;
  /** Whether other facts of the cluster differ (nodes' zones, service accounts, which namespaces reach which). */
  readonly surroundings: boolean;
}

export interface MeshSource {
  /** The newest content; none until all of it was read once. */
  readonly content: Watch<MeshContent>;
  /**
   * Reads everything, gives it out and goes on to follow it. Resolves with the first content given out, or once the
   * source was closed; rejects with a `UserError` for what will not get better by waiting.
   */
  start(): Promise<void>;
  /** Looks again without waiting for an event. */
  rescan(): Promise<void>;
  close(): Promise<void>;
  /** A workload that registers, with what the source knows of it; the same for one that was described already. */
  describe(workload: Workload): Workload;
  /**
   * The `metadata.generation` of an object as it was last read (null: its kind has none), and whether `content` tells of
   * it; null: there is no such object (`HTTPRoute/shop/orders`). Missing where no object has one.
   */
  generation?(key: string): ReadGeneration | null;
  /** How it stands with each kind of objects that are followed one by one; none where all are read together. */
  report(): readonly KindReport[];
}

export interface ReadGeneration {
  readonly generation: number | null;
  readonly given: boolean;
}

export interface KindReport {
  readonly kind: string;
  /** `missing`: the API server does not know the kind (its CRD is not installed). */
  readonly phase: "listing" | "watching" | "waiting" | "missing";
  readonly objects: number;
  /** Lists that were complete. */
  readonly lists: number;
  /** When the API server was last heard of, Unix ms; 0: never. */
  readonly heardAt: number;
  /** Why it waits, or last did before a watch brought something; "": all is well. */
  readonly error: string;
}
