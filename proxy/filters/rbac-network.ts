/** The network access filter (`envoy.filters.network.rbac`): one decision for a whole connection, before its first byte. */
import type { RbacPolicy } from "../../model/rbac.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import { RequestHead } from "../http/message.ts";
import { denialDetails, type RbacCounters } from "./rbac.ts";
import { explainDenial } from "./rbac-explain.ts";
import { type Call, compileRules, isAllowed, matchingPolicy } from "./rbac-rules.ts";

export interface ConnectionVerdict {
  readonly allowed: boolean;
  /** Envoy's %CONNECTION_TERMINATION_DETAILS%, "" if allowed. */
  readonly details: string;
  /** Sentence for operators, "" if allowed. */
  readonly explanation: string;
}

export type ConnectionRbac = (connection: ConnectionInfo) => ConnectionVerdict;

const ALLOWED: ConnectionVerdict = { allowed: true, details: "", explanation: "" };
const NO_REQUEST = new RequestHead();

/** null where there is nothing to evaluate. Throws on a regular expression that is not RE2 syntax. */
export function compileNetworkRbac(policy: RbacPolicy, counters: RbacCounters): ConnectionRbac | null {
  if (policy.rules === null && policy.shadowRules === null) return null;
  const rules = policy.rules === null ? null : compileRules(policy.rules);
  const shadow = policy.shadowRules === null ? null : compileRules(policy.shadowRules);
  return (connection) => {
    const call: Call = { connection, request: NO_REQUEST, info: null };
    if (shadow !== null) {
      const allowed = isAllowed(shadow.action, matchingPolicy(shadow, call));
      (allowed ? counters.shadowAllowed : counters.shadowDenied).inc();
    }
    if (rules === null) return ALLOWED;
    const matched = matchingPolicy(rules, call)?.name ?? null;
    if (rules.action === "log" || (matched !== null) === (rules.action === "allow")) {
      counters.allowed.inc();
      return ALLOWED;
    }
    counters.denied.inc();
    return { allowed: false, details: denialDetails(matched), explanation: explainDenial(rules, matched, call) };
  };
}
