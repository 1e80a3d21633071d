/** Who may call what: `envoy.config.rbac.v3`, for both the network and the HTTP filter. */
import type { Cidr } from "./address.ts";
import type { HeaderMatch, StringMatch } from "./matcher.ts";

export interface RbacPolicy {
  /** null: no rules, everything is allowed. */
  readonly rules: RbacRules | null;
  /** Evaluated and counted, never enforced. */
  readonly shadowRules: RbacRules | null;
  /** `shadow_rules_stat_prefix`: what the names of shadow results in logs begin with. Absent: nothing. */
  readonly shadowPrefix?: string;
}

export interface RbacRules {
  readonly action: "allow" | "deny" | "log";
  /** By name, sorted; a request matches a policy when one permission and one principal match. */
  readonly policies: readonly RbacNamedPolicy[];
}

export interface RbacNamedPolicy {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly principals: readonly Principal[];
}

export type Permission =
  | { readonly kind: "any" }
  | { readonly kind: "and" | "or"; readonly rules: readonly Permission[] }
  | { readonly kind: "not"; readonly rule: Permission }
  | { readonly kind: "header"; readonly header: HeaderMatch }
  | { readonly kind: "url_path"; readonly path: StringMatch }
  | { readonly kind: "destination_ip"; readonly cidr: Cidr }
  | { readonly kind: "destination_port"; readonly port: number }
  /** start ≤ port < end */
  | { readonly kind: "destination_port_range"; readonly start: number; readonly end: number }
  | { readonly kind: "requested_server_name"; readonly match: StringMatch };

export type Principal =
  | { readonly kind: "any" }
  | { readonly kind: "and" | "or"; readonly ids: readonly Principal[] }
  | { readonly kind: "not"; readonly id: Principal }
  /** Any of the peer's URI SANs, DNS SANs or its subject; null: any TLS connection, as in Envoy. */
  | { readonly kind: "authenticated"; readonly name: StringMatch | null }
  | { readonly kind: "direct_remote_ip"; readonly cidr: Cidr }
  | { readonly kind: "remote_ip"; readonly cidr: Cidr }
  | { readonly kind: "header"; readonly header: HeaderMatch }
  | { readonly kind: "url_path"; readonly path: StringMatch };
