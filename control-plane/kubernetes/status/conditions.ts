/** What is to be said of a route or a policy: a pure function of the object and of what was found about it. */
import { formatProblem } from "../../../core/errors.ts";
import type { Failure, Finding } from "../../mesh/state.ts";
import type { ManifestEntry } from "../objects/manifest.ts";

export interface Condition {
  readonly type: "Accepted" | "ResolvedRefs" | "Programmed";
  readonly status: "True" | "False";
  /** Gateway API's words where it has one. */
  readonly reason: string;
  /** For people: what is wrong and what becomes of it; of what is in force, what else is to be known. */
  readonly message: string;
}

/** Kubernetes takes 32768 bytes; nobody reads that many. */
const MAX_MESSAGE = 2000;

/**
 * Conditions of an object towards one of its parents or targets (`ref`, an index); null: as a whole. `findings` are those
 * of the object.
 */
export function conditionsOf(
  entry: ManifestEntry,
  findings: readonly Finding[],
  ref: number | null,
): readonly Condition[] {
  const accepted = acceptance(entry, findings, ref);
  const resolved = resolution(entry, findings, ref);
  return [accepted, resolved, programming(entry, accepted)];
}

function acceptance({ problems }: ManifestEntry, findings: readonly Finding[], ref: number | null): Condition {
  const type = "Accepted";
  if (problems.length > 0) {
    const texts = problems.map((problem) => formatProblem(withoutOrigin(problem)));
    return { type, status: "False", reason: "UnsupportedValue", message: sentence(texts) };
  }
  const failing = findings.filter(({ failure }) => failure?.condition === type && concerns(failure, ref));
  const [first] = failing;
  if (first?.failure) {
    return {
      type,
      status: "False",
      reason: first.failure.reason,
      message: sentence(failing.map(({ message }) => message)),
    };
  }
  const remarks = findings.filter(({ failure }) => failure === undefined);
  return { type, status: "True", reason: "Accepted", message: sentence(remarks.map(({ message }) => message)) };
}

function resolution({ problems }: ManifestEntry, findings: readonly Finding[], ref: number | null): Condition {
  const type = "ResolvedRefs";
  const failing = findings.filter(({ failure }) => failure?.condition === type && concerns(failure, ref));
  const [first] = failing;
  // Of what can't be read it is not known what it refers to.
  if (!first?.failure || problems.length > 0) return { type, status: "True", reason: "ResolvedRefs", message: "" };
  return {
    type,
    status: "False",
    reason: first.failure.reason,
    message: sentence(failing.map(({ message }) => message)),
  };
}

function programming({ manifest, problems }: ManifestEntry, accepted: Condition): Condition {
  const type = "Programmed";
  if (accepted.status === "True") return { type, status: "True", reason: "Programmed", message: "" };
  const kept = problems.length > 0 && manifest !== null;
  const message = kept ? "the last good version stays in force" : "it is not in force";
  return { type, status: "False", reason: "Invalid", message };
}

/** A whole fails where all of it does, a part also with the whole. */
function concerns({ ref: failing }: Failure, ref: number | null): boolean {
  return failing === null || failing === ref;
}

function withoutOrigin({ message, path }: { readonly message: string; readonly path?: string }) {
  return { message, ...(path === undefined ? {} : { path }) };
}

function sentence(texts: readonly string[]): string {
  const text = texts.join("; ");
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE)} …`;
}
