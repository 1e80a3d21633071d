/** Arbitrary access rules and faults of the model. */
import fc from "fast-check";
import type { FaultPolicy } from "../../model/fault.ts";
import type { Permission, Principal, RbacPolicy, RbacRules } from "../../model/rbac.ts";
import { cidr, fraction, headerMatch, stringMatch } from "./arbitrary-matcher.ts";
import { andPerhaps, few, name, orNull, plainText, port, positiveMs, uint32 } from "./arbitrary-text.ts";

const leafPermission = (requests: boolean): fc.Arbitrary<Permission> =>
  fc.oneof(
    fc.constant<Permission>({ kind: "any" }),
    ...(requests
      ? [fc.record<Permission & { kind: "header" }>({ kind: fc.constant("header"), header: headerMatch })]
      : []),
    fc.record<Permission & { kind: "url_path" }>({ kind: fc.constant("url_path"), path: stringMatch }),
    fc.record<Permission & { kind: "destination_ip" }>({ kind: fc.constant("destination_ip"), cidr }),
    fc.record<Permission & { kind: "destination_port" }>({ kind: fc.constant("destination_port"), port }),
    fc
      .tuple(fc.integer({ min: 0, max: 65534 }), fc.integer({ min: 0, max: 65534 }))
      .map(
        ([a, b]): Permission => ({ kind: "destination_port_range", start: Math.min(a, b), end: Math.max(a, b) + 1 }),
      ),
    fc.record<Permission & { kind: "requested_server_name" }>({
      kind: fc.constant("requested_server_name"),
      match: stringMatch,
    }),
  );

const leafPrincipal = (requests: boolean): fc.Arbitrary<Principal> =>
  fc.oneof(
    fc.constant<Principal>({ kind: "any" }),
    fc.record<Principal & { kind: "authenticated" }>({
      kind: fc.constant("authenticated"),
      name: orNull(stringMatch),
    }),
    fc.record<Principal & { kind: "direct_remote_ip" }>({ kind: fc.constant("direct_remote_ip"), cidr }),
    fc.record<Principal & { kind: "remote_ip" }>({ kind: fc.constant("remote_ip"), cidr }),
    ...(requests
      ? [fc.record<Principal & { kind: "header" }>({ kind: fc.constant("header"), header: headerMatch })]
      : []),
    fc.record<Principal & { kind: "url_path" }>({ kind: fc.constant("url_path"), path: stringMatch }),
  );

/** Two levels of and, or, not over the leaves: enough to go through every branch. */
function permission(requests: boolean): fc.Arbitrary<Permission> {
  const nest = (inner: fc.Arbitrary<Permission>): fc.Arbitrary<Permission> =>
    fc.oneof(
      inner,
      fc.record<Permission & { kind: "and" | "or" }>({
        kind: fc.constantFrom("and" as const, "or" as const),
        rules: few(inner, 1),
      }),
      fc.record<Permission & { kind: "not" }>({ kind: fc.constant("not"), rule: inner }),
    );
  return nest(nest(leafPermission(requests)));
}

function principal(requests: boolean): fc.Arbitrary<Principal> {
  const nest = (inner: fc.Arbitrary<Principal>): fc.Arbitrary<Principal> =>
    fc.oneof(
      inner,
      fc.record<Principal & { kind: "and" | "or" }>({
        kind: fc.constantFrom("and" as const, "or" as const),
        ids: few(inner, 1),
      }),
      fc.record<Principal & { kind: "not" }>({ kind: fc.constant("not"), id: inner }),
    );
  return nest(nest(leafPrincipal(requests)));
}

function rules(requests: boolean): fc.Arbitrary<RbacRules> {
  return fc.record({
    action: fc.constantFrom("allow" as const, "deny" as const, "log" as const),
    policies: fc
      .uniqueArray(
        fc.record({ name, permissions: few(permission(requests), 1), principals: few(principal(requests), 1) }),
        { maxLength: 2, selector: (policy) => policy.name },
      )
      .map((policies) => policies.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
  });
}

/** `requests`: with header rules, which only the HTTP filter may have. */
export function rbacPolicy(requests: boolean): fc.Arbitrary<RbacPolicy> {
  const plain = fc.record({ rules: orNull(rules(requests)), shadowRules: orNull(rules(requests)) });
  return requests ? andPerhaps(plain, { shadowPrefix: name }) : plain;
}

export const faultPolicy: fc.Arbitrary<FaultPolicy> = fc.record({
  delay: orNull<NonNullable<FaultPolicy["delay"]>>(
    fc.oneof(
      fc.record({ kind: fc.constant("fixed" as const), ms: positiveMs, fraction }),
      fc.record({ kind: fc.constant("header" as const), fraction }),
    ),
  ),
  abort: orNull<NonNullable<FaultPolicy["abort"]>>(
    fc.oneof(
      fc.record({ kind: fc.constant("http" as const), status: fc.integer({ min: 200, max: 599 }), fraction }),
      fc.record({ kind: fc.constant("grpc" as const), status: fc.integer({ min: 0, max: 16 }), fraction }),
      fc.record({ kind: fc.constant("header" as const), fraction }),
    ),
  ),
  headers: few(headerMatch),
  upstreamCluster: plainText,
  maxActiveFaults: orNull(uint32),
});
