/** Gateway API `GRPCRoute` (v1) with Services as parents (GAMMA). */
import { objectMeta } from "./object-meta.ts";
import { BACKEND_FIELDS, parentRef } from "./references.ts";
import { grpcBackendFilters, grpcRuleFilters } from "./route-filter.ts";
import { checkRules, headerMatch, regexProblem } from "./route-parts.ts";
import {
  checked,
  ignored,
  list,
  located,
  number,
  object,
  oneOf,
  optional,
  refused,
  required,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

/** Gateway API's patterns for names that are matched exactly: what protobuf can name, so never a `/`. */
const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[a-z_][a-z_0-9]*$/i;

const name = string((value) => (value.length > 1024 ? "is longer than 1024 characters" : null));

/** "" for service or method: any. */
const methodMatch = checked(
  object({
    type: withDefault(oneOf("Exact", "RegularExpression"), "Exact"),
    service: withDefault(name, ""),
    method: withDefault(name, ""),
  }),
  ({ type, service, method }, complain) => {
    if (service === "" && method === "") complain("needs a service, a method or both; without this field all match");
    if (type === "Exact") {
      if (service !== "" && !SERVICE.test(service)) {
        complain(`"${service}" is not the full name of a gRPC service, as in package.Service`, "service");
      }
      if (method !== "" && !METHOD.test(method)) complain(`"${method}" is not the name of a gRPC method`, "method");
      return;
    }
    for (const [field, pattern] of Object.entries({ service, method })) {
      const wrong = pattern === "" ? null : regexProblem(pattern);
      if (wrong !== null) complain(wrong, field);
    }
  },
);

const match = object({
  method: optional(methodMatch),
  headers: withDefault(list(headerMatch, 0, 16), []),
});

export type GrpcMatchManifest = ValueOf<typeof match>;

const backendRef = object({
  ...BACKEND_FIELDS,
  weight: withDefault(number(0, 1_000_000), 1),
  filters: withDefault(grpcBackendFilters, []),
});

const rule = located(
  object({
    name: withDefault(string(), ""),
    matches: withDefault(list(match, 1, 64), [{ method: null, headers: [] }]),
    filters: withDefault(grpcRuleFilters, []),
    backendRefs: withDefault(list(backendRef, 0, 16), []),
    timeouts: optional(refused("write a ResiliencePolicy with this GRPCRoute as target instead")),
    retry: optional(refused("write a ResiliencePolicy with this GRPCRoute as target instead")),
    sessionPersistence: optional(refused("session persistence is not carried yet")),
  }),
);

export type GrpcRouteRule = ValueOf<typeof rule>;

export const grpcRouteSchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(
      object({
        parentRefs: required(list(parentRef, 1, 32)),
        hostnames: optional(refused("host names have no meaning on a route whose parent is a Service")),
        useDefaultGateways: optional(ignored),
        rules: withDefault(list(rule, 1, 16), []),
      }),
      ({ rules }, complain) => checkRules(rules, complain),
    ),
  ),
  status: optional(ignored),
});

export type GrpcRouteManifest = ValueOf<typeof grpcRouteSchema>;
