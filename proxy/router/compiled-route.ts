/** One route, ready to run: everything that its levels of configuration say, resolved when they arrived. */
import type { HeaderMap } from "../../core/header-map.ts";
import type { FilterOverride } from "../../model/http.ts";
import type {
  HeaderMutations,
  RequestMirror,
  RetryPolicy,
  Route,
  RouteTable,
  VirtualHost,
  WeightedCluster,
} from "../../model/route.ts";
import type { FormatContext } from "../../telemetry/format.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { RequestHead } from "../http/message.ts";
import { compileHash, type RequestHash } from "./hash-policy.ts";
import { applyLevels, compileLevels, type MutationLevel } from "./header-mutations.ts";
import { compileRedirect, type Redirect, redirectToSelf } from "./redirect.ts";
import { encodeUtf8 } from "./regex.ts";
import {
  compileHostRewrite,
  compilePathRewrite,
  type HostRewrite,
  type PathRewrite,
  rewriteAuthority,
  rewritePath,
} from "./rewrite.ts";

/** Envoy's default for `RouteAction.timeout`. */
const DEFAULT_TIMEOUT_MS = 15_000;

/** The levels of configuration that a route is made of. */
export interface RouteLevels {
  readonly table: RouteTable;
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  /** The cluster of the route's weighted clusters that this variant stands for; null for other routes. */
  readonly weighted: WeightedCluster | null;
}

export class CompiledRoute {
  readonly route: Route;
  readonly virtualHost: VirtualHost;
  readonly virtualHostName: string;
  /** "" where no cluster is named: a request's header names it, or the route does not forward. */
  readonly cluster: string;
  /** For the whole answer, ms; 0: none. */
  readonly timeoutMs: number;
  /** ms; null: the connection manager's; 0: none. */
  readonly idleTimeoutMs: number | null;
  readonly maxStreamDurationMs: number | null;
  readonly maxGrpcTimeoutMs: number | null;
  /** The route's, else the virtual host's. */
  readonly retryPolicy: RetryPolicy | null;
  /** The route's, else the virtual host's, else the table's. */
  readonly mirrors: readonly RequestMirror[];
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /** `auto_host_rewrite`: the authority becomes the chosen host's name (see `rewriteAuthority`). */
  readonly autoHostRewrite: boolean;
  readonly appendForwardedHost: boolean;

  readonly #overrides: readonly Readonly<Record<string, FilterOverride>>[];
  readonly #clusterHeader: string | null;
  readonly #requestLevels: readonly MutationLevel[] | null;
  readonly #responseLevels: readonly MutationLevel[] | null;
  readonly #weightedHost: string | null;
  readonly #hostRewrite: HostRewrite | null;
  readonly #pathRewrite: PathRewrite | null;
  readonly #redirect: Redirect;
  readonly #hash: RequestHash | null;

