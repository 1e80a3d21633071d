/** `AccessPolicy`: who may call what of the workloads that it protects. */
import { objectMeta } from "./object-meta.ts";
import { serviceTargetRef } from "./references.ts";
import { dnsLabel, HTTP_METHODS } from "./scalars.ts";
import {
  checked,
  list,
  located,
  matching,
  object,
  oneOf,
  required,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

const serviceAccount = matching(
  /^([a-z0-9-]+\/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
  63 + "/".length + 253,
  (value) => `"${value}" is not a service account: write its name, or namespace/name`,
);

/** A SPIFFE id is at most 2048 bytes long (SPIFFE-ID, section 2.3). */
const principal = matching(
  /^spiffe:\/\/[a-z0-9._-]+\/[^* \t\n\v\f\r]*\*?$/,
  2048,
  (value) => `"${value}" is not a SPIFFE id (spiffe://trust-domain/…, with * only at the end)`,
);

/** `/a` is that path, `/a/*` all below it, `/a*` all that begins so. */
const path = matching(
  /^\/[^*?# \t\n\v\f\r]*\*?$/,
  4096,
  (value) => `"${value}" must begin with / and may hold * only at its end`,
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
  [
    {
      rule: "has(self.serviceAccounts) || has(self.namespaces) || has(self.principals)",
      message: "names nobody: give serviceAccounts, namespaces or principals",
    },
  ],
);

const to = checked(
  object({
    methods: withDefault(list(oneOf(...HTTP_METHODS), 1, 16), []),
    paths: withDefault(list(path, 1, 64), []),
  }),
  (value, complain) => {
    if (value.methods.length + value.paths.length === 0) complain("names nothing: give methods or paths");
  },
  [{ rule: "has(self.methods) || has(self.paths)", message: "names nothing: give methods or paths" }],
);

const rule = located(
  object({
    name: withDefault(
      matching(/^[A-Za-z0-9._-]+$/, 63, () => "may hold letters, digits, dot, _ and - only, at most 63 of them"),
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
      [
        {
          rule: "self.rules.all(r, !has(r.name) || self.rules.exists_one(o, has(o.name) && o.name == r.name))",
          message: "two rules have the same name",
          field: "rules",
        },
        {
          rule: "!has(self.action) || self.action != 'Deny' || size(self.rules) > 0",
          message: "denies nothing: give a rule",
          field: "rules",
        },
      ],
    ),
  ),
});

export type AccessPolicyManifest = ValueOf<typeof accessPolicySchema>;
