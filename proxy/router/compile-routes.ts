/** Compiles a route table and finds the route of a request: virtual host first, then its routes in their order. */
import type { Random } from "../../core/random.ts";
import { INSTANCE_CALLS } from "../../model/interception.ts";
import type { Fraction } from "../../model/matcher.ts";
import type { Route, RouteTable, VirtualHost, WeightedCluster } from "../../model/route.ts";
import { isGrpc } from "../../telemetry/grpc/status.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead } from "../http/message.ts";
import {
  compileHeaderMatches,
  compileQueryMatch,
  drawInteger,
  inFraction,
  lowerAscii,
  type RequestTest,
} from "./compile-matcher.ts";
import { CompiledRoute } from "./compiled-route.ts";
import { redirectToTls } from "./redirect.ts";
import { compileFullMatch, encodeUtf8 } from "./regex.ts";
import { queryStart } from "./rewrite.ts";
import { HostIndex } from "./virtual-hosts.ts";

export { CompiledRoute } from "./compiled-route.ts";

/** From this many exact paths on, they are looked up instead of being tried one by one. */
const INDEX_FROM = 4;

export class CompiledRouteTable {
  readonly table: RouteTable;
  readonly #hosts: HostIndex<CompiledHost>;
  /** Of calls to an instance at its own address; null: they have the routes of all others. */
  readonly #instances: CompiledHost | null;

  /** Throws on regular expressions and formats that do not compile: validation has refused them before. */
  constructor(table: RouteTable) {
    this.table = table;
    const compiled = table.virtualHosts.map((host) => ({
      domains: host.domains,
      value: new CompiledHost(table, host),
    }));
    const named = compiled.filter(({ domains }) => !domains.includes(INSTANCE_CALLS));
    this.#hosts = new HostIndex(named, table.ignorePortInHostMatching);
    this.#instances = compiled.find(({ domains }) => domains.includes(INSTANCE_CALLS))?.value ?? null;
  }

  /**
   * The route of a request; null where none matches. `random` is drawn from at most once. What only internal requests
   * may carry (`internal_only_headers`) is taken off first.
   */
  find(request: RequestHead, info: StreamInfo, random: Random): CompiledRoute | null {
    const { internalOnlyHeaders } = this.table;
    if (internalOnlyHeaders.length > 0 && !isInternal(request)) {
      for (const name of internalOnlyHeaders) request.headers.remove(name);
    }
    // Envoy finds no route for an empty `x-forwarded-proto`, from which the scheme comes.
    if (request.scheme === "") return null;
    const host =
      this.#instances !== null && info.connection.pinned !== undefined
        ? this.#instances
        : this.#hosts.find(request.authority);
    return host?.find(request, info, random) ?? null;
  }
}

/** Compiles a table; see `CompiledRouteTable`. */
export function compileRouteTable(table: RouteTable): CompiledRouteTable {
  return new CompiledRouteTable(table);
}

/** The random number of one request, drawn when it is first asked for: fractions and weights share it, as in Envoy. */
let drawn = -1;

function draw(random: Random): number {
  if (drawn < 0) drawn = drawInteger(random);
  return drawn;
}

class CompiledHost {
  readonly #toTls: CompiledRoute | null;
  readonly #sparesInternal: boolean;
  /** Exact, case-sensitive paths and the places of their routes, ascending; null where trying each is cheaper. */
  readonly #exact: ReadonlyMap<string, readonly number[]> | null;
  /** Places of the routes that `#exact` does not hold. */
  readonly #others: readonly number[];
  readonly #candidates: readonly Candidate[];

  constructor(table: RouteTable, virtualHost: VirtualHost) {
    this.#candidates = virtualHost.routes.map((route) => new Candidate(table, virtualHost, route));
    this.#toTls = compileToTls(table, virtualHost);
    this.#sparesInternal = virtualHost.requireTls === "external_only";
    const places = virtualHost.routes.map((_, place) => place);
    const exact = places.filter((place) => isIndexable(virtualHost.routes[place]));
    const indexed = exact.length >= INDEX_FROM;
    this.#exact = indexed
      ? Map.groupBy(exact, (place) => encodeUtf8(virtualHost.routes[place]?.match.path.value ?? ""))
      : null;
    this.#others = indexed ? places.filter((place) => !isIndexable(virtualHost.routes[place])) : places;
  }

