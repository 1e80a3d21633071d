/** What stands in a Lease: who leads, since when, and for how long that holds without a word (`coordination.k8s.io/v1`). */
import { ApiError, isObject, type JsonObject } from "./api.ts";
import { resourceVersionOf } from "./decode.ts";
import { objectAt, textAt } from "./objects/fields.ts";

export interface LeaseRecord {
  /** As the server gave it: whatever else is in it is written back. */
  readonly object: JsonObject;
  /** Equal versions are equal records; nothing else may be concluded. */
  readonly version: string;
  /** "": nobody leads. */
  readonly holder: string;
  /** How long others leave the holder alone after they saw its last renewal, ms; 0: the record does not say. */
  readonly durationMs: number;
  /** Unix ms; 0: the record does not say. By the holder's clock, so that nobody else may rely on it. */
  readonly renewedAt: number;
}

/** Throws an `ApiError` of status 0 for what is no Lease. */
export function readLease(value: unknown): LeaseRecord {
  const object = isObject(value) ? value : {};
  const version = resourceVersionOf(object);
  if (version === "") throw new ApiError(0, "", "the API server sent a Lease without resourceVersion");
  const spec = objectAt(object, "spec");
  const seconds = spec["leaseDurationSeconds"];
  const renewedAt = Date.parse(textAt(spec, "renewTime"));
  return {
    object,
    version,
    holder: textAt(spec, "holderIdentity"),
    durationMs: typeof seconds === "number" && seconds > 0 ? seconds * 1000 : 0,
    renewedAt: Number.isNaN(renewedAt) ? 0 : renewedAt,
  };
}

/** A Lease that was not there before; `at`: Unix ms. */
export function firstLease(namespace: string, name: string, holder: string, durationMs: number, at: number) {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace, name },
    spec: { ...heldBy(holder, durationMs, at), acquireTime: microTime(at), leaseTransitions: 0 },
  };
}

/** The Lease with `holder` in it, from now on or still; `at`: Unix ms. */
export function heldLease({ object, holder: before }: LeaseRecord, holder: string, durationMs: number, at: number) {
  const spec = objectAt(object, "spec");
  const transitions = typeof spec["leaseTransitions"] === "number" ? spec["leaseTransitions"] : 0;
  const taken = before === holder ? {} : { acquireTime: microTime(at), leaseTransitions: transitions + 1 };
  return { ...object, spec: { ...spec, ...heldBy(holder, durationMs, at), ...taken } };
}

/** The Lease that whoever asks next may take. `holderIdentity` is left out: some servers refuse an empty one. */
export function releasedLease({ object }: LeaseRecord, at: number): JsonObject {
  const { holderIdentity: _, ...spec } = objectAt(object, "spec");
  return { ...object, spec: { ...spec, renewTime: microTime(at), leaseDurationSeconds: 1 } };
}

function heldBy(holder: string, durationMs: number, at: number): JsonObject {
  return { holderIdentity: holder, leaseDurationSeconds: durationMs / 1000, renewTime: microTime(at) };
}

/** `metav1.MicroTime`: always six digits. */
function microTime(at: number): string {
  return new Date(at).toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}
