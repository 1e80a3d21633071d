/** Gateway API `HTTPRoute` (v1) with Services as parents (GAMMA). */

import { objectMeta } from "./object-meta.ts";
import { BACKEND_FIELDS, parentRef } from "./references.ts";
import { backendFilters, ruleFilters } from "./route-filter.ts";
import { checkRules, headerMatch, queryMatch, regexProblem } from "./route-parts.ts";
import { duration, HTTP_METHODS } from "./scalars.ts";
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

const pathMatch = checked(
  object({
    type: withDefault(oneOf("Exact", "PathPrefix", "RegularExpression"), "PathPrefix"),
    value: withDefault(string(), "/"),
  }),
  ({ type, value }, complain) => {
    if (type === "RegularExpression") {
      const wrong = regexProblem(value);
      if (wrong !== null) complain(wrong, "value");
    } else if (!value.startsWith("/")) complain(`"${value}" must begin with /`, "value");
    else if (/\/\/|\/\.\.?(\/|$)|%2f|#|\?/i.test(value)) {
      complain(`"${value}" may hold no //, /./, /../, %2F, # or ?: no request's path would match it`, "value");
    }
  },
);

const match = object({
  path: withDefault(pathMatch, { type: "PathPrefix", value: "/" }),
  headers: withDefault(list(headerMatch, 0, 16), []),
  queryParams: withDefault(list(queryMatch, 0, 16), []),
  method: optional(oneOf(...HTTP_METHODS)),
});

export type RouteMatchManifest = ValueOf<typeof match>;

const backendRef = object({
  ...BACKEND_FIELDS,
  weight: withDefault(number(0, 1_000_000), 1),
  filters: withDefault(backendFilters, []),
});

export type BackendRef = ValueOf<typeof backendRef>;

const timeouts = checked(
  object({ request: optional(duration()), backendRequest: optional(duration()) }),
  ({ request, backendRequest }, complain) => {
    if (request !== null && request > 0 && backendRequest !== null && backendRequest > request) {
      complain("backendRequest is longer than request", "backendRequest");
    }
  },
);

const rule = checked(
  located(
    object({
      name: withDefault(string(), ""),
      matches: withDefault(list(match, 1, 64), [
        { path: { type: "PathPrefix", value: "/" }, headers: [], queryParams: [], method: null },
      ]),
      filters: withDefault(ruleFilters, []),
      backendRefs: withDefault(list(backendRef, 0, 16), []),
      timeouts: optional(timeouts),
      retry: optional(refused("write a ResiliencePolicy with this HTTPRoute as target instead")),
      sessionPersistence: optional(refused("session persistence is not carried yet")),
    }),
  ),
  (value, complain) => {
    const redirects = value.filters.some((f) => f.type === "RequestRedirect");
    if (redirects && value.backendRefs.length > 0) complain("a rule that redirects has no backends", "backendRefs");
    const prefixNeeded = value.filters.some(
      (f) => (f.urlRewrite ?? f.requestRedirect)?.path?.type === "ReplacePrefixMatch",
    );
    if (prefixNeeded && value.matches.some((m) => m.path.type !== "PathPrefix")) {
      complain("ReplacePrefixMatch needs every match of the rule to be a PathPrefix", "matches");
    }
  },
);

export type RouteRule = ValueOf<typeof rule>;

export const httpRouteSchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(
      object({
        parentRefs: required(list(parentRef, 1, 32)),
        hostnames: optional(refused("host names have no meaning on a route whose parent is a Service")),
        useDefaultGateways: optional(ignored),
        rules: withDefault(list(rule, 1, 64), []),
      }),
      ({ rules }, complain) => checkRules(rules, complain),
    ),
  ),
  status: optional(ignored),
});

export type HttpRouteManifest = ValueOf<typeof httpRouteSchema>;
