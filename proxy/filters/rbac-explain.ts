/**
 * Says in a sentence why access rules refused a call: which policy, and which clause of it. For operators and logs
 * only; a peer is told nothing. Run for refused calls alone.
 */
import { formatAddress } from "../../model/address.ts";
import type { HeaderMatch, StringMatch } from "../../model/matcher.ts";
import type { Permission, Principal } from "../../model/rbac.ts";
import { type Call, type CallTest, type CompiledRules, compilePermission, compilePrincipal } from "./rbac-rules.ts";

/** Policies named in one sentence; the rest are counted. */
const MAX_POLICIES = 5;

/** `matched`: the name of the policy that matched (which denies), null if none did (so that nothing allows). */
export function explainDenial(rules: CompiledRules, matched: string | null, call: Call): string {
  const caller = describeCaller(call);
  if (matched !== null) {
    const clauses = rules.policies.find(({ policy }) => policy.name === matched);
    const permission = clauses?.policy.permissions.find((_, i) => clauses.permissions[i]?.(call));
    const principal = clauses?.policy.principals.find((_, i) => clauses.principals[i]?.(call));
    const what = permission ? describe(permission) : "any";
    const who = principal ? describe(principal) : "any";
    return `policy "${matched}" denies ${what} to ${who}; the caller is ${caller}`;
  }
  if (rules.policies.length === 0) return `no policy allows anything; the caller is ${caller}`;
  const reasons = rules.policies.slice(0, MAX_POLICIES).map((compiled) => {
    const { policy } = compiled;
    const permitted = compiled.permissions.some((test) => test(call));
    const failed = permitted
      ? policy.principals.map((clause) => firstFailure(clause, compilePrincipal, call))
      : policy.permissions.map((clause) => firstFailure(clause, compilePermission, call));
    return `policy "${policy.name}" wants ${failed.join(" or ") || "nothing"}`;
  });
  const rest = rules.policies.length - reasons.length;
  if (rest > 0) reasons.push(`${rest} more do not match`);
  return `no policy allows this call: ${reasons.join("; ")}; the caller is ${caller}`;
}

function describeCaller({ connection }: Call): string {
  const { peer = null } = connection.tls ?? {};
  const from = formatAddress({ kind: "tcp", host: connection.remoteAddress, port: connection.remotePort });
  if (connection.tls === null) return `${from}, in plaintext`;
  if (peer === null) return `${from}, over TLS without a certificate`;
  return `${peer.uriSans[0] ?? peer.dnsSans[0] ?? peer.subject} at ${from}`;
}

type Clause = Permission | Principal;

/** Tests of single parts of clauses, made when the first call fails on them: refused calls must stay cheap. */
const tests = new WeakMap<Clause, CallTest>();

/** The part of a clause that does not hold; groups of which all must hold are looked into. */
function firstFailure<C extends Clause>(clause: C, compile: (clause: C) => CallTest, call: Call): string {
  if (clause.kind === "and") {
    const parts = ("rules" in clause ? clause.rules : clause.ids) as readonly C[];
    const failed = parts.find((part) => {
      const test = tests.get(part) ?? compile(part);
      tests.set(part, test);
      return !test(call);
    });
    if (failed !== undefined) return firstFailure(failed, compile, call);
  }
  return describe(clause);
}

function describe(clause: Clause): string {
  switch (clause.kind) {
    case "any":
      return "anything";
    case "and":
    case "or": {
      const parts = "rules" in clause ? clause.rules : clause.ids;
      return `(${parts.map(describe).join(` ${clause.kind} `)})`;
    }
    case "not":
      return `not ${describe("rule" in clause ? clause.rule : clause.id)}`;
    case "header":
      return describeHeader(clause.header);
    case "url_path":
      return `path ${describeString(clause.path)}`;
    case "destination_ip":
      return `destination ${clause.cidr.address}/${clause.cidr.prefixLength}`;
    case "destination_port":
      return `port ${clause.port}`;
    case "destination_port_range":
      return `port ${clause.start} to ${clause.end - 1}`;
    case "requested_server_name":
      return `server name ${describeString(clause.match)}`;
    case "authenticated":
      return clause.name === null ? "a TLS connection" : `identity ${describeString(clause.name)}`;
    case "direct_remote_ip":
      return `a peer in ${clause.cidr.address}/${clause.cidr.prefixLength}`;
    case "remote_ip":
      return `a caller in ${clause.cidr.address}/${clause.cidr.prefixLength}`;
  }
}

function describeHeader({ name, match, invert }: HeaderMatch): string {
  const not = invert ? "not " : "";
  switch (match.kind) {
    case "present":
      return `${not}header ${name} ${match.present ? "present" : "absent"}`;
    case "range":
      return `${not}header ${name} from ${match.start} to below ${match.end}`;
    case "string":
      return `${not}header ${name} ${describeString(match.match)}`;
  }
}

function describeString(match: StringMatch): string {
  return `${match.kind} ${JSON.stringify(match.value)}`;
}
