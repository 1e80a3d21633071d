/** The control plane's state as JSON, for the CLI and for people: who is there, what they run, what was refused. */
import type { Problem } from "../core/errors.ts";
import type { Session } from "./ads/session.ts";
import type { Nack } from "./ads/subscription.ts";
import type { ResourceCache } from "./cache.ts";
import type { ManifestSet, Rejection } from "./manifest/merge.ts";
import type { Finding, MeshState } from "./mesh/state.ts";
import type { RegistrationStage, Registry } from "./registry/registry.ts";
import type { KindReport } from "./source.ts";

export interface ControlPlaneStatus {
  readonly trustDomain: string;
  /** Counts changes since the start; compare with a workload's `appliedRevision`. */
  readonly revision: number;
  readonly workloads: readonly WorkloadStatus[];
  readonly services: readonly ServiceStatus[];
  readonly manifests: {
    readonly objects: number;
    readonly rejected: readonly RejectedManifest[];
    /** Well-formed and yet not as meant: dangling references, conflicts. */
    readonly findings: readonly Finding[];
  };
  /** What is followed in a cluster, and how it stands with it; empty without one. */
  readonly source: readonly KindReport[];
  readonly translated: Readonly<Record<string, number>>;
}

export interface WorkloadStatus {
  readonly node: string;
  readonly service: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly address: string;
  /** Further addresses of the workload, without a port. */
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stage: RegistrationStage;
  /** null: no stream at present. */
  readonly stream: {
    readonly variant: "sotw" | "delta";
    readonly appliedRevision: number;
    readonly upToDate: boolean;
    /** Service ports that its address range has no room for; `http_proxy` reaches them. */
    readonly withoutAddress: number;
    readonly resources: readonly {
      readonly kind: string;
      readonly count: number;
      readonly acked: string;
      readonly pending: string | null;
      readonly nack: Nack | null;
    }[];
  } | null;
}

export interface ServiceStatus {
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly endpoints: number }[];
  /** Where intercepted callers find it; of a headless service none. */
  readonly addresses: readonly string[];
  /** `file:line`, "" for a service that follows from its workloads. */
  readonly source: string;
}

export type RejectedManifest = Omit<Rejection, "problems"> & { readonly problems: readonly Problem[] };

export interface StatusSources {
  readonly state: MeshState;
  readonly manifests: ManifestSet;
  readonly registry: Registry;
  readonly cache: ResourceCache;
  readonly sessions: readonly Session[];
  readonly source: readonly KindReport[];
}

/** The present state. */
export function controlPlaneStatus(sources: StatusSources): ControlPlaneStatus {
  const { state, manifests, registry, cache } = sources;
  const sessions = new Map(sources.sessions.map((session) => [session.nodeId, session]));
  return {
    trustDomain: state.trustDomain,
    revision: cache.revision,
    workloads: registry.views().map(({ workload, stage }) => ({
      node: workload.id,
      service: workload.service,
      namespace: workload.namespace,
      serviceAccount: workload.serviceAccount,
      address: `${workload.address}:${workload.inboundPort}`,
      addresses: workload.addresses,
      labels: workload.labels,
      stage,
      stream: streamStatus(sessions.get(workload.id), cache),
    })),
    services: [...state.services.values()].map(({ definition, endpoints }) => ({
      name: definition.name,
      namespace: definition.namespace,
      ports: definition.ports.map(({ name, port }) => ({ name, port, endpoints: endpoints.get(port)?.length ?? 0 })),
      addresses: definition.headless ? [] : definition.addresses,
      source: definition.source,
    })),
    manifests: { objects: manifests.objects.size, rejected: manifests.rejections, findings: state.findings },
    source: sources.source,
    translated: { ...cache.translated },
  };
}

function streamStatus(session: Session | undefined, cache: ResourceCache): WorkloadStatus["stream"] {
  if (!session) return null;
  return {
    variant: session.variant,
    appliedRevision: session.appliedRevision,
    upToDate: session.appliedRevision === cache.revision,
    withoutAddress: cache.unplaced(session.nodeId),
    resources: session.status().map(({ kind, resources, acked, pending, nack }) => ({
      kind,
      count: resources,
      acked,
      pending,
      nack,
    })),
  };
}
