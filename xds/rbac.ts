/** Access rules, for connections and for requests: `config.rbac.v3.RBAC`. */
import { create } from "@bufbuild/protobuf";
import {
  RBAC_Action as Action,
  type Permission as PermissionMessage,
  type Policy,
  PolicySchema,
  type Principal as PrincipalMessage,
  type RBAC,
  RBAC_ActionSchema,
  RBACSchema,
} from "../generated/envoy/config/rbac/v3/rbac_pb.js";
import type { RbacNamedPolicy, RbacPolicy, RbacRules } from "../model/rbac.ts";
import type { Place } from "./place.ts";
import { decodePermission, encodePermission } from "./rbac/permission.ts";
import { decodePrincipal, encodePrincipal } from "./rbac/principal.ts";
import { numberOf, wordOf } from "./values.ts";

/** A connection has no headers: Envoy refuses header rules in the network filter. */
export type RbacScope = "connection" | "request";

const ACTIONS = { [Action.ALLOW]: "allow", [Action.DENY]: "deny", [Action.LOG]: "log" } as const;

interface RulesFields {
  rules?: RBAC | undefined;
  shadowRules?: RBAC | undefined;
  /** Only the filter for requests leaves results that are named. */
  shadowRulesStatPrefix?: string;
}

/** The fields `rules` and `shadow_rules`, which both filters have, and the prefix of shadow results. */
export function decodeRbacPolicy(message: RulesFields, scope: RbacScope, at: Place): RbacPolicy {
  return {
    rules: message.rules ? decodeRules(message.rules, scope, at.field("rules")) : null,
    shadowRules: message.shadowRules ? decodeRules(message.shadowRules, scope, at.field("shadow_rules")) : null,
    ...(scope === "request" && message.shadowRulesStatPrefix ? { shadowPrefix: message.shadowRulesStatPrefix } : {}),
  };
}

function decodeRules(message: RBAC, scope: RbacScope, at: Place): RbacRules {
  const names = Object.keys(message.policies).sort();
  return {
    action: wordOf(RBAC_ActionSchema, message.action, ACTIONS, at.field("action")) ?? "deny",
    policies: names.flatMap((name) => {
      const policy = message.policies[name];
      return policy ? [decodePolicy(name, policy, scope, at.entry("policies", name))] : [];
    }),
  };
}

function decodePolicy(name: string, policy: Policy, scope: RbacScope, at: Place): RbacNamedPolicy {
  if (policy.permissions.length === 0) at.field("permissions").error("must not be empty");
  if (policy.principals.length === 0) at.field("principals").error("must not be empty");
  return {
    name,
    permissions: policy.permissions.map((permission, i) =>
      decodePermission(permission, scope, at.item("permissions", i)),
    ),
    principals: policy.principals.map((principal, i) => decodePrincipal(principal, scope, at.item("principals", i))),
  };
}

/** The fields `rules` and `shadow_rules` of a policy; those that are null are left out. */
export function encodeRbacPolicy(policy: RbacPolicy): RulesFields {
  return {
    ...(policy.rules ? { rules: encodeRules(policy.rules) } : {}),
    ...(policy.shadowRules ? { shadowRules: encodeRules(policy.shadowRules) } : {}),
    ...(policy.shadowPrefix ? { shadowRulesStatPrefix: policy.shadowPrefix } : {}),
  };
}

function encodeRules(rules: RbacRules): RBAC {
  return create(RBACSchema, {
    action: numberOf(ACTIONS, rules.action),
    policies: Object.fromEntries(rules.policies.map((policy) => [policy.name, encodePolicy(policy)])),
  });
}

function encodePolicy(policy: RbacNamedPolicy): Policy {
  const permissions: PermissionMessage[] = policy.permissions.map(encodePermission);
  const principals: PrincipalMessage[] = policy.principals.map(encodePrincipal);
  return create(PolicySchema, { permissions, principals });
}
