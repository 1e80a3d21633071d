/** Gateway API `HTTPRoute` (v1) with Services as parents (GAMMA). */

import { messageOf } from "../../core/errors.ts";
import { re2 } from "../../core/re2.ts";
import { backendFilters, ruleFilters } from "./http-route-filter.ts";
import { objectMeta } from "./object-meta.ts";
import { BACKEND_FIELDS, parentRef } from "./references.ts";
import { duration, HTTP_METHODS, headerName, headerValue } from "./scalars.ts";
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

/** What is wrong with a regular expression in RE2 syntax, or null. */
export function regexProblem(pattern: string): string | null {
  try {
    re2().compile(pattern);
    return null;
  } catch (error) {
    return `"${pattern}" is not a regular expression (RE2 syntax): ${messageOf(error)}`;
  }
}

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

const valueMatch = (name: typeof headerName) =>
  checked(
    object({
      type: withDefault(oneOf("Exact", "RegularExpression"), "Exact"),
      name: required(name),
      value: required(headerValue),
    }),
    ({ type, value }, complain) => {
      const wrong = type === "RegularExpression" ? regexProblem(value) : null;
      if (wrong !== null) complain(wrong, "value");
    },
  );

const match = object({
  path: withDefault(pathMatch, { type: "PathPrefix", value: "/" }),
  headers: withDefault(list(valueMatch(headerName), 0, 16), []),
  queryParams: withDefault(list(valueMatch(string((v) => (v === "" ? "must not be empty" : null))), 0, 16), []),
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
      (spec, complain) => {
        const names = spec.rules.map((r) => r.name).filter((name) => name !== "");
        if (new Set(names).size !== names.length) complain("two rules have the same name", "rules");
      },
    ),
  ),
  status: optional(ignored),
});

export type HttpRouteManifest = ValueOf<typeof httpRouteSchema>;
