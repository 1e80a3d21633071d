/** Which objects need another status than they have: only these are to be written. */
import type { ManifestKind } from "../../manifest/kinds.ts";
import type { Finding } from "../../mesh/state.ts";
import type { JsonObject } from "../api.ts";
import type { ManifestEntry } from "../objects/manifest.ts";
import { CONTROLLER_NAME, nextStatus } from "./next-status.ts";
import type { ReportedStatus } from "./reported.ts";

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
  entriesOf: (kind: ManifestKind) => Iterable<{ readonly entry: ManifestEntry; readonly status: ReportedStatus }>,
  findings: readonly Finding[],
  wallTime: number,
): readonly StatusChange[] {
  const byKey = Map.groupBy(findings, ({ key }) => key);
  // Kubernetes' times are of whole seconds.
  const now = new Date(wallTime).toISOString().replace(/\.\d+Z$/, "Z");
  return STATUS_KINDS.flatMap((kind) =>
    [...entriesOf(kind)].flatMap(({ entry, status }): readonly StatusChange[] => {
      // A route without a parent in the mesh is another controller's, but for what we said when it had one.
      const spoken = status.entries.some(({ controllerName }) => controllerName === CONTROLLER_NAME);
      if (entry.manifest === null && entry.problems.length === 0 && !spoken) return [];
      const next = nextStatus({ kind, entry, reported: status, findings: byKey.get(entry.key) ?? [], now });
      return next === null ? [] : [{ kind, key: entry.key, status: next }];
    }),
  );
}
