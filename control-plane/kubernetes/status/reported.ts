/** What an object's status says at present, and what it is about: the parents of a route, the targets of a policy. */
import type { ManifestKind } from "../../manifest/kinds.ts";
import type { JsonObject } from "../api.ts";
import { objectAt, objectsAt, pick } from "../objects/fields.ts";
import { hasStatus, isMeshParent, type ManifestEntry } from "../objects/manifest.ts";

export interface ReportedStatus {
  /** A route's `parentRefs` that are for a mesh, a policy's `targetRefs`. */
  readonly refs: readonly JsonObject[];
  /** `status.parents` of a route, `status.ancestors` of a policy: of all controllers. */
  readonly entries: readonly JsonObject[];
  /** `status.conditions` of a policy as a whole. */
  readonly conditions: readonly JsonObject[];
  /** `status.observedGeneration`; 0: none. */
  readonly observedGeneration: number;
}

/** An object and what its status says of this mesh at present. */
export interface StatusedEntry {
  readonly entry: ManifestEntry;
  readonly status: ReportedStatus;
}

const NONE: ReportedStatus = { refs: [], entries: [], conditions: [], observedGeneration: 0 };

export function isRouteKind(kind: ManifestKind): boolean {
  return kind === "HTTPRoute" || kind === "GRPCRoute" || kind === "TLSRoute" || kind === "TCPRoute";
}

export function readStatus(kind: ManifestKind, object: JsonObject): ReportedStatus {
  if (!hasStatus(kind)) return NONE;
  const [spec, status] = [objectAt(object, "spec"), objectAt(object, "status")];
  const observed = status["observedGeneration"];
  const route = isRouteKind(kind);
  const refs = objectsAt(spec, route ? "parentRefs" : "targetRefs");
  const names = ["group", "kind", "namespace", "name", "sectionName", "port"];
  return {
    refs: (route ? refs.filter(isMeshParent) : refs).map((ref) => pick(ref, names)),
    entries: objectsAt(status, route ? "parents" : "ancestors"),
    conditions: objectsAt(status, "conditions"),
    observedGeneration: typeof observed === "number" ? observed : 0,
  };
}
