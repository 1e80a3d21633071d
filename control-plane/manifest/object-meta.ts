/** `metadata` of a Kubernetes object: what the mesh uses of it, and what an API server adds that means nothing here. */
import { dnsLabel, dnsSubdomain } from "./scalars.ts";
import { ignored, object, optional, required, string, stringMap, type ValueOf, withDefault } from "./schema.ts";

export const objectMeta = object({
  name: required(dnsSubdomain),
  namespace: withDefault(dnsLabel, "default"),
  labels: withDefault(stringMap, {}),
  annotations: withDefault(stringMap, {}),
  creationTimestamp: optional(
    string((value) => (Number.isNaN(Date.parse(value)) ? `"${value}" is not a time (RFC 3339)` : null)),
  ),
  generateName: optional(ignored),
  generation: optional(ignored),
  resourceVersion: optional(ignored),
  uid: optional(ignored),
  selfLink: optional(ignored),
  managedFields: optional(ignored),
  ownerReferences: optional(ignored),
  finalizers: optional(ignored),
});

export type ObjectMeta = ValueOf<typeof objectMeta>;
