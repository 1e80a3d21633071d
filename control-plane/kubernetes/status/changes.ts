/** Which objects need another status than they have: only these are to be written. */
import type { ManifestKind } from "../../manifest/kinds.ts";
import type { Finding } from "../../mesh/state.ts";
import type { JsonObject } from "../api.ts";
import { CONTROLLER_NAME, nextStatus } from "./next-status.ts";
import type { StatusedEntry } from "./reported.ts";

export interface StatusChange {
  readonly kind: ManifestKind;
  /** `HTTPRoute/shop/orders` */
  readonly key: string;
  /** Fields of `status`. */
  readonly status: JsonObject;
}

export const STATUS_KINDS = [
  "HTTPRoute",
  "GRPCRoute",
  "TLSRoute",
  "TCPRoute",
  "ResiliencePolicy",
  "AccessPolicy",
  "MeshPolicy",
] as const satisfies readonly ManifestKind[];

/** `wallTime`: Unix ms, for conditions that change. */
export function statusChanges(
  entriesOf: (kind: ManifestKind) => Iterable<StatusedEntry>,
  findings: readonly Finding[],
  wallTime: number,
): readonly StatusChange[] {
  const byKey = Map.groupBy(findings, ({ key }) => key);
  return STATUS_KINDS.flatMap((kind) =>
    [...entriesOf(kind)].flatMap((one) => statusChange(kind, one, byKey.get(one.entry.key) ?? [], wallTime) ?? []),
  );
}

/** Of one object; `findings` are its own. null: it says what it should. */
export function statusChange(
  kind: ManifestKind,
  { entry, status }: StatusedEntry,
  findings: readonly Finding[],
  wallTime: number,
): StatusChange | null {
  // A route without a parent in the mesh is another controller's, but for what we said when it had one.
  const spoken = status.entries.some(({ controllerName }) => controllerName === CONTROLLER_NAME);
  if (entry.manifest === null && entry.problems.length === 0 && !spoken) return null;
  // Kubernetes' times are of whole seconds.
  const now = new Date(wallTime).toISOString().replace(/\.\d+Z$/, "Z");
  const next = nextStatus({ kind, entry, reported: status, findings, now });
  return next === null ? null : { kind, key: entry.key, status: next };
}
