/** `AccessPolicy`: who may call what of the workloads that it protects. */
import { objectMeta } from "./object-meta.ts";
import { serviceTargetRef } from "./references.ts";
import { dnsLabel, HTTP_METHODS } from "./scalars.ts";
import { checked, list, located, object, oneOf, required, string, type ValueOf, withDefault } from "./schema.ts";

const serviceAccount = string((value) =>
  /^([a-z0-9-]+\/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value)
    ? null
    : `"${value}" is not a service account: write its name, or namespace/name`,
);

const principal = string((value) =>
  /^spiffe:\/\/[a-z0-9._-]+\/[^*\s]*\*?$/.test(value)
    ? null
    : `"${value}" is not a SPIFFE id (spiffe://trust-domain/…, with * only at the end)`,
);

/** `/a` is that path, `/a/*` all below it, `/a*` all that begins so. */
const path = string((value) =>
  /^\/[^*?#\s]*\*?$/.test(value) ? null : `"${value}" must begin with / and may hold * only at its end`,
);

const from = checked(
  object({
    serviceAccounts: withDefault(list(serviceAccount, 1, 64), []),
    namespaces: withDefault(list(dnsLabel, 1, 64), []),
    principals: withDefault(list(principal, 1, 64), []),
  }),
  (value, complain) => {
    if (value.serviceAccounts.length + value.namespaces.length + value.principals.length === 0) {
      complain("names nobody: give serviceAccounts, namespaces or principals");
    }
  },
);

const to = checked(
  object({
    methods: withDefault(list(oneOf(...HTTP_METHODS), 1, 16), []),
    paths: withDefault(list(path, 1, 64), []),
  }),
  (value, complain) => {
    if (value.methods.length + value.paths.length === 0) complain("names nothing: give methods or paths");
  },
);

const rule = located(
  object({
    name: withDefault(
      string((value) => (/^[A-Za-z0-9._-]+$/.test(value) ? null : "may hold letters, digits, dot, _ and - only")),
      "",
    ),
    from: withDefault(list(from, 1, 16), []),
    to: withDefault(list(to, 1, 16), []),
  }),
);

export type AccessRule = ValueOf<typeof rule>;

export const accessPolicySchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(
      object({
        targetRefs: withDefault(list(serviceTargetRef, 1, 16), []),
        mode: withDefault(oneOf("Enforce", "DryRun"), "Enforce"),
        action: withDefault(oneOf("Allow", "Deny"), "Allow"),
        rules: required(list(rule, 0, 64)),
      }),
      (spec, complain) => {
        const names = spec.rules.map((r) => r.name).filter((name) => name !== "");
        if (new Set(names).size !== names.length) complain("two rules have the same name", "rules");
        if (spec.action === "Deny" && spec.rules.length === 0) complain("denies nothing: give a rule", "rules");
      },
    ),
  ),
});

export type AccessPolicyManifest = ValueOf<typeof accessPolicySchema>;
