/**
 * AccessPolicies as RBAC filters of a workload's inbound listener. Denials are looked at first; where any policy allows,
 * only what is allowed passes; without policies any authenticated peer of the trust domain does.
 */
import type { HttpFilter } from "../../model/http.ts";
import { formatIdentity } from "../../model/identity.ts";
import type { NetworkFilter } from "../../model/listener.ts";
import type { StringMatch } from "../../model/matcher.ts";
import type { Permission, Principal, RbacNamedPolicy, RbacPolicy, RbacRules } from "../../model/rbac.ts";
import type { AccessPolicyManifest, AccessRule } from "../manifest/access-policy.ts";
import { isMember, servedAt } from "../mesh/membership.ts";
import { type MeshState, serviceKey } from "../mesh/state.ts";
import { isInterceptedInbound, type Workload } from "../mesh/workload.ts";

/**
 * The policies that protect a workload: those of its namespace that name one of its services, or none. Where peers call
 * the application's own ports, those for `port` name a service that leads there (null: for ports that none leads to).
 */
export function policiesFor(
  state: MeshState,
  workload: Workload,
  port: number | null,
): readonly AccessPolicyManifest[] {
  return (state.access.get(workload.namespace) ?? []).filter(
    ({ spec, metadata }) =>
      spec.targetRefs.length === 0 ||
      spec.targetRefs.some(({ name }) => {
        const definition = state.services.get(serviceKey(metadata.namespace, name))?.definition;
        if (definition === undefined || !isMember(definition, workload)) return false;
        return (
          port === null ||
          !isInterceptedInbound(workload) ||
          definition.ports.some((candidate) => servedAt(definition, candidate, workload) === port)
        );
      }),
  );
}

/** Filters of HTTP requests in their order: deny, then allow. What is `exempt` passes, whatever they say. */
export function accessFilters(
  policies: readonly AccessPolicyManifest[],
  trustDomain: string,
  exempt: Permission | null = null,
): readonly HttpFilter[] {
  return rbacStages(policies, (policy) => namedPolicies(policy, trustDomain)).map(({ action, policy }) => ({
    kind: "rbac",
    name: `outrigger.access.${action}`,
    disabled: false,
    statPrefix: "",
    policy:
      exempt === null
        ? policy
        : { rules: exempting(policy.rules, exempt), shadowRules: exempting(policy.shadowRules, exempt) },
  }));
}

function exempting(rules: RbacRules | null, exempt: Permission): RbacRules | null {
  if (rules === null) return null;
  const { action, policies } = rules;
  if (action === "allow") {
    const pass: RbacNamedPolicy = { name: "outrigger.probes", permissions: [exempt], principals: [{ kind: "any" }] };
    return { action, policies: [...policies, pass] };
  }
  const others: Permission = { kind: "not", rule: exempt };
  const except = ({ name, permissions, principals }: RbacNamedPolicy): RbacNamedPolicy => ({
    name,
    permissions: permissions.map((one) => ({ kind: "and", rules: [others, one] })),
    principals,
  });
  return { action, policies: policies.map(except) };
}

/**
 * The same for connections whose bytes are not looked into. What a rule says of methods and paths can't be known there:
 * it allows nobody, and denies all of its callers.
 */
export function connectionAccessFilters(
  policies: readonly AccessPolicyManifest[],
  trustDomain: string,
): readonly NetworkFilter[] {
  const named = (policy: AccessPolicyManifest) => opaquePolicies(policy, trustDomain);
  return rbacStages(policies, named).map(({ action, policy }) => ({
    kind: "rbac",
    statPrefix: `outrigger.access.${action}.`,
    policy,
  }));
}

interface RbacStage {
  readonly action: "deny" | "allow";
  readonly policy: RbacPolicy;
}

