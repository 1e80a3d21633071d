/** Gateway API `ReferenceGrant`: what routes of other namespaces may name in the grant's own. */
import { objectMeta } from "./object-meta.ts";
import { dnsLabel, dnsSubdomain } from "./scalars.ts";
import { ignored, list, object, optional, required, string, type ValueOf } from "./schema.ts";

const kind = string((value) => (value === "" ? "must not be empty" : null));

/** Any group and kind may be named: those that mean nothing to the mesh are for other controllers. */
const from = object({ group: required(string()), kind: required(kind), namespace: required(dnsLabel) });

const to = object({ group: required(string()), kind: required(kind), name: optional(dnsSubdomain) });

export const referenceGrantSchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(object({ from: required(list(from, 1, 16)), to: required(list(to, 1, 16)) })),
  status: optional(ignored),
});

export type ReferenceGrantManifest = ValueOf<typeof referenceGrantSchema>;
