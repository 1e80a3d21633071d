/** Which ResiliencePolicy holds where: the most specific target wins, of equals the older; the loser is told. */
import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";
import type { ResilienceSpec } from "../manifest/resilience-policy.ts";
import { DEFAULT_CALL, DEFAULT_OPAQUE_IDLE_MS, DEFAULT_TRAFFIC } from "./defaults.ts";
import {
  type CallPolicy,
  type Failure,
  type Finding,
  type OpaqueRouting,
  type TrafficPolicy,
  targetNotFound,
} from "./state.ts";

type PolicyManifest = ManifestOf<"ResiliencePolicy">;

/** Policies by what they target: `Service/ns/name`, `HTTPRoute/ns/name`, `GRPCRoute/ns/name#rule`; older first. */
export type PolicyIndex = ReadonlyMap<string, readonly PolicyManifest[]>;

const CLUSTER_SECTIONS = ["circuitBreaker", "limits", "outlierDetection", "loadBalancing", "connection"] as const;
const SECTIONS = ["timeouts", "retry", ...CLUSTER_SECTIONS] as const;

export function targetKey(kind: string, namespace: string, name: string, section: string | null = null): string {
  return `${kind}/${namespace}/${name}${section === null ? "" : `#${section}`}`;
}

/** Indexes policies by target; targets that do not exist and sections that two policies claim become findings. */
export function indexPolicies(
  objects: Iterable<Manifest>,
  targetExists: (key: string) => boolean,
  findings: Finding[],
): PolicyIndex {
  const policies = new Map<string, PolicyManifest[]>();
  for (const object of objects) {
    if (object.kind !== "ResiliencePolicy") continue;
    const { metadata, spec } = object.value;
    const tell = (message: string, failure?: Failure): void => {
      findings.push({ key: object.key, source: positionOf(object), message, ...(failure ? { failure } : {}) });
    };
    for (const [index, ref] of spec.targetRefs.entries()) {
      const key = targetKey(ref.kind, metadata.namespace, ref.name, ref.sectionName);
      if (!targetExists(key)) {
        tell(`targets ${describeTarget(key)}, which does not exist`, targetNotFound(index));
        continue;
      }
      const others = policies.get(key) ?? [];
      const given = SECTIONS.filter((section) => spec[section] !== null);
      const lost = given.flatMap((section) => {
        const older = others.find((other) => other.value.spec[section] !== null);
        return older ? [{ section, older }] : [];
      });
      const failure: Failure = { condition: "Accepted", reason: "Conflicted", ref: index };
      for (const { section, older } of lost) {
        const message = `${section} for ${describeTarget(key)} is already set by ${older.key} (${positionOf(older)})`;
        tell(message, lost.length === given.length ? failure : undefined);
      }
      policies.set(key, [...others, object]);
    }
    if (spec.mode === "DryRun" && (spec.timeouts !== null || spec.retry !== null)) {
      tell("DryRun counts breaker, limits and ejection; timeouts and retry are left as they are without this policy");
    }
  }
  return policies;
}

function describeTarget(key: string): string {
  return key.replace("/", " ").replace("#", " rule ");
}

/** The cluster's part of the policies on a Service. */
export function trafficPolicy(policies: readonly PolicyManifest[]): TrafficPolicy {
  const shaping = policies.filter((p) => CLUSTER_SECTIONS.some((section) => p.value.spec[section] !== null));
  const enforced = shaping.filter((p) => p.value.spec.mode === "Enforce");
  // A dry run is of the cluster as a whole: it yields to a policy that is meant.
  const dryRun = enforced.length === 0 && shaping.length > 0;
  const used = dryRun ? shaping : policies.filter((p) => p.value.spec.mode === "Enforce");
  const first = <T>(pick: (spec: ResilienceSpec) => T | null | undefined): T | null => {
    for (const policy of used) {
      const value = pick(policy.value.spec);
      if (value != null) return value;
    }
    return null;
  };
  const base = DEFAULT_TRAFFIC;
  const breaker = first((spec) => spec.circuitBreaker);
  const outlier = first((spec) => spec.outlierDetection);
  const limits = first((spec) => spec.limits);
  const connection = first((spec) => spec.connection);
  return {
    connectMs: (dryRun ? null : first((spec) => spec.timeouts?.connect)) ?? base.connectMs,
    breaker:
      breaker === null
        ? base.breaker
        : breaker.enabled === "Off"
          ? null
          : {
              errorPercent: breaker.errorPercent,
              minimumCalls: breaker.minimumCalls,
              windowMs: breaker.window,
              openForMs: breaker.openFor,
            },
    limits: {
      connections: limits?.connections ?? base.limits.connections,
      pending: limits?.pending ?? base.limits.pending,
      requests: limits?.requests ?? base.limits.requests,
    },
    retryBudget: (dryRun ? null : first((spec) => spec.retry?.budget)) ?? base.retryBudget,
    outlier:
      outlier === null
        ? base.outlier
        : outlier.enabled === "Off"
          ? null
          : {
              consecutiveErrors: outlier.consecutiveErrors,
              openForMs: outlier.openFor,
              maxEjectedPercent: outlier.maxEjectedPercent,
            },
    balancing: first((spec) => spec.loadBalancing)?.policy ?? base.balancing,
    multiplex: connection === null ? base.multiplex : connection.multiplex === "On",
    mode: dryRun ? "dry_run" : "enforce",
    source: used.map((policy) => positionOf(policy)).join(" "),
  };
}

/** The route's part of policies, given most specific first. */
export function callPolicy(policies: readonly PolicyManifest[]): CallPolicy {
  const specs = policies.map((policy) => policy.value.spec).filter((spec) => spec.mode === "Enforce");
  const timeout = (field: "request" | "perTry" | "idle"): number | null =>
    specs.map((spec) => spec.timeouts?.[field] ?? null).find((value) => value !== null) ?? null;
  const retry = specs.find((spec) => spec.retry !== null)?.retry;
  return {
    requestMs: timeout("request") ?? DEFAULT_CALL.requestMs,
    perTryMs: timeout("perTry") ?? DEFAULT_CALL.perTryMs,
    idleMs: timeout("idle"),
    retry:
      retry == null
        ? DEFAULT_CALL.retry
        : {
            on: retry.on,
            statusCodes: retry.statusCodes,
            attempts: retry.attempts,
            backoff: { baseMs: retry.backoff.base, maxMs: retry.backoff.max },
            nonIdempotent: retry.nonIdempotent === "Always",
          },
  };
}

/** What a service's own call policy means for connections whose bytes are not looked into. */
export function opaqueRouting(call: CallPolicy): Omit<OpaqueRouting, "rules"> {
  return {
    idleMs: call.idleMs ?? DEFAULT_OPAQUE_IDLE_MS,
    connectAttempts: call.retry.on.includes("connect-failure") ? call.retry.attempts : 1,
  };
}