  /** Throws on regular expressions and formats that do not compile; `redirect` stands in for the action's own. */
  constructor(levels: RouteLevels, redirect: Redirect | null = null) {
    const { table, virtualHost, route, weighted } = levels;
    const { action } = route;
    const forward = action.kind === "forward" ? action : null;
    this.route = route;
    this.virtualHost = virtualHost;
    this.virtualHostName = virtualHost.name;
    this.cluster = weighted?.name ?? (forward?.cluster.kind === "name" ? forward.cluster.name : "");
    this.timeoutMs = forward?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.idleTimeoutMs = forward?.idleTimeoutMs ?? null;
    this.maxStreamDurationMs = forward?.maxStreamDurationMs ?? null;
    this.maxGrpcTimeoutMs = forward?.maxGrpcTimeoutMs ?? null;
    this.retryPolicy = forward?.retryPolicy ?? virtualHost.retryPolicy;
    this.mirrors =
      [forward?.requestMirrors ?? [], virtualHost.requestMirrors].find((mirrors) => mirrors.length > 0) ??
      table.requestMirrors;
    this.includeRequestAttemptCount = virtualHost.includeRequestAttemptCount;
    this.includeAttemptCountInResponse = virtualHost.includeAttemptCountInResponse;
    this.autoHostRewrite = forward?.hostRewrite.kind === "auto";
    this.appendForwardedHost = forward?.appendXForwardedHost ?? false;
    this.#overrides = [weighted, route, virtualHost, table].map((level) => level?.filterOverrides ?? {});
    this.#clusterHeader = forward?.cluster.kind === "header" ? forward.cluster.header.toLowerCase() : null;
    const mutations = mutationOrder(levels);
    this.#requestLevels = compileLevels(
      mutations.map((level) => ({ add: level.requestHeadersToAdd, remove: level.requestHeadersToRemove })),
    );
    this.#responseLevels = compileLevels(
      mutations.map((level) => ({ add: level.responseHeadersToAdd, remove: level.responseHeadersToRemove })),
    );
    this.#weightedHost = weighted?.hostRewrite ? encodeUtf8(weighted.hostRewrite) : null;
    this.#hostRewrite = forward ? compileHostRewrite(forward.hostRewrite) : null;
    this.#pathRewrite = forward ? compilePathRewrite(route.match.path, forward) : null;
    this.#redirect =
      redirect ?? (action.kind === "redirect" ? compileRedirect(action, route.match.path) : redirectToSelf);
    this.#hash = forward ? compileHash(forward.hashPolicies) : null;
  }

  /** The cluster of a request, which a header may name; "" where it names none. */
  clusterFor(request: RequestHead): string {
    return this.#clusterHeader === null ? this.cluster : (request.headers.first(this.#clusterHeader) ?? "");
  }

  /** Per-route configuration of the filter of that name in the chain: the most specific level's, null for none. */
  filterOverride(name: string): FilterOverride | null {
    for (const overrides of this.#overrides) {
      if (Object.hasOwn(overrides, name)) return overrides[name] ?? null;
    }
    return null;
  }

  /** The same of every level that has one, the most specific first. */
  filterOverridesOf(name: string): readonly FilterOverride[] {
    return this.#overrides.flatMap((overrides) => (Object.hasOwn(overrides, name) ? (overrides[name] ?? []) : []));
  }

  /**
   * Header mutations, then host, then path. `info.cluster` should be set. `keepOriginals`: false with the router's
   * `suppress_envoy_headers`.
   */
  applyRequest(request: RequestHead, info: StreamInfo, keepOriginals = true): void {
    // Each attempt writes its own number.
    if (this.includeRequestAttemptCount) request.headers.remove("x-envoy-attempt-count");
    if (this.#requestLevels !== null) {
      const context = borrowContext(request, info, null);
      applyLevels(this.#requestLevels, request.headers, context);
      returnContext();
    }
    // Unlike the route's rewrites, in Envoy this one leaves no trace of what the host was.
    if (this.#weightedHost !== null) request.authority = this.#weightedHost;
    if (this.#hostRewrite !== null) {
      const host = this.#hostRewrite(request);
      if (host !== null) rewriteAuthority(request, host, this.appendForwardedHost, keepOriginals);
    }
    if (this.#pathRewrite !== null) rewritePath(request, this.#pathRewrite(request.path), keepOriginals);
  }

  /** Mutates the headers of a response, the proxy's own answers on this route included. */
  applyResponse(headers: HeaderMap, info: StreamInfo, request: RequestHead): void {
    if (this.#responseLevels === null) return;
    const context = borrowContext(request, info, headers);
    applyLevels(this.#responseLevels, headers, context);
    returnContext();
  }

  /** `location` of a redirect. For a direct response of status 201 or 3xx Envoy gives the request's own URI. */
  redirectLocation(request: RequestHead): string {
    return this.#redirect(request);
  }

  /** What the request is balanced by; null: by nothing of its own. */
  hash(request: RequestHead, info: StreamInfo): bigint | null {
    return this.#hash === null ? null : this.#hash(request, info);
  }
}

/** Envoy's order of evaluation: the last one has the last word. A weighted cluster is always first. */
function mutationOrder({ table, virtualHost, route, weighted }: RouteLevels): HeaderMutations[] {
  const order = table.mostSpecificHeaderMutationsWins ? [table, virtualHost, route] : [route, virtualHost, table];
  return weighted === null ? order : [weighted, ...order];
}

const NO_CONNECTION = {
  id: 0,
  remoteAddress: "",
  remotePort: 0,
  localAddress: "",
  localPort: 0,
  tls: null,
  listener: "",
  filterChain: "",
};
const NO_REQUEST = new RequestHead();
const NO_INFO = new StreamInfo(NO_CONNECTION);

/** Formats run to their end at once, so that one context serves all; between uses it holds on to no request. */
const shared: FormatContext = { info: NO_INFO, request: NO_REQUEST, responseHeaders: null, responseTrailers: null };

function borrowContext(request: RequestHead, info: StreamInfo, responseHeaders: HeaderMap | null): FormatContext {
  shared.request = request;
  shared.info = info;
  shared.responseHeaders = responseHeaders;
  return shared;
}

function returnContext(): void {
  shared.request = NO_REQUEST;
  shared.info = NO_INFO;
  shared.responseHeaders = null;
}
