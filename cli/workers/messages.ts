/** What the main thread and a worker say to each other: all of it survives structured cloning. */
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import type { Problem } from "../../core/errors.ts";
import type { LogLevel } from "../../core/log.ts";
import type { SharedMemory } from "../../core/shared-state.ts";
import type { ClusterView } from "../../telemetry/cluster-view.ts";
import type { FamilySamples } from "../../telemetry/metrics.ts";
import type { DataPlaneSettings } from "../data-plane-host.ts";
import type { SnapshotSlice } from "./snapshot-slices.ts";

/** What a worker begins with (`workerData`). */
export interface WorkerStart {
  /** Tells a worker of the data plane from any other thread. */
  readonly role: "outrigger-data-plane";
  /** 0 to the number of workers less one. */
  readonly index: number;
  readonly settings: DataPlaneSettings;
  readonly memory: SharedMemory;
  /** TLS sessions that one worker began are resumed by any. */
  readonly ticketSecret: Uint8Array;
  readonly logLevels: readonly (readonly [level: LogLevel, component?: string])[];
  /** Whether the workload has an identity, and its certificate where it has been issued already. */
  readonly hasIdentity: boolean;
  readonly certificate: WorkloadCertificate | null;
  /** Sockets that a worker of this number has left listening, by the key of their address. */
  readonly inherited: readonly (readonly [key: string, fd: number])[];
  /** The others serve already: this one is to take connections when it can serve them, and no sooner. */
  readonly joining: boolean;
}

/** Where all workers listen for an address: a port, or the system's name for the reason why nobody can. */
export type PlaceEntry = { readonly port: number } | { readonly error: string };

export type ToWorker =
  | { readonly kind: "slice"; readonly slice: SnapshotSlice; readonly places: ReadonlyMap<string, PlaceEntry> | null }
  | { readonly kind: "certificate"; readonly certificate: WorkloadCertificate }
  /** Names that were asked for and stand for nothing: all of them. */
  | { readonly kind: "absent"; readonly names: ReadonlySet<string> }
  | { readonly kind: "collect"; readonly id: number }
  | { readonly kind: "log_level"; readonly level: LogLevel; readonly component: string | undefined }
  | { readonly kind: "reopen_logs" }
  | { readonly kind: "settle" }
  | { readonly kind: "drain"; readonly deadlineMs: number }
  | { readonly kind: "close" };

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

export type FromWorker =
  /** It runs, and takes messages. */
  | { readonly kind: "started" }
  /** A slice was taken, the next may come. */
  | { readonly kind: "taken" }
  | {
      readonly kind: "applied";
      readonly problems: readonly Problem[];
      /** By listener. */
      readonly bound: ReadonlyMap<string, BoundAddress>;
      readonly unready: readonly string[];
    }
  | { readonly kind: "unready"; readonly names: readonly string[] }
  /** The control plane is to be asked for a listener by a name that is not its own. */
  | { readonly kind: "ask"; readonly name: string }
  /** Some of the clusters of a report that is still to come. */
  | { readonly kind: "report_clusters"; readonly id: number; readonly clusters: readonly ClusterView[] }
  /** The rest of it. */
  | { readonly kind: "report"; readonly id: number; readonly report: Omit<WorkerReport, "clusters"> }
  | { readonly kind: "drained" }
  /** It accepts from an inherited socket, which is its own from now on. */
  | { readonly kind: "adopting"; readonly key: string }
  /** `fd` is a second descriptor of a listening socket, for whoever comes after this worker. */
  | { readonly kind: "listening"; readonly key: string; readonly fd: number }
  /** That descriptor is about to be closed. */
  | { readonly kind: "closing"; readonly key: string };

/** Everything that a worker counts. */
export interface WorkerReport {
  readonly families: readonly FamilySamples[];
  readonly clusters: readonly ClusterView[];
  /** Under Envoy's names; those of clusters are in their views. */
  readonly stats: readonly (readonly [name: string, value: number])[];
  /** Open connections by listener. */
  readonly connections: ReadonlyMap<string, number>;
  readonly cpuSeconds: number;
}
