/** Matches of HTTPRoute rules as Envoy's, and Gateway API's order among them. */
import type { HeaderMatch, QueryMatch, StringMatch } from "../../model/matcher.ts";
import type { RouteMatch } from "../../model/route.ts";
import type { RouteMatchManifest } from "../manifest/http-route.ts";
import type { ValueMatch } from "../manifest/route-parts.ts";

export function routeMatch(match: RouteMatchManifest, also: HeaderMatch | null): RouteMatch {
  return {
    path: pathMatch(match),
    caseSensitive: true,
    fraction: null,
    headers: [
      ...(match.method === null ? [] : [headerMatch(":method", exact(match.method))]),
      ...headerMatches(match.headers),
      ...(also === null ? [] : [also]),
    ],
    queryParameters: firstOfEach(match.queryParams, ({ name }) => name).map(
      ({ name, type, value }): QueryMatch => ({
        name,
        match: { kind: "string", match: stringMatch(type, value) },
      }),
    ),
    grpcOnly: false,
  };
}

/** Matches of headers; of several with one name the first counts. */
export function headerMatches(headers: readonly ValueMatch[]): readonly HeaderMatch[] {
  return firstOfEach(headers, ({ name }) => name.toLowerCase()).map(({ name, type, value }) =>
    headerMatch(name.toLowerCase(), stringMatch(type, value)),
  );
}

export const ANY_REQUEST: RouteMatch = {
  path: { kind: "prefix", value: "/" },
  caseSensitive: true,
  fraction: null,
  headers: [],
  queryParameters: [],
  grpcOnly: false,
};

function pathMatch({ path }: RouteMatchManifest): RouteMatch["path"] {
  if (path.type === "Exact") return { kind: "exact", value: path.value };
  if (path.type === "RegularExpression") return { kind: "regex", value: path.value };
  const prefix = path.value.replace(/\/+$/, "");
  return prefix === "" ? { kind: "prefix", value: "/" } : { kind: "path_separated_prefix", value: prefix };
}

function headerMatch(name: string, match: StringMatch): HeaderMatch {
  return { name, match: { kind: "string", match }, invert: false, treatMissingAsEmpty: false };
}

function exact(value: string): StringMatch {
  return { kind: "exact", value, ignoreCase: false };
}

function stringMatch(type: "Exact" | "RegularExpression", value: string): StringMatch {
  return type === "Exact" ? exact(value) : { kind: "regex", value };
}

/** Gateway API: of several entries with one name, only the first counts. */
function firstOfEach<T>(entries: readonly T[], nameOf: (entry: T) => string): readonly T[] {
  const seen = new Set<string>();
  return entries.filter((entry) => {
    const name = nameOf(entry);
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

const PATH_RANK = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const;

/**
 * Gateway API's precedence: exact path, longest path, method, most headers, most query parameters. Negative where `a`
 * goes first; 0 leaves the order (older route, then earlier rule) as it is.
 */
export function comparePrecedence(a: RouteMatchManifest, b: RouteMatchManifest): number {
  return (
    PATH_RANK[a.path.type] - PATH_RANK[b.path.type] ||
    b.path.value.length - a.path.value.length ||
    Number(a.method === null) - Number(b.method === null) ||
    b.headers.length - a.headers.length ||
    b.queryParams.length - a.queryParams.length
  );
}
