/** The filters of a route's rule or backend: header changes, redirects, rewrites, mirrors. */
import { backendObjectReference } from "./references.ts";
import { headerName, headerValue, hostname, portNumber } from "./scalars.ts";
import {
  checked,
  list,
  number,
  object,
  oneOf,
  optional,
  refused,
  required,
  type Schema,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

const header = object({ name: required(headerName), value: required(headerValue) });

const headerModifier = object({
  set: withDefault(list(header, 0, 16), []),
  add: withDefault(list(header, 0, 16), []),
  remove: withDefault(list(headerName, 0, 16), []),
});

export type HeaderModifier = ValueOf<typeof headerModifier>;

const absolutePath = string((value) => (value.startsWith("/") ? null : `"${value}" must begin with /`));

const pathModifier = checked(
  object({
    type: required(oneOf("ReplaceFullPath", "ReplacePrefixMatch")),
    replaceFullPath: optional(absolutePath),
    replacePrefixMatch: optional(absolutePath),
  }),
  (path, complain) => {
    const full = path.type === "ReplaceFullPath";
    if (full !== (path.replaceFullPath !== null) || full === (path.replacePrefixMatch !== null)) {
      complain(`type ${path.type} needs exactly the field ${full ? "replaceFullPath" : "replacePrefixMatch"}`);
    }
  },
);

export type PathModifier = ValueOf<typeof pathModifier>;

const requestRedirect = object({
  scheme: optional(oneOf("http", "https")),
  hostname: optional(hostname),
  path: optional(pathModifier),
  port: optional(portNumber),
  statusCode: withDefault(
    checked(number(301, 308), (value, complain) => {
      if (![301, 302, 303, 307, 308].includes(value)) complain("must be 301, 302, 303, 307 or 308");
    }),
    302,
  ),
});

export type RequestRedirect = ValueOf<typeof requestRedirect>;

const urlRewrite = object({ hostname: optional(hostname), path: optional(pathModifier) });

export type UrlRewrite = ValueOf<typeof urlRewrite>;

const MAX_INT32 = 2 ** 31 - 1;

const requestMirror = checked(
  object({
    backendRef: required(backendObjectReference),
    percent: optional(number(0, 100)),
    fraction: optional(
      checked(
        object({ numerator: required(number(0, MAX_INT32)), denominator: withDefault(number(1, MAX_INT32), 100) }),
        (fraction, complain) => {
          if (fraction.numerator > fraction.denominator) complain("the numerator is greater than the denominator");
        },
      ),
    ),
  }),
  (mirror, complain) => {
    if (mirror.percent !== null && mirror.fraction !== null) complain("percent and fraction exclude each other");
  },
);

export type RequestMirrorFilter = ValueOf<typeof requestMirror>;

const FIELD_OF: Readonly<Record<string, string>> = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  RequestMirror: "requestMirror",
};

/** A filter of one of `types`; `otherwise` says why another known one is refused. */
function filterOf(types: readonly string[], otherwise: string) {
  return checked(
    object({
      type: required(
        string((value) => {
          if (types.includes(value)) return null;
          return value in FIELD_OF
            ? `${value} ${otherwise}`
            : `filter "${value}" is not carried yet: ${types.join(", ")} are`;
        }),
      ),
      requestHeaderModifier: optional(headerModifier),
      responseHeaderModifier: optional(headerModifier),
      requestRedirect: optional(requestRedirect),
      urlRewrite: optional(urlRewrite),
      requestMirror: optional(requestMirror),
      cors: optional(refused("CORS is not carried yet")),
      extensionRef: optional(refused("extension filters are not carried yet")),
    }),
    (value, complain) => {
      const wanted = FIELD_OF[value.type];
      for (const field of Object.values(FIELD_OF)) {
        const given = value[field as keyof typeof value] !== null;
        if (field === wanted && !given) complain(`type ${value.type} needs this field`, field);
        if (field !== wanted && given) complain(`does not belong to type ${value.type}`, field);
      }
    },
  );
}

const filter = filterOf(Object.keys(FIELD_OF), "");

export type RouteFilter = ValueOf<typeof filter>;

const grpcFilter = filterOf(
  ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror"],
  "has no meaning for gRPC: only an HTTPRoute has it",
);

/** Each kind of filter once (mirrors may repeat), and nothing that excludes another. */
function filtersOf(item: Schema<RouteFilter>): Schema<readonly RouteFilter[]> {
  return checked(list(item, 0, 16), (filters, complain) => {
    const count = (type: string): number => filters.filter((f) => f.type === type).length;
    for (const type of Object.keys(FIELD_OF)) {
      if (type !== "RequestMirror" && count(type) > 1) complain(`${type} may be given once`);
    }
    if (count("RequestRedirect") > 0 && count("URLRewrite") > 0)
      complain("RequestRedirect and URLRewrite exclude each other");
  });
}

export const ruleFilters = filtersOf(filter);

/** Of a GRPCRoute's rule: header changes and mirrors. */
export const grpcRuleFilters = filtersOf(grpcFilter);

/** Filters of one backend: only what a single choice among several can carry. */
function backendFiltersOf(filters: Schema<readonly RouteFilter[]>): Schema<readonly RouteFilter[]> {
  return checked(filters, (given, complain) => {
    for (const { type } of given) {
      if (!type.endsWith("HeaderModifier")) complain(`${type} on a single backend is not carried: put it on the rule`);
    }
  });
}

export const backendFilters = backendFiltersOf(ruleFilters);

export const grpcBackendFilters = backendFiltersOf(grpcRuleFilters);