function rbacStages(
  policies: readonly AccessPolicyManifest[],
  namedOf: (policy: AccessPolicyManifest) => readonly RbacNamedPolicy[],
): readonly RbacStage[] {
  return (["Deny", "Allow"] as const).flatMap((wanted): readonly RbacStage[] => {
    const ofAction = policies.filter(({ spec }) => spec.action === wanted);
    const action = wanted === "Deny" ? "deny" : "allow";
    const rulesOf = (mode: "Enforce" | "DryRun"): RbacRules | null => {
      const ofMode = ofAction.filter(({ spec }) => spec.mode === mode);
      if (ofMode.length === 0) return null;
      return { action, policies: ofMode.flatMap(namedOf).sort((a, b) => (a.name < b.name ? -1 : 1)) };
    };
    const policy = { rules: rulesOf("Enforce"), shadowRules: rulesOf("DryRun") };
    return policy.rules === null && policy.shadowRules === null ? [] : [{ action, policy }];
  });
}

/** Whether a decision hangs on the path, so that it must not be spelled in two ways. */
export function dependsOnPath(policies: readonly AccessPolicyManifest[]): boolean {
  return policies.some(({ spec }) => spec.rules.some(({ to }) => to.some(({ paths }) => paths.length > 0)));
}

/** One RBAC policy per rule, named `namespace/policy/rule`, so that a decision can name its clause. */
function namedPolicies(policy: AccessPolicyManifest, trustDomain: string): readonly RbacNamedPolicy[] {
  const { namespace, name } = policy.metadata;
  return policy.spec.rules.map((rule, index) => ({
    name: `${namespace}/${name}/${rule.name === "" ? index : rule.name}`,
    permissions: rule.to.length === 0 ? [{ kind: "any" }] : rule.to.map(permission),
    principals:
      rule.from.length === 0 ? [{ kind: "any" }] : rule.from.map((from) => principal(from, namespace, trustDomain)),
  }));
}

function opaquePolicies(policy: AccessPolicyManifest, trustDomain: string): readonly RbacNamedPolicy[] {
  const named = namedPolicies(policy, trustDomain);
  return named.flatMap((given, index) => {
    const seesRequests = (policy.spec.rules[index]?.to.length ?? 0) > 0;
    return seesRequests && policy.spec.action === "Allow" ? [] : [{ ...given, permissions: [{ kind: "any" }] }];
  });
}

function permission({ methods, paths }: AccessRule["to"][number]): Permission {
  const parts: Permission[] = [];
  if (methods.length > 0) {
    parts.push(
      either(
        methods.map((method) => ({
          kind: "header",
          header: {
            name: ":method",
            match: { kind: "string", match: { kind: "exact", value: method, ignoreCase: false } },
            invert: false,
            treatMissingAsEmpty: false,
          },
        })),
      ),
    );
  }
  if (paths.length > 0) parts.push(either(paths.map((path) => ({ kind: "url_path", path: trailingStar(path) }))));
  const [only] = parts;
  return parts.length === 1 && only ? only : { kind: "and", rules: parts };
}

function either(rules: readonly Permission[]): Permission {
  const [only] = rules;
  return rules.length === 1 && only ? only : { kind: "or", rules };
}

function principal(from: AccessRule["from"][number], namespace: string, trustDomain: string): Principal {
  const names: StringMatch[] = [
    ...from.serviceAccounts.map((account): StringMatch => {
      const [first = "", second] = account.split("/");
      const [ns, serviceAccount] = second === undefined ? [namespace, first] : [first, second];
      return exact(formatIdentity({ trustDomain, namespace: ns, serviceAccount }));
    }),
    ...from.namespaces.map(
      (ns): StringMatch => ({ kind: "prefix", value: `spiffe://${trustDomain}/ns/${ns}/`, ignoreCase: false }),
    ),
    ...from.principals.map(trailingStar),
  ];
  const ids = names.map((name): Principal => ({ kind: "authenticated", name }));
  const [only] = ids;
  return ids.length === 1 && only ? only : { kind: "or", ids };
}

function trailingStar(text: string): StringMatch {
  return text.endsWith("*") ? { kind: "prefix", value: text.slice(0, -1), ignoreCase: false } : exact(text);
}

function exact(value: string): StringMatch {
  return { kind: "exact", value, ignoreCase: false };
}
