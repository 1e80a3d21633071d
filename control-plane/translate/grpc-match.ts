/** Matches of GRPCRoute rules as Envoy's, and Gateway API's order among them. */
import type { RouteMatch } from "../../model/route.ts";
import type { GrpcMatchManifest } from "../manifest/grpc-route.ts";
import { ANY_REQUEST, headerMatches } from "./route-match.ts";

/** Every match is of gRPC requests alone: a GRPCRoute says nothing about others. */
export function grpcRouteMatch({ method, headers }: GrpcMatchManifest): RouteMatch {
  return { ...ANY_REQUEST, path: pathMatch(method), headers: headerMatches(headers), grpcOnly: true };
}

/** The path of a gRPC call is `/package.Service/Method`. */
function pathMatch(match: GrpcMatchManifest["method"]): RouteMatch["path"] {
  if (match === null) return ANY_REQUEST.path;
  const { type, service, method } = match;
  if (type === "Exact") {
    if (method === "") return { kind: "prefix", value: `/${service}/` };
    if (service !== "") return { kind: "exact", value: `/${service}/${method}` };
    // The pattern of a method's name knows no character that means anything to a regular expression.
    return { kind: "regex", value: `/[^/]+/${method}` };
  }
  const part = (pattern: string): string => (pattern === "" ? "[^/]+" : `(?:${pattern})`);
  return { kind: "regex", value: `/${part(service)}/${part(method)}` };
}

const TYPE_RANK = { Exact: 0, RegularExpression: 1 } as const;
const ABSENT_RANK = 2;

/**
 * Gateway API's precedence: most characters in the service, then in the method, then most headers. It counts what was
 * matched, which is as long for an expression as for the name itself: where both match, the name goes first. Negative
 * where `a` goes first; 0 leaves the order (older route, then earlier rule) as it is.
 */
export function compareGrpcPrecedence(a: GrpcMatchManifest, b: GrpcMatchManifest): number {
  return compareNames(a, b, "service") || compareNames(a, b, "method") || b.headers.length - a.headers.length;
}

function compareNames(a: GrpcMatchManifest, b: GrpcMatchManifest, part: "service" | "method"): number {
  return rank(a, part) - rank(b, part) || (b.method?.[part].length ?? 0) - (a.method?.[part].length ?? 0);
}

function rank({ method }: GrpcMatchManifest, part: "service" | "method"): number {
  return method === null || method[part] === "" ? ABSENT_RANK : TYPE_RANK[method.type];
}
