/** The HTTP access filter (`envoy.filters.http.rbac`): enforces rules, and evaluates shadow rules beside them. */
import type { RbacPolicy } from "../../model/rbac.ts";
import { type Counter, NO_COUNTER } from "./counter.ts";
import type { FilterContext, FilterStage } from "./filter.ts";
import { explainDenial } from "./rbac-explain.ts";
import { type Call, type CompiledRules, compileRules, isAllowed, matchingPolicy } from "./rbac-rules.ts";

export interface RbacCounters {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly shadowAllowed: Counter;
  readonly shadowDenied: Counter;
}

export const NO_RBAC_COUNTERS: RbacCounters = {
  allowed: NO_COUNTER,
  denied: NO_COUNTER,
  shadowAllowed: NO_COUNTER,
  shadowDenied: NO_COUNTER,
};

/** Where Envoy leaves the results for logs (`%DYNAMIC_METADATA(envoy.filters.http.rbac)%`). */
const METADATA = "envoy.filters.http.rbac";

/**
 * null where there is nothing to evaluate. `rulesPrefix` is what the names of results in logs begin with. Throws on a regular expression that is not RE2
 * syntax.
 */
export function compileRbac(policy: RbacPolicy, counters: RbacCounters, rulesPrefix = ""): FilterStage | null {
  if (policy.rules === null && policy.shadowRules === null) return null;
  return new RbacStage(policy, counters, rulesPrefix);
}

class RbacStage implements FilterStage {
  readonly #rules: CompiledRules | null;
  readonly #shadow: CompiledRules | null;
  readonly #counters: RbacCounters;
  /** What the names of results begin with. */
  readonly #enforcedName: string;
  readonly #shadowName: string;

  constructor(policy: RbacPolicy, counters: RbacCounters, rulesPrefix: string) {
    this.#rules = policy.rules === null ? null : compileRules(policy.rules);
    this.#shadow = policy.shadowRules === null ? null : compileRules(policy.shadowRules);
    this.#counters = counters;
    this.#enforcedName = `${rulesPrefix}enforced`;
    this.#shadowName = `${policy.shadowPrefix ?? ""}shadow`;
  }

  onRequest(context: FilterContext): boolean {
    const { info, request } = context;
    const call: Call = { connection: info.connection, request, info };
    const results: Facts = {};
    info.metadata ??= {};
    info.metadata[METADATA] = results;
    const rules = this.#rules;
    const matched = rules === null ? null : matchingPolicy(rules, call);
    const allowed = rules === null || isAllowed(rules.action, matched);
    if (rules !== null) record(results, this.#enforcedName, matched?.name ?? null, allowed);
    if (this.#shadow !== null) this.#evaluateShadow(this.#shadow, call, results);
    if (rules === null) return true;
    if (rules.action === "log") info.metadata["envoy.common"] = { access_log_hint: matched !== null };
    if (allowed) {
      this.#counters.allowed.inc();
      return true;
    }
    this.#counters.denied.inc();
    info.explanation = explainDenial(rules, matched?.name ?? null, call);
    context.localReply(403, "RBAC: access denied", denialDetails(matched?.name ?? null), 0);
    return false;
  }

  #evaluateShadow(rules: CompiledRules, call: Call, results: Facts): void {
    const matched = matchingPolicy(rules, call);
    const allowed = isAllowed(rules.action, matched);
    (allowed ? this.#counters.shadowAllowed : this.#counters.shadowDenied).inc();
    record(results, this.#shadowName, matched?.name ?? null, allowed);
  }
}

type Facts = Record<string, string | boolean>;

/** In the order of the keys, which is how Envoy prints them. */
function record(results: Facts, engine: string, policy: string | null, allowed: boolean): void {
  if (policy !== null) results[`${engine}_effective_policy_id`] = policy;
  results[`${engine}_engine_result`] = allowed ? "allowed" : "denied";
}

/** Envoy's %RESPONSE_CODE_DETAILS%; white space would break logs apart. */
export function denialDetails(policy: string | null): string {
  return `rbac_access_denied_matched_policy[${policy === null ? "none" : policy.replace(/\s/g, "_")}]`;
}