  find(request: RequestHead, info: StreamInfo, random: Random): CompiledRoute | null {
    if (this.#toTls !== null && request.scheme !== "https" && !(this.#sparesInternal && isInternal(request))) {
      return this.#toTls;
    }
    const mark = queryStart(request.path);
    const path = mark === request.path.length ? request.path : request.path.slice(0, mark);
    drawn = -1;
    const exact = this.#exact?.get(path);
    const before =
      exact === undefined ? -1 : this.#firstOf(exact, request, info, path, random, this.#candidates.length);
    const limit = before < 0 ? this.#candidates.length : before;
    const other = this.#firstOf(this.#others, request, info, path, random, limit);
    const place = other < 0 ? before : other;
    return place < 0 ? null : (this.#candidates[place] as Candidate).choose(request, random);
  }

  /** The first place in `places`, below `limit`, whose route matches; -1 for none. */
  #firstOf(
    places: readonly number[],
    request: RequestHead,
    info: StreamInfo,
    path: string,
    random: Random,
    limit: number,
  ): number {
    for (const place of places) {
      if (place >= limit) return -1;
      if ((this.#candidates[place] as Candidate).matches(request, info, path, random)) return place;
    }
    return -1;
  }
}

function isIndexable(route: Route | undefined): boolean {
  return route?.match.path.kind === "exact" && route.match.caseSensitive;
}

/** The connection manager says so of callers within `internal_address_config`, and lets no other say it. */
function isInternal(request: RequestHead): boolean {
  return request.headers.get("x-envoy-internal") === "true";
}

/** `require_tls`. */
function compileToTls(table: RouteTable, virtualHost: VirtualHost): CompiledRoute | null {
  if (virtualHost.requireTls === "none") return null;
  const route: Route = {
    name: "",
    match: {
      path: { kind: "prefix", value: "/" },
      caseSensitive: true,
      fraction: null,
      headers: [],
      queryParameters: [],
      grpcOnly: false,
    },
    action: {
      kind: "redirect",
      status: 301,
      scheme: { kind: "https" },
      host: "",
      port: 0,
      path: { kind: "keep" },
      stripQuery: false,
    },
    filterOverrides: {},
    tracing: null,
    operation: "",
    source: "",
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  };
  // As in Envoy, nobody's headers are given to this answer.
  const plain = {
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  };
  const levels = { table: { ...table, ...plain }, virtualHost: { ...virtualHost, ...plain }, route, weighted: null };
  return new CompiledRoute(levels, redirectToTls);
}

/** A route with the test of whether it takes a request, and its variants where weights choose between clusters. */
class Candidate {
  readonly #path: (path: string) => boolean;
  readonly #headers: RequestTest | null;
  readonly #query: readonly ((path: string) => boolean)[] | null;
  readonly #fraction: Fraction | null;
  readonly #grpcOnly: boolean;
  readonly #tls: ((info: StreamInfo) => boolean) | null;
  readonly #variants: readonly CompiledRoute[];
  /** Upper bounds of the variants' shares of the total weight. */
  readonly #bounds: readonly number[];
  /** `random_value` header name, "" for none. */
  readonly #weightHeader: string;

  constructor(table: RouteTable, virtualHost: VirtualHost, route: Route) {
    const { match, action } = route;
    this.#path = compilePath(match.path, match.caseSensitive);
    this.#headers = compileHeaderMatches(match.headers);
    this.#query = match.queryParameters.length === 0 ? null : match.queryParameters.map(compileQueryMatch);
    this.#fraction = match.fraction;
    this.#grpcOnly = match.grpcOnly;
    this.#tls = match.tls === undefined ? null : compileTlsMatch(match.tls);
    const split = action.kind === "forward" && action.cluster.kind === "weighted" ? action.cluster : null;
    this.#weightHeader = split?.headerName.toLowerCase() ?? "";
    const clusters: readonly (WeightedCluster | null)[] = split?.clusters.length ? split.clusters : [null];
    this.#variants = clusters.map((weighted) => new CompiledRoute({ table, virtualHost, route, weighted }));
    let total = 0;
    this.#bounds = (split?.clusters ?? []).map(({ weight }) => (total += weight));
  }

  matches(request: RequestHead, info: StreamInfo, path: string, random: Random): boolean {
    if (!this.#path(path)) return false;
    if (this.#tls !== null && !this.#tls(info)) return false;
    if (this.#fraction !== null && !inFraction(this.#fraction, draw(random))) return false;
    if (this.#headers !== null && !this.#headers(request)) return false;
    if (this.#query !== null) for (const test of this.#query) if (!test(request.path)) return false;
    return !this.#grpcOnly || isGrpc(request.headers.first("content-type"));
  }

  choose(request: RequestHead, random: Random): CompiledRoute {
    const bounds = this.#bounds;
    if (bounds.length === 0) return this.#variants[0] as CompiledRoute;
    const total = bounds[bounds.length - 1] as number;
    const value = this.#weightHeader === "" ? -1 : this.#valueOfHeader(request, total);
    const point = value < 0 ? draw(random) % total : value;
    let chosen = 0;
    while ((bounds[chosen] as number) <= point) chosen++;
    return this.#variants[chosen] as CompiledRoute;
  }

  /** The header's number modulo the total weight; -1 where it is not one number of 64 bits. */
  #valueOfHeader(request: RequestHead, total: number): number {
    const text = request.headers.get(this.#weightHeader);
    if (text === null || !/^\d{1,20}$/.test(text)) return -1;
    const value = BigInt(text);
    return value < 1n << 64n ? Number(value % BigInt(total)) : -1;
  }
}

/** `tls_context`: a caller without TLS has shown no certificate. */
function compileTlsMatch({ presented, validated }: NonNullable<Route["match"]["tls"]>): (info: StreamInfo) => boolean {
  return ({ connection }) => {
    const peer = connection.tls?.peer ?? null;
    if (presented !== null && presented !== (peer !== null)) return false;
    return validated === null || validated === (peer?.verified ?? false);
  };
}

function compilePath(path: Route["match"]["path"], caseSensitive: boolean): (path: string) => boolean {
  if (path.kind === "regex") return compileFullMatch(path.value);
  const wanted = encodeUtf8(path.value);
  if (caseSensitive) return compileLiteralPath(path.kind, wanted);
  const test = compileLiteralPath(path.kind, lowerAscii(wanted));
  return (candidate) => test(lowerAscii(candidate));
}

function compileLiteralPath(
  kind: "exact" | "prefix" | "path_separated_prefix",
  wanted: string,
): (path: string) => boolean {
  if (kind === "exact") return (path) => path === wanted;
  if (kind === "prefix")
    return wanted === "/" ? (path) => path.charCodeAt(0) === 0x2f : (path) => path.startsWith(wanted);
  return (path) =>
    path.startsWith(wanted) && (path.length === wanted.length || path.charCodeAt(wanted.length) === 0x2f);
}
