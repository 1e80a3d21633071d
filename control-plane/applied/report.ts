/** Whether an object is in force, and where it is not yet: what `/applied` answers. */
import { formatProblem } from "../../core/errors.ts";
import type { Session } from "../ads/session.ts";
import type { CacheChange } from "../cache-change.ts";
import type { ManifestSet } from "../manifest/merge.ts";
import type { Manifest } from "../manifest/parse.ts";
import type { Finding } from "../mesh/state.ts";
import type { Workload } from "../mesh/workload.ts";
import type { MeshSource } from "../source.ts";
import { revisionOf } from "./revision.ts";
import { standingOf } from "./standing.ts";

export interface AppliedReport {
  /** `HTTPRoute/shop/orders` */
  readonly object: string;
  /**
   * `applied`: every sidecar that it concerns has accepted it. `pending`: not yet. `refused`: what it says can't be in
   * force, here or at a sidecar. `absent`: no such object is known.
   */
  readonly state: "applied" | "pending" | "refused" | "absent";
  /** `metadata.generation` that is known; null where there are none (files). */
  readonly generation: number | null;
  /** Digest of the content that is in force; "": nothing is. */
  readonly revision: string;
  /** What is waited for, or wrong; "" where it is applied. */
  readonly message: string;
  readonly sidecars: { readonly connected: number; readonly concerned: number; readonly applied: number };
  /** Those that it concerns. */
  readonly workloads: readonly AppliedWorkload[];
}

export interface AppliedWorkload {
  readonly node: string;
  readonly namespace: string;
  readonly service: string;
  readonly state: "applied" | "pending" | "refused";
  readonly message: string;
}

export interface AppliedQuery {
  readonly object: string;
  /** At least this one; null: the one that is known. */
  readonly generation: number | null;
  /** Exactly this one; null: the one that is known. */
  readonly revision: string | null;
}

export interface AppliedSources {
  readonly manifests: ManifestSet;
  /** null: there is nothing that objects could come from. */
  readonly source: MeshSource | null;
  readonly findings: readonly Finding[];
  /** Resources of the object's last change. */
  readonly changesOf: (key: string) => readonly CacheChange[] | undefined;
  readonly sessions: readonly Session[];
  readonly workloadOf: (nodeId: string) => Workload | undefined;
}

/** The present state. */
export function appliedReport(query: AppliedQuery, sources: AppliedSources): AppliedReport {
  const { manifests, sessions } = sources;
  const key = query.object;
  const manifest = manifests.objects.get(key);
  const read = sources.source?.generation?.(key) ?? null;
  const base = {
    object: key,
    generation: read?.generation ?? null,
    revision: manifest ? revisionOf(manifest) : "",
    sidecars: { connected: sessions.length, concerned: 0, applied: 0 },
    workloads: [],
  };
  const rejection = manifests.rejections.find((one) => one.key === key);
  if (!manifest && !rejection && read === null) return { ...base, state: "absent", message: "no such object is known" };
  const awaited = waitingFor(query, base, read?.given ?? true);
  if (awaited !== null) return { ...base, state: "pending", message: awaited };
  if (rejection) return { ...base, state: "refused", message: rejection.problems.map(formatProblem).join("; ") };
  const refusal = manifest ? refusalOf(manifest, sources.findings) : "it is not for the mesh";
  if (refusal !== null) return { ...base, state: "refused", message: refusal };
  return { ...base, ...atSidecars(sources.changesOf(key) ?? [], sources) };
}

/** null: what is asked for is what is known. */
function waitingFor(
  { generation, revision }: AppliedQuery,
  known: Pick<AppliedReport, "generation" | "revision">,
  given: boolean,
): string | null {
  if (generation !== null && known.generation === null) return "objects here have no generation: ask for a revision";
  if (generation !== null && known.generation !== null && known.generation < generation) {
    return `generation ${known.generation} is the newest that was read`;
  }
  if (!given) return "the newest version has been read and is being taken up";
  if (revision !== null && known.revision !== revision) return `revision ${known.revision} is in force`;
  return null;
}

/** Why it has no effect at all; null: it has some. */
function refusalOf(manifest: Manifest, findings: readonly Finding[]): string | null {
  const spec = manifest.value as {
    readonly spec?: { readonly parentRefs?: unknown[]; readonly targetRefs?: unknown[] };
  };
  const refs = (spec.spec?.parentRefs ?? spec.spec?.targetRefs ?? []).length;
  const failing = findings.filter(({ key, failure }) => key === manifest.key && failure?.condition === "Accepted");
  const failed = new Set(failing.map(({ failure }) => failure?.ref ?? null));
  if (!failed.has(null) && (failed.size === 0 || failed.size < refs)) return null;
  return failing.map(({ message }) => message).join("; ");
}

function atSidecars(
  changes: readonly CacheChange[],
  { sessions, workloadOf }: AppliedSources,
): Pick<AppliedReport, "state" | "message" | "sidecars" | "workloads"> {
  const workloads = sessions.flatMap((session): readonly AppliedWorkload[] => {
    const { state, message } = standingOf(session, changes);
    if (state === "unconcerned") return [];
    const { namespace = "", service = "" } = workloadOf(session.nodeId) ?? {};
    return [{ node: session.nodeId, namespace, service, state, message }];
  });
  const applied = workloads.filter(({ state }) => state === "applied").length;
  const sidecars = { connected: sessions.length, concerned: workloads.length, applied };
  const refusing = workloads.filter(({ state }) => state === "refused").length;
  const waiting = workloads.length - applied - refusing;
  if (refusing > 0) {
    return { state: "refused", message: `${count(refusing)} refused it`, sidecars, workloads };
  }
  if (waiting > 0) return { state: "pending", message: `${count(waiting)} yet to accept it`, sidecars, workloads };
  return { state: "applied", message: "", sidecars, workloads };
}

function count(sidecars: number): string {
  return sidecars === 1 ? "1 sidecar has" : `${sidecars} sidecars have`;
}
