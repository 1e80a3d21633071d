/**
 * The status that an object is to have, where that is another than it has. What other controllers wrote stays, and a
 * condition keeps the time of its last transition until it has another.
 */
import { isDeepStrictEqual } from "node:util";
import type { ManifestKind } from "../../manifest/kinds.ts";
import type { Finding } from "../../mesh/state.ts";
import type { JsonObject } from "../api.ts";
import { objectsAt } from "../objects/fields.ts";
import type { ManifestEntry } from "../objects/manifest.ts";
import { type Condition, conditionsOf } from "./conditions.ts";
import { isRouteKind, type ReportedStatus } from "./reported.ts";

export const CONTROLLER_NAME = "outrigger.dev/controller";

/** How many Gateway API takes. */
const MAX_PARENTS = 32;
const MAX_ANCESTORS = 16;

export interface StatusInputs {
  readonly kind: ManifestKind;
  readonly entry: ManifestEntry;
  readonly reported: ReportedStatus;
  /** Of this object alone. */
  readonly findings: readonly Finding[];
  /** RFC 3339, for transitions. */
  readonly now: string;
}

/** The fields of `status` to write; null: it says all that already. */
export function nextStatus(inputs: StatusInputs): JsonObject | null {
  return isRouteKind(inputs.kind) ? nextRouteStatus(inputs) : nextPolicyStatus(inputs);
}

function nextRouteStatus(inputs: StatusInputs): JsonObject | null {
  const { reported } = inputs;
  const parents = entriesOf(inputs, "parentRef", MAX_PARENTS);
  return isDeepStrictEqual(parents, reported.entries) ? null : { parents };
}

function nextPolicyStatus(inputs: StatusInputs): JsonObject | null {
  const { entry, reported, findings, now } = inputs;
  const ancestors = entriesOf(inputs, "ancestorRef", MAX_ANCESTORS);
  const targets = reported.refs.length;
  const conditions = conditionObjects(
    conditionsOf(
      entry,
      targets === 0 ? findings : findings.flatMap((finding) => ofWhole(finding, findings, targets)),
      null,
    ),
    reported.conditions,
    entry.generation,
    now,
  );
  const same =
    reported.observedGeneration === entry.generation &&
    isDeepStrictEqual(conditions, reported.conditions) &&
    isDeepStrictEqual(ancestors, reported.entries);
  return same ? null : { observedGeneration: entry.generation, conditions, ancestors };
}

/** A policy fails as a whole when it does for each of its targets; else what fails of it is a remark. */
function ofWhole(finding: Finding, all: readonly Finding[], targets: number): readonly Finding[] {
  const { failure } = finding;
  if (!failure || failure.ref === null) return [finding];
  const failing = new Set(
    all.flatMap((other) => (other.failure?.condition === failure.condition ? [other.failure.ref] : [])),
  );
  if (failing.size >= targets) return [{ ...finding, failure: { ...failure, ref: null } }];
  const { key, source, message } = finding;
  return [{ key, source, message }];
}

/** Ours for each reference, after those of others. */
function entriesOf(inputs: StatusInputs, refField: "parentRef" | "ancestorRef", max: number): readonly JsonObject[] {
  const { entry, reported, findings, now } = inputs;
  const others = reported.entries.filter(({ controllerName }) => controllerName !== CONTROLLER_NAME);
  const before = reported.entries.filter(({ controllerName }) => controllerName === CONTROLLER_NAME);
  const own = reported.refs.map((ref, index): JsonObject => {
    const known = before.find((candidate) => isDeepStrictEqual(candidate[refField], ref));
    const conditions = conditionsOf(entry, findings, index);
    const previous = known ? objectsAt(known, "conditions") : [];
    return {
      [refField]: ref,
      controllerName: CONTROLLER_NAME,
      conditions: conditionObjects(conditions, previous, entry.generation, now),
    };
  });
  const merged = [...others, ...own.slice(0, Math.max(0, max - others.length))];
  // Who else writes may have another order, which is no reason to write.
  const sameOnes =
    merged.length === reported.entries.length &&
    merged.every((one) => reported.entries.some((other) => isDeepStrictEqual(one, other)));
  return sameOnes ? reported.entries : merged;
}

function conditionObjects(
  conditions: readonly Condition[],
  before: readonly JsonObject[],
  observedGeneration: number,
  now: string,
): readonly JsonObject[] {
  return conditions.map(({ type, status, reason, message }) => {
    const known = before.find((condition) => condition["type"] === type);
    const since = known?.["status"] === status ? known["lastTransitionTime"] : undefined;
    return { type, status, reason, message, observedGeneration, lastTransitionTime: since ?? now };
  });
}
